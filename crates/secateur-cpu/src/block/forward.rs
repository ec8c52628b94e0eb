//! The forward passes of a block.

use std::sync::Arc;

use super::pending::Pending;
use super::{ActivationStats, BlockSpec, Inputs, Saved, assert_inputs, method};
use crate::ahead::Ahead;
use crate::conv::Limits;
use crate::conv::engine::{Engine, Images};
use crate::conv::{assert_len, direct};
use crate::isa::{self, Isa};
use crate::memory::Buffer;
use crate::norm::channels::{Channels, Scales, activation_stats};
use crate::norm::matrix::{Matrix, padded};
use crate::norm::moments::Moments;
use crate::norm::passes::{self, Image};
use crate::parallel::{self, Shared};

/// Forward pass with the statistics of the batch.
///
/// Returns y, `[n, oh, ow, c_out]` (halved if pooled). `stats`, if given, receives those of y,
/// `pending_stats` those of what is pending on x.
///
/// # Panics
/// If the shape is not valid, or one of the inputs does not fit it.
pub fn forward_train(
    spec: &BlockSpec,
    inputs: &Inputs<'_>,
    stats: Option<&mut ActivationStats>,
    pending_stats: Option<&mut ActivationStats>,
) -> (Buffer, Saved) {
    let (mut saved, scales) = first_pass(spec, inputs, pending_stats);
    let y = second_pass(spec, &mut saved, &scales, inputs.residual, stats);
    (y, saved)
}

/// First pass: the convolution and the moments of its output.
pub(super) fn first_pass(
    spec: &BlockSpec,
    inputs: &Inputs<'_>,
    pending_stats: Option<&mut ActivationStats>,
) -> (Saved, Scales) {
    inputs.assert_fit(spec);
    let (s, isa) = (&spec.conv, isa::active());
    let c = s.c_out;
    let mut conv = Buffer::get(s.y_len());
    let mut partials = Buffer::get(s.n * passes::moments_len(c));
    let unnormalised = inputs.pending.filter(|pending| pending.is_norm());
    let of_pending = unnormalised.zip(pending_stats);
    convolve(isa, spec, inputs, &mut conv, &mut partials, of_pending);
    let moments = Moments::combine(&partials, c, s.out_h() * s.out_w());
    drop(partials);
    let bias = |i: usize| f64::from(inputs.bias.map_or(0.0, |bias| bias[i]));
    let saved = Saved {
        mean: (0..c).map(|i| (moments.mean[i] + bias(i)) as f32).collect(),
        var: moments.var.iter().map(|&v| v as f32).collect(),
        conv: Arc::new(conv),
        best: None,
        channels: Channels::new(&moments, spec.eps),
    };
    let limits = spec.activation.limits();
    let scales = saved
        .channels
        .scales(isa, inputs.gamma, inputs.beta, limits);
    (saved, scales)
}

/// The convolution, and the moments of each image while it is in the cache.
fn convolve(
    isa: Isa,
    spec: &BlockSpec,
    inputs: &Inputs<'_>,
    conv: &mut [f32],
    partials: &mut [f32],
    of_pending: Option<(&Pending, &mut ActivationStats)>,
) {
    let s = &spec.conv;
    let threads = parallel::threads();
    let limits = Limits::NONE;
    let engine = Engine::forward(isa, method(spec), s, threads, inputs.w, None, limits);
    let group = engine.group();
    let (source, target) = (s.h * s.w * s.c_in, s.out_h() * s.out_w() * s.c_out);
    let matrix = Matrix::new(isa, s.out_h() * s.out_w(), s.c_out);
    let mut statistics = of_pending.as_ref().map(|(pending, _)| pending.statistics());
    let wanted = statistics.as_mut().map(|sums| Shared::write(sums));
    let (x, conv, partials) = (
        Shared::read(inputs.x),
        Shared::write(conv),
        Shared::write(partials),
    );
    let pending = inputs.pending;
    parallel::dynamic(s.n.div_ceil(group), |queue| {
        let mut scratch = engine.scratch(group);
        let mut normalised = wanted.map(|_| Buffer::get(source));
        for unit in queue {
            let first = unit * group;
            let images = group.min(s.n - first);
            // SAFETY: images are inside the checked slices; each writes its own outputs and
            // partial results.
            unsafe {
                let (x, y) = (x.ptr().add(first * source), conv.ptr().add(first * target));
                if let (Some(pending), Some(sums), Some(image)) = (pending, wanted, &mut normalised)
                {
                    for i in 0..images {
                        let u = x.add(i * source);
                        pending.add_statistics(first + i, u, image.as_mut_ptr(), sums);
                    }
                }
                let x = Images::pending(x, pending.and_then(Pending::norm));
                engine.images(&mut scratch, images, x, y, &Ahead::OUTPUT);
                for i in 0..images {
                    let at = (first + i) * passes::moments_len(s.c_out);
                    let partial = partials.ptr().add(at);
                    passes::moments(isa, matrix, y.add(i * target), partial);
                }
            }
        }
    });
    if let (Some((pending, stats)), Some(sums)) = (of_pending, statistics) {
        *stats = pending.activation_stats(&sums);
    }
}

