//! The backward pass of a block.
//!
//! With d = dy where the activation (and the pooling) passes it on, m pixels in the batch,
//! r = 1 / √(σ² + ε) and both sums over the batch:
//!
//! dβ = Σ d, dγ = r · Σ d · (u - μ),
//! du = γ · r · (d - Σ d / m - (u - μ) · r² · Σ d · (u - μ) / m)

use super::{
    BlockGradients, BlockSpec, Saved, assert_inputs, method, padded_channels, scale_shift,
};
use crate::conv::direct::SLACK;
use crate::conv::engine::{Engine, Gradient, OutputGradients};
use crate::conv::{assert_len, pad};
use crate::isa::{self, Isa};
use crate::memory::Buffer;
use crate::norm::passes::{self, Affine, Back, Image, Matrix, padded};
use crate::parallel::{self, Shared};

/// Gradients of a block from dy, the gradient of its output.
///
/// `taylor`, if given, gets added per output channel Σ over images of
/// |1/(H·W) · Σ y · dy|, with y and dy of the activation before pooling and H·W its size:
/// first-order Taylor significance (Molchanov et al., arXiv:1611.06440). It comes from
/// the per-image sums that the batch norm needs anyway.
///
/// # Shapes
/// `x`, `w`, `gamma`, `beta` as in [`super::forward_train`], `dy` as its y, `saved` from it;
/// `taylor` `[c_out]`
/// # Panics
/// If the shape is not valid, or a slice or `saved` does not fit it.
pub fn backward(
    spec: &BlockSpec,
    x: &[f32],
    w: &[f32],
    gamma: &[f32],
    beta: &[f32],
    saved: &Saved,
    dy: &[f32],
    need_dx: bool,
    taylor: Option<&mut [f64]>,
) -> BlockGradients {
    assert_inputs(spec, x, w);
    let s = &spec.conv;
    let c = s.c_out;
    assert_len("gamma", gamma.len(), c);
    assert_len("beta", beta.len(), c);
    assert_len("dy", dy.len(), spec.output_len());
    assert_len("saved", saved.conv.len(), s.y_len());
    assert_len("saved channels", saved.inverse.len(), c);
    assert!(
        saved.best.as_ref().map(|best| best.len()) == spec.pool.then(|| spec.output_len()),
        "cannot compute: `saved`: expected the state of a block with the same pooling"
    );
    let isa = isa::active();
    let (scale, shift) = scale_shift(saved, gamma, beta);
    let mean = padded_channels(saved.centre.iter().copied());
    let pass = Pass {
        isa,
        spec,
        scale: Shared::read(&scale),
        shift: Shared::read(&shift),
        mean: Shared::read(&mean),
    };

    let partials = pass.sums(saved, dy);
    let images = || partials.chunks_exact(2 * padded(c));
    let total = |offset: usize| -> Vec<f64> {
        (0..c)
            .map(|i| images().map(|image| f64::from(image[offset + i])).sum())
            .collect()
    };
    let (sum, moment) = (total(0), total(padded(c)));
    if let Some(taylor) = taylor {
        assert_len("taylor", taylor.len(), c);
        let pixels = (s.out_h() * s.out_w()) as f64;
        for image in images() {
            for (i, score) in taylor.iter_mut().enumerate() {
                // y = γ r (u - μ) + β wherever d is not zero.
                let slope = f64::from(gamma[i]) * saved.inverse[i];
                let product = slope * f64::from(image[padded(c) + i])
                    + f64::from(beta[i]) * f64::from(image[i]);
                *score += (product / pixels).abs();
            }
        }
    }

    let m = (s.n * s.out_h() * s.out_w()) as f64;
    let slope = |i: usize| f64::from(gamma[i]) * saved.inverse[i];
    let ka = padded_channels((0..c).map(slope));
    let kb = padded_channels(
        (0..c).map(|i| -slope(i) * saved.inverse[i] * saved.inverse[i] * moment[i] / m),
    );
    let kc = padded_channels((0..c).map(|i| -slope(i) * sum[i] / m));
    let constants = [Shared::read(&ka), Shared::read(&kb), Shared::read(&kc)];
    let (dx, dw) = pass.convolution(saved, x, w, dy, constants, need_dx);
    BlockGradients {
        dx,
        dw,
        dbias: Some(vec![0.0; c]),
        dgamma: (0..c)
            .map(|i| (moment[i] * saved.inverse[i]) as f32)
            .collect(),
        dbeta: sum.iter().map(|&v| v as f32).collect(),
    }
}

struct Pass<'a> {
    isa: Isa,
    spec: &'a BlockSpec,
    /// Padded per-channel constants, which outlive the pass.
    scale: Shared,
    shift: Shared,
    mean: Shared,
}

