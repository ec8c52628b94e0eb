//! Convolution of whole batches, divided over the threads by images or by bands.

use super::bands;
use super::images::{Images, OutputGradients};
use super::method::{Method, method};
use super::prepared::PreparedConv;
use super::shape::ConvShape;
use super::weight_gradient::WeightGradient;
use crate::activation::Limits;
use crate::ahead::Ahead;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::parallel::{self, Shared};
use crate::simd::SLACK;

/// With more threads for each image than this, bands are faster than Winograd: they keep all
/// threads busy, and Winograd computes an image about this many times as fast.
const THREADS_PER_IMAGE: usize = 3;

/// True for methods that compute whole images; the others can cut them into bands.
fn works_on_images(method: Method) -> bool {
    matches!(
        method,
        Method::Winograd4 | Method::Depthwise | Method::Across
    )
}

/// y = limit(conv(x, w) + bias). Lengths have been checked.
pub(crate) fn forward(
    isa: Isa,
    s: &ConvShape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    limits: Limits,
    y: &mut [f32],
) {
    let method = method(s);
    let few = s.n * THREADS_PER_IMAGE < parallel::threads() && method == Method::Winograd4;
    if works_on_images(method) && !few {
        let conv = PreparedConv::forward(isa, method, s, parallel::threads(), w, bias, limits);
        run_images(&conv, s.n, x, y);
    } else {
        bands::forward(isa, s, x, w, bias, limits, y);
    }
}

/// dx of a convolution. Lengths have been checked.
pub(super) fn input_gradient(isa: Isa, s: &ConvShape, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    if s.is_pointwise() {
        bands::pointwise_input_gradient(isa, s, dy, w, dx);
        return;
    }
    let conv = PreparedConv::back(isa, method(s), s, parallel::threads(), w);
    run_images(&conv, s.n, dy, dx);
}

/// Computes `n` images on all threads.
fn run_images(conv: &PreparedConv, n: usize, x: &[f32], y: &mut [f32]) {
    let bundle = conv.bundle();
    let (source, target) = (x.len() / n, y.len() / n);
    let (x, y) = (Shared::read(x), Shared::write(y));
    parallel::dynamic(n.div_ceil(bundle), |queue| {
        let mut scratch = conv.scratch(bundle);
        for unit in queue {
            let first = unit * bundle;
            let images = bundle.min(n - first);
            // SAFETY: images are inside the checked slices and each is written once.
            unsafe {
                let (x, y) = (x.ptr().add(first * source), y.ptr().add(first * target));
                conv.images(&mut scratch, images, Images::new(x), y, &Ahead::OUTPUT);
            }
        }
    });
}

/// dw of a convolution. Lengths have been checked.
pub(super) fn weight_gradient(isa: Isa, s: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let method = method(s);
    if !works_on_images(method) {
        bands::weight_gradient(isa, s, x, dy, dw);
        return;
    }
    let mut sums = WeightGradient::new(isa, method, s, parallel::n_tasks(s.n));
    let targets = sums.targets();
    let sums_ref = &sums;
    let (x_len, dy_len) = (x.len() / s.n, dy.len() / s.n);
    let row = s.out_w() * s.c_out;
    let (x, dy) = (Shared::read(x), Shared::read(dy));
    parallel::fixed(s.n, |task, range| {
        let bundle = sums_ref.bundle();
        let mut scratch = sums_ref.scratch(bundle, false);
        // Full vectors read past the last pixel, behind which dy itself has no slack.
        let mut gradient = Buffer::zeroed(bundle * dy_len + SLACK);
        for first in range.clone().step_by(bundle) {
            let images = bundle.min(range.end - first);
            // SAFETY: images are inside the checked slices; the target is this task's.
            unsafe {
                let from = dy.ptr().add(first * dy_len);
                let to = gradient.as_mut_ptr();
                to.copy_from_nonoverlapping(from, images * dy_len);
                let dy = OutputGradients {
                    first: gradient.as_ptr(),
                    row,
                    image: dy_len,
                };
                let x = Images::new(x.ptr().add(first * x_len));
                sums_ref.add(&mut scratch, images, x, dy, targets[task], &Ahead::NONE);
            }
        }
    });
    sums.finish(dw);
}
