//! The forward passes of a block.

use super::{
    ActivationStats, BlockSpec, Saved, assert_inputs, method, padded_channels, scale_shift,
};
use crate::conv::engine::Engine;
use crate::conv::{assert_len, direct};
use crate::isa::{self, Isa};
use crate::memory::Buffer;
use crate::norm::moments::{self, Moments};
use crate::norm::passes::{self, Affine, Image, Matrix, padded};
use crate::parallel::{self, Shared};

/// Forward pass with the statistics of the batch.
///
/// # Shapes
/// `x` `[n, h, w, c_in]`, `w` `[c_out, c_in / groups, kh, kw]`, `bias`, `gamma`, `beta`
/// `[c_out]`; returns y `[n, oh, ow, c_out]` (halved if pooled)
/// # Panics
/// If the shape is not valid, or a slice does not have its length.
pub fn forward_train(
    spec: &BlockSpec,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    gamma: &[f32],
    beta: &[f32],
    stats: Option<&mut ActivationStats>,
) -> (Buffer, Saved) {
    assert_inputs(spec, x, w);
    let s = &spec.conv;
    let c = s.c_out;
    assert_len("gamma", gamma.len(), c);
    assert_len("beta", beta.len(), c);
    if let Some(bias) = bias {
        assert_len("bias", bias.len(), c);
    }
    let isa = isa::active();
    let pixels = s.out_h() * s.out_w();
    let mut conv = Buffer::get(s.y_len());
    let mut partials = Buffer::get(s.n * moments::partial_len(c));
    convolve(isa, spec, x, w, &mut conv, &mut partials);
    let Moments { mean: centre, var } = Moments::combine(&partials, c, pixels);
    drop(partials);
    let eps = f64::from(spec.eps);
    let saved = Saved {
        mean: (0..c)
            .map(|i| (centre[i] + f64::from(bias.map_or(0.0, |b| b[i]))) as f32)
            .collect(),
        var: var.iter().map(|&v| v as f32).collect(),
        conv,
        best: None,
        inverse: var.iter().map(|v| 1.0 / (v + eps).sqrt()).collect(),
        centre,
    };
    normalise(isa, spec, saved, gamma, beta, stats)
}

/// The convolution, and the moments of each image while it is in the cache.
fn convolve(
    isa: Isa,
    spec: &BlockSpec,
    x: &[f32],
    w: &[f32],
    conv: &mut [f32],
    partials: &mut [f32],
) {
    let s = &spec.conv;
    let threads = parallel::threads();
    let floor = f32::NEG_INFINITY;
    let engine = Engine::forward(isa, method(spec), s, threads, w, None, floor);
    let group = engine.group();
    let (source, target) = (s.h * s.w * s.c_in, s.out_h() * s.out_w() * s.c_out);
    let matrix = Matrix {
        pixels: s.out_h() * s.out_w(),
        c: s.c_out,
    };
    let (x, conv, partials) = (
        Shared::read(x),
        Shared::write(conv),
        Shared::write(partials),
    );
    parallel::dynamic(s.n.div_ceil(group), |queue| {
        let mut scratch = engine.scratch(group);
        let mut means = Buffer::zeroed(padded(s.c_out));
        for unit in queue {
            let first = unit * group;
            let images = group.min(s.n - first);
            // SAFETY: images are inside the checked slices; each writes its own outputs and
            // partial results.
            unsafe {
                let (x, y) = (x.ptr().add(first * source), conv.ptr().add(first * target));
                engine.images(&mut scratch, images, x, y);
                for i in 0..images {
                    let at = (first + i) * moments::partial_len(s.c_out);
                    let partial = partials.ptr().add(at);
                    moments::of_image(isa, matrix, y.add(i * target), &mut means, partial);
                }
            }
        }
    });
}