/// Second pass: batch norm, residual, activation, pooling, statistics.
pub(super) fn second_pass(
    spec: &BlockSpec,
    saved: &mut Saved,
    scales: &Scales,
    residual: Option<&[f32]>,
    stats: Option<&mut ActivationStats>,
) -> Buffer {
    let (s, isa) = (&spec.conv, isa::active());
    let c = s.c_out;
    let image = Image {
        h: s.out_h(),
        w: s.out_w(),
        c,
    };
    let mut y = Buffer::get(spec.output_len());
    let mut best = spec.pool.then(|| Buffer::get(spec.output_len()));
    let mut sums = stats.is_some().then(|| Buffer::zeroed(s.n * 2 * padded(c)));
    let (source, target) = (image.h * image.w * c, spec.output_len() / s.n);
    {
        let conv = Shared::read(&saved.conv);
        let y = Shared::write(&mut y);
        let best = best.as_mut().map(|b| Shared::write(b));
        let sums = sums.as_mut().map(|b| Shared::write(b));
        let residual = residual.map(Shared::read);
        parallel::dynamic(s.n, |queue| {
            let null = std::ptr::null_mut();
            let affine = scales.affine();
            for i in queue {
                // SAFETY: buffers were made for n images; each image writes its own part.
                unsafe {
                    let x = conv.ptr().add(i * source);
                    let to = y.ptr().add(i * target);
                    let sums = sums.map_or(null, |b| b.ptr().add(i * 2 * padded(c)));
                    match best {
                        Some(best) => {
                            let best = best.ptr().add(i * target);
                            passes::apply_pool(isa, image, &affine, x, to, best, sums);
                        }
                        None => {
                            let matrix = Matrix::new(isa, image.h * image.w, c);
                            let residual = residual.map_or(null, |r| r.ptr().add(i * target));
                            passes::apply(isa, matrix, &affine, x, residual, to, sums);
                        }
                    }
                }
            }
        });
    }
    if let (Some(stats), Some(sums)) = (stats, sums) {
        *stats = activation_stats(&sums, c, (y.len() / c) as f64);
    }
    saved.best = best.map(Arc::new);
    y
}

/// Inference: y = pool(activation(conv(x, w) + bias)), with the batch norm folded into
/// `w` and `bias` by the caller.
///
/// # Shapes
/// As [`forward_train`]; `y` is overwritten.
/// # Panics
/// As [`forward_train`].
pub fn forward_folded(spec: &BlockSpec, x: &[f32], w: &[f32], bias: &[f32], y: &mut [f32]) {
    forward_folded_residual(spec, x, w, bias, None, y);
}

/// As [`forward_folded`], with `residual` added before the activation.
///
/// # Shapes
/// As [`forward_folded`]; `residual` as y
/// # Panics
/// As [`forward_folded`], and if a residual comes with pooling.
pub fn forward_folded_residual(
    spec: &BlockSpec,
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    residual: Option<&[f32]>,
    y: &mut [f32],
) {
    assert_inputs(spec, x, w);
    let s = &spec.conv;
    assert_len("bias", bias.len(), s.c_out);
    assert_len("y", y.len(), spec.output_len());
    spec.assert_residual(residual);
    let isa = isa::active();
    let limits = spec.activation.limits();
    if !spec.pool && residual.is_none() {
        direct::forward(isa, s, x, w, Some(bias), limits, y);
        return;
    }
    // The activation grows with its argument, so it may come after the pooling.
    let none = Limits::NONE;
    let threads = parallel::threads();
    let engine = Engine::forward(isa, method(spec), s, threads, w, Some(bias), none);
    let group = engine.group();
    let image = Image {
        h: s.out_h(),
        w: s.out_w(),
        c: s.c_out,
    };
    let scales = Scales::identity(isa, s.c_out, limits);
    let (source, target) = (s.h * s.w * s.c_in, y.len() / s.n);
    let pixels = image.h * image.w;
    let conv_len = pixels * image.c;
    let (x, y) = (Shared::read(x), Shared::write(y));
    let residual = residual.map(Shared::read);
    parallel::dynamic(s.n.div_ceil(group), |queue| {
        let mut scratch = engine.scratch(group);
        let mut conv = Buffer::get(group * conv_len);
        let null = std::ptr::null_mut();
        let affine = scales.affine();
        for unit in queue {
            let first = unit * group;
            let images = group.min(s.n - first);
            // SAFETY: images are inside the checked slices; each writes its own outputs.
            unsafe {
                let x = x.ptr().add(first * source);
                let (x, u) = (Images::new(x), conv.as_mut_ptr());
                engine.images(&mut scratch, images, x, u, &Ahead::NONE);
                for i in 0..images {
                    let from = conv.as_ptr().add(i * conv_len);
                    let at = (first + i) * target;
                    let to = y.ptr().add(at);
                    if let Some(residual) = residual {
                        let matrix = Matrix::new(isa, pixels, image.c);
                        let residual = residual.ptr().add(at);
                        passes::apply(isa, matrix, &affine, from, residual, to, null);
                    } else {
                        passes::apply_pool(isa, image, &affine, from, to, null, null);
                    }
                }
            }
        }
    });
}
