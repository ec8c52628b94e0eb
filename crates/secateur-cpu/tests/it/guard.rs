//! No routine reads or writes past the end of a slice: each slice here ends at a page that
//! must not be touched, so that a vector too far ends the test run with a fault.
//!
//! Miri runs the same tests on the portable level, with few shapes, and sees more: pointers that
//! leave their memory without being used, accesses past the crate's own buffers, data races. It
//! needs a nightly compiler:
//!
//! ```text
//! export MIRIFLAGS="-Zmiri-tree-borrows -Zmiri-ignore-leaks -Zmiri-disable-isolation"
//! RAYON_NUM_THREADS=2 cargo +nightly miri test -p secateur-cpu --test it guard
//! ```
//!
//! Rayon does not hold to the older rules of borrowing (hence the first flag), and the threads of
//! the crew never end (hence the second).
#![cfg(target_os = "linux")]

use std::ops::{Deref, DerefMut};

use secateur_cpu::block::{self, BlockSpec, InputGradient, Inputs};
use secateur_cpu::conv::{self, Activation, ConvShape};
use secateur_cpu::norm::{self, NormSpec};
use secateur_cpu::optimizer::{Sgd, sgd};
use secateur_cpu::{linear, memory::Buffer};

use crate::common::{on_every_level_and_method, random};

const PAGE: usize = 4096;

/// Floats that end where a page without access begins.
struct Guarded {
    map: *mut libc::c_void,
    n_bytes: usize,
    start: *mut f32,
    len: usize,
}