/// Second pass: batch norm, activation, pooling, statistics.
fn normalise(
    isa: Isa,
    spec: &BlockSpec,
    mut saved: Saved,
    gamma: &[f32],
    beta: &[f32],
    stats: Option<&mut ActivationStats>,
) -> (Buffer, Saved) {
    let s = &spec.conv;
    let c = s.c_out;
    let (scale, shift) = scale_shift(&saved, gamma, beta);
    let (scale, shift) = (Shared::read(&scale), Shared::read(&shift));
    let floor = spec.activation.floor();
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
        parallel::dynamic(s.n, |queue| {
            let null = std::ptr::null_mut();
            for i in queue {
                let affine = Affine {
                    scale: scale.ptr(),
                    shift: shift.ptr(),
                    floor,
                };
                // SAFETY: buffers were made for n images; each image writes its own part.
                // The constants are padded and outlive the call.
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
                            let matrix = Matrix {
                                pixels: image.h * image.w,
                                c,
                            };
                            passes::apply(isa, matrix, &affine, x, null, to, sums);
                        }
                    }
                }
            }
        });
    }
    if let (Some(stats), Some(sums)) = (stats, sums) {
        *stats = combine_stats(&sums, c, (y.len() / c) as f64);
    }
    saved.best = best;
    (y, saved)
}

fn combine_stats(sums: &[f32], c: usize, count: f64) -> ActivationStats {
    let mut total = vec![0.0f64; 2 * c];
    for image in sums.chunks_exact(2 * padded(c)) {
        for i in 0..c {
            total[i] += f64::from(image[i]);
            total[c + i] += f64::from(image[padded(c) + i]);
        }
    }
    let share = |values: &[f64]| values.iter().map(|v| (v / count) as f32).collect();
    ActivationStats {
        mean: share(&total[..c]),
        positive: share(&total[c..]),
    }
}

/// Inference: y = pool(activation(conv(x, w) + bias)), with the batch norm folded into
/// `w` and `bias` by the caller.
///
/// # Shapes
/// As [`forward_train`]; `y` is overwritten.
/// # Panics
/// As [`forward_train`].
pub fn forward_folded(spec: &BlockSpec, x: &[f32], w: &[f32], bias: &[f32], y: &mut [f32]) {
    assert_inputs(spec, x, w);
    let s = &spec.conv;
    assert_len("bias", bias.len(), s.c_out);
    assert_len("y", y.len(), spec.output_len());
    let isa = isa::active();
    let floor = spec.activation.floor();
    if !spec.pool {
        direct::forward(isa, s, x, w, Some(bias), floor, y);
        return;
    }
    // The activation grows with its argument, so it may come after the pooling.
    let none = f32::NEG_INFINITY;
    let threads = parallel::threads();
    let engine = Engine::forward(isa, method(spec), s, threads, w, Some(bias), none);
    let group = engine.group();
    let image = Image {
        h: s.out_h(),
        w: s.out_w(),
        c: s.c_out,
    };
    let ones = padded_channels(std::iter::repeat_n(1.0, s.c_out));
    let zeros = padded_channels(std::iter::repeat_n(0.0, s.c_out));
    let (ones, zeros) = (Shared::read(&ones), Shared::read(&zeros));
    let (source, target) = (s.h * s.w * s.c_in, y.len() / s.n);
    let conv_len = image.h * image.w * image.c;
    let (x, y) = (Shared::read(x), Shared::write(y));
    parallel::dynamic(s.n.div_ceil(group), |queue| {
        let mut scratch = engine.scratch(group);
        let mut conv = Buffer::get(group * conv_len);
        let null = std::ptr::null_mut();
        let affine = Affine {
            scale: ones.ptr(),
            shift: zeros.ptr(),
            floor,
        };
        for unit in queue {
            let first = unit * group;
            let images = group.min(s.n - first);
            // SAFETY: images are inside the checked slices; each writes its own outputs.
            unsafe {
                let x = x.ptr().add(first * source);
                engine.images(&mut scratch, images, x, conv.as_mut_ptr());
                for i in 0..images {
                    let from = conv.as_ptr().add(i * conv_len);
                    let to = y.ptr().add((first + i) * target);
                    passes::apply_pool(isa, image, &affine, from, to, null, null);
                }
            }
        }
    });
}