impl Pass<'_> {
    fn affine(&self) -> Affine {
        let floor = self.spec.activation.floor();
        Affine {
            scale: self.scale.ptr(),
            shift: self.shift.ptr(),
            floor,
        }
    }

    fn image(&self) -> Image {
        let s = &self.spec.conv;
        Image {
            h: s.out_h(),
            w: s.out_w(),
            c: s.c_out,
        }
    }

    /// First pass: Σ d and Σ d · (u - μ) of every image, in two padded arrays each.
    fn sums(&self, saved: &Saved, dy: &[f32]) -> Buffer {
        let s = &self.spec.conv;
        let c = s.c_out;
        let mut partials = Buffer::zeroed(s.n * 2 * padded(c));
        // Of a pooling window only the winner has a gradient.
        let x = Shared::read(saved.best.as_ref().unwrap_or(&saved.conv));
        let matrix = Matrix {
            pixels: dy.len() / s.n / c,
            c,
        };
        let (dy, out) = (Shared::read(dy), Shared::write(&mut partials));
        parallel::dynamic(s.n, |queue| {
            for i in queue {
                let at = i * matrix.pixels * c;
                // SAFETY: lengths were checked; each image has its own partial sums.
                unsafe {
                    passes::back_sums(
                        self.isa,
                        matrix,
                        &self.affine(),
                        self.mean.ptr(),
                        x.ptr().add(at),
                        std::ptr::null(),
                        dy.ptr().add(at),
                        out.ptr().add(i * 2 * padded(c)),
                    );
                }
            }
        });
        partials
    }

    /// Second pass: du of an image into padded scratch, and from there dx and dw.
    fn convolution(
        &self,
        saved: &Saved,
        x: &[f32],
        w: &[f32],
        dy: &[f32],
        constants: [Shared; 3],
        need_dx: bool,
    ) -> (Option<Buffer>, Vec<f32>) {
        let s = &self.spec.conv;
        let image = self.image();
        let (c, pixels) = (s.c_out, image.h * image.w);
        let method = method(self.spec);
        let tasks = parallel::n_tasks(s.n);
        let back = Engine::back(self.isa, method, s, tasks, w);
        let mut sums = Gradient::new(self.isa, method, s, tasks);
        let targets = sums.targets();
        let group = sums.group();
        let mut dx = need_dx.then(|| Buffer::get(x.len()));
        let dx_out = dx.as_mut().map(|dx| Shared::write(dx));
        let (x, dy, u) = (Shared::read(x), Shared::read(dy), Shared::read(&saved.conv));
        let (x_len, dy_len) = (s.h * s.w * s.c_in, self.spec.output_len() / s.n);
        let (border, padded) = (back.program().padding, back.program().padded_len());
        let row = border.cols * c;
        let first = border.top as usize * row + border.left as usize * c;
        let (back, sums_ref) = (&back, &sums);
        parallel::fixed(s.n, |task, range| {
            let mut du = Buffer::zeroed(group * padded + SLACK);
            let mut scratch = back.scratch(if need_dx { group } else { 0 });
            let mut gradient_scratch = sums_ref.scratch(group);
            for start in range.clone().step_by(group) {
                let images = group.min(range.end - start);
                // SAFETY: lengths were checked; scratch holds `group` padded images and slack;
                // each image's dx is written once; the target is this task's.
                unsafe {
                    for i in 0..images {
                        let n = start + i;
                        let du = du.as_mut_ptr().add(i * padded);
                        pad::zero_border([image.h, image.w, c], border, du);
                        let (u, dy) = (u.ptr().add(n * pixels * c), dy.ptr().add(n * dy_len));
                        self.du(constants, u, dy, du.add(first), row);
                    }
                    if let Some(dx) = dx_out {
                        let dx = dx.ptr().add(start * x_len);
                        back.padded_images(&mut scratch, images, du.as_ptr(), padded, dx);
                    }
                    let dy = OutputGradients {
                        first: du.as_ptr().add(first),
                        row,
                        image: padded,
                    };
                    let x = x.ptr().add(start * x_len);
                    sums_ref.add(&mut gradient_scratch, images, x, dy, targets[task]);
                }
            }
        });
        let mut dw = vec![0.0; w.len()];
        sums.finish(&mut dw);
        (dx, dw)
    }

    /// du of one image; rows are `row` floats apart.
    ///
    /// # Safety
    /// `u` and `dy` are valid for an image, `du` for its rows in padded scratch.
    unsafe fn du(
        &self,
        [a, b, c]: [Shared; 3],
        u: *const f32,
        dy: *const f32,
        du: *mut f32,
        row: usize,
    ) {
        let back = Back {
            a: a.ptr(),
            b: b.ptr(),
            c: c.ptr(),
            mean: self.mean.ptr(),
        };
        let affine = self.affine();
        let null = std::ptr::null_mut();
        // SAFETY: the caller's contract; constants are padded.
        unsafe {
            if self.spec.pool {
                passes::back_input_pool(self.isa, self.image(), &affine, &back, u, dy, du, row);
            } else {
                passes::back_input(
                    self.isa,
                    self.image(),
                    &affine,
                    &back,
                    u,
                    null,
                    dy,
                    du,
                    row,
                    null,
                );
            }
        }
    }
}