impl Guarded {
    fn new(values: &[f32]) -> Self {
        let used = size_of_val(values).next_multiple_of(PAGE);
        // Miri cannot protect pages, but takes any access behind a mapping for an error.
        let guard = if cfg!(miri) { 0 } else { PAGE };
        let n_bytes = used + guard;
        let (access, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a fresh mapping, of which the last page is made inaccessible; the values
        // fit before it and are aligned, as pages and sizes are multiples of 4.
        unsafe {
            let map = libc::mmap(std::ptr::null_mut(), n_bytes, access, flags, -1, 0);
            assert_ne!(map, libc::MAP_FAILED);
            let end = map.cast::<u8>().add(used);
            if guard > 0 {
                assert_eq!(libc::mprotect(end.cast(), guard, libc::PROT_NONE), 0);
            }
            let start = end.cast::<f32>().sub(values.len());
            start.copy_from_nonoverlapping(values.as_ptr(), values.len());
            Self {
                map,
                n_bytes,
                start,
                len: values.len(),
            }
        }
    }

    fn random(seed: u64, len: usize) -> Self {
        Self::new(&random(seed, len))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this size.
        unsafe { libc::munmap(self.map, self.n_bytes) };
    }
}

impl Deref for Guarded {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: initialised in `new` and mapped until drop.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

/// Channels and sides of the images; few under Miri, which interprets.
const CHANNELS: &[(usize, usize)] = if cfg!(miri) {
    &[(3, 5)]
} else {
    &[(1, 1), (3, 5), (5, 6), (8, 9), (16, 17), (20, 40), (33, 31)]
};
const SIDES: &[usize] = if cfg!(miri) { &[3] } else { &[7, 13] };

fn shapes() -> Vec<ConvShape> {
    let mut shapes = Vec::new();
    for &(ci, co) in CHANNELS {
        for (k, stride, pad, dilation) in [
            (3, 1, 1, 1),
            (1, 1, 0, 1),
            (1, 2, 0, 1),
            (3, 2, 1, 1),
            (3, 1, 0, 1),
            (5, 1, 2, 2),
        ] {
            for &side in SIDES {
                let new = |groups, ci, co| {
                    ConvShape::new(
                        [3, side, side + 1],
                        [ci, co],
                        [k, k],
                        [stride; 2],
                        [pad; 4],
                        [dilation; 2],
                        groups,
                    )
                };
                shapes.extend(new(1, ci, co));
                shapes.extend(new(co, co, co));
                shapes.extend(new(2, 2 * ci, 2 * co));
            }
        }
    }
    shapes
}

#[test]
fn convolutions_stay_inside_their_slices() {
    for s in shapes() {
        let (x, w) = (Guarded::random(1, s.x_len()), Guarded::random(2, s.w_len()));
        let (bias, dy) = (Guarded::random(3, s.c_out), Guarded::random(4, s.y_len()));
        let mut y = Guarded::random(5, s.y_len());
        let mut dx = Guarded::random(6, s.x_len());
        let mut dw = Guarded::random(7, s.w_len());
        let mut db = Guarded::random(8, s.c_out);
        on_every_level_and_method(|_| {
            conv::forward(&s, &x, &w, Some(&bias), Activation::Relu, &mut y);
            conv::input_gradient(&s, &dy, &w, &mut dx);
            conv::weight_gradient(&s, &x, &dy, &mut dw);
            conv::bias_gradient(&s, &dy, &mut db);
        });
    }
}

#[test]
fn blocks_stay_inside_their_slices() {
    for conv in shapes() {
        for pool in [false, true] {
            let spec = BlockSpec {
                conv,
                eps: 1e-5,
                activation: Activation::Relu,
                pool,
            };
            if spec.check().is_err() {
                continue;
            }
            let len = spec.output_shape().iter().product();
            let (x, w) = (
                Guarded::random(1, conv.x_len()),
                Guarded::random(2, conv.w_len()),
            );
            let gamma = Guarded::random(3, conv.c_out);
            let beta = Guarded::random(4, conv.c_out);
            let dy = Guarded::random(5, len);
            let residual = Guarded::random(6, len);
            let residual = (!pool).then_some(&residual[..]);
            let mut folded = Guarded::random(7, len);
            // A block that leaves its batch norm: x stands for what it has computed.
            let c = conv.c_in;
            let before = BlockSpec {
                conv: ConvShape::new(
                    [conv.n, conv.h, conv.w],
                    [c, c],
                    [1, 1],
                    [1, 1],
                    [0; 4],
                    [1, 1],
                    1,
                )
                .unwrap(),
                pool: false,
                ..spec
            };
            let (eye, ones) = (random(8, c * c), vec![1.0; c]);
            on_every_level_and_method(|_| {
                let inputs = Inputs {
                    residual,
                    ..Inputs::new(&x, &w, &gamma, &beta)
                };
                let (y, saved) = block::forward_train(&spec, &inputs, None, None);
                assert_eq!(y.len(), len);
                block::backward(&spec, &inputs, &saved, &dy, InputGradient::Own, None, None);
                let (_, _, pending) = block::forward_pending(
                    &before,
                    &Inputs::new(&x, &eye, &ones, &ones),
                    None,
                    None,
                );
                let inputs = Inputs {
                    pending: Some(&pending),
                    ..inputs
                };
                let (_, saved) = block::forward_train(&spec, &inputs, None, None);
                block::backward(&spec, &inputs, &saved, &dy, InputGradient::Own, None, None);
                block::forward_folded_residual(&spec, &x, &w, &beta, residual, &mut folded);
                if block::is_chain(&[spec]) {
                    block::forward_chain(&[spec], &x, &w, &beta, residual, &mut folded);
                }
            });
        }
    }
}

#[test]
fn norms_and_linear_layers_stay_inside_their_slices() {
    for (n, pixels, c) in [(1, 1, 1), (2, 5, 3), (3, 7, 8), (2, 33, 17), (4, 1, 70)] {
        let spec = NormSpec {
            n,
            pixels,
            c,
            eps: 1e-5,
            activation: Activation::Relu,
        };
        let len = n * pixels * c;
        let [x, dy, residual] = [1, 2, 3].map(|seed| Guarded::random(seed, len));
        let [gamma, beta] = [4, 5].map(|seed| Guarded::random(seed, c));
        let [mut y, mut dx, mut dr] = [6, 7, 8].map(|seed| Guarded::random(seed, len));
        let w = Guarded::random(9, c * (c + 1));
        let mut dw = Guarded::random(10, c * (c + 1));
        let rows = n * pixels;
        let mut out = Guarded::random(11, rows * (c + 1));
        on_every_level_and_method(|_| {
            let r = Some(&residual[..]);
            let saved = norm::forward_train(&spec, &x, r, &gamma, &beta, &mut y, None);
            let dr = Some(&mut dr[..]);
            norm::backward(&spec, &x, r, &gamma, &beta, &saved, &dy, &mut dx, dr, None);
            norm::forward_inference(&spec, &x, r, &gamma, &beta, &mut y);
            linear::forward(rows, c, c + 1, &x, &w, None, Activation::None, &mut out);
            let dy = Buffer::from(&out[..]);
            linear::backward(rows, c, c + 1, &x, &w, &dy, Some(&mut dx), &mut dw, None);
        });
    }
}

#[test]
fn updates_stay_inside_their_slices() {
    let step = Sgd {
        momentum: 0.9,
        decay: 0.01,
        lr: 0.1,
    };
    let large: &[usize] = if cfg!(miri) { &[] } else { &[16_385, 40_001] };
    for n in [&[1, 7, 33], large].concat() {
        let (mut w, mut v) = (Guarded::random(1, n), Guarded::random(2, n));
        let g = Guarded::random(3, n);
        on_every_level_and_method(|_| sgd(&step, &mut w, &mut v, &g));
    }
}
