//! The forward passes of a block in training.

use std::sync::Arc;

use super::pending::Pending;
use super::spec::BlockSpec;
use super::training::{Inputs, Saved};
use crate::activation::{ActivationStats, Limits};
use crate::ahead::Ahead;
use crate::conv::images::Images;
use crate::conv::method::method;
use crate::conv::prepared::PreparedConv;
use crate::isa::{self, Isa};
use crate::memory::Buffer;
use crate::norm::apply::{self, Image};
use crate::norm::channels::{Channels, Scales, activation_stats};
use crate::norm::matrix::{Matrix, padded};
use crate::norm::moments::{self, Moments, moments_len};
use crate::parallel::{self, Shared};

/// Forward pass with the statistics of the batch.
///
/// Returns y, `[n, oh, ow, c_out]` (`oh` and `ow` halved if pooled). `stats`, if given, receives
/// the statistics of y; `pending_stats` those of x after its pending batch norm and activation.
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

/// As [`forward_train`], but leaves to the next block, which reads the output, what it can do:
/// the batch norm and activation, unless this block pools.
///
/// Returns what the next block's [`Inputs`] take as `x` and `pending`: the convolution's output
/// (y if the block pools), `[n, oh, ow, c_out]`, and the [`Pending`] itself. `stats` are filled if
/// the block pools; if not, the next block fills them as its `pending_stats`.
///
/// # Panics
/// As [`forward_train`], and if the block adds a residual.
pub fn forward_pending(
    spec: &BlockSpec,
    inputs: &Inputs<'_>,
    stats: Option<&mut ActivationStats>,
    pending_stats: Option<&mut ActivationStats>,
) -> (Arc<Buffer>, Saved, Pending) {
    assert!(
        inputs.residual.is_none(),
        "cannot compute: a block that adds a residual leaves nothing to the next"
    );
    let (mut saved, scales) = first_pass(spec, inputs, pending_stats);
    let output = if spec.pool {
        Arc::new(second_pass(spec, &mut saved, &scales, None, stats))
    } else {
        Arc::clone(&saved.conv)
    };
    let shape = [
        spec.conv.n,
        output.len() / spec.conv.n / spec.conv.c_out,
        spec.conv.c_out,
    ];
    let pending = Pending::new(isa::active(), scales, saved.best.clone(), shape);
    (output, saved, pending)
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
    let mut partials = Buffer::get(s.n * moments_len(c));
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
    let prepared =
        PreparedConv::forward(isa, method(&spec.conv), s, threads, inputs.w, None, limits);
    let bundle = prepared.bundle();
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
    parallel::dynamic(s.n.div_ceil(bundle), |queue| {
        let mut scratch = prepared.scratch(bundle);
        let mut normalised = wanted.map(|_| Buffer::get(source));
        for unit in queue {
            let first = unit * bundle;
            let images = bundle.min(s.n - first);
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
                let x = Images {
                    first: x,
                    pending: pending.and_then(Pending::norm),
                };
                prepared.images(&mut scratch, images, x, y, &Ahead::OUTPUT);
                for i in 0..images {
                    let at = (first + i) * moments_len(s.c_out);
                    let partial = partials.ptr().add(at);
                    moments::moments(isa, matrix, y.add(i * target), partial);
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
                            apply::apply_pool(isa, image, &affine, x, to, best, sums);
                        }
                        None => {
                            let matrix = Matrix::new(isa, image.h * image.w, c);
                            let residual = residual.map_or(null, |r| r.ptr().add(i * target));
                            apply::apply(isa, matrix, &affine, x, residual, to, sums);
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
