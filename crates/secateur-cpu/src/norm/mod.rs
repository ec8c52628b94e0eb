//! Batch normalisation on its own, and the passes that fused blocks share with it.
//!
//! y = activation(γ · (x - μ) / √(σ² + ε) + β + residual), per channel, with μ and σ² the
//! mean and the biased variance of the batch. The residual is optional.

pub(crate) mod channels;
pub(crate) mod matrix;
pub(crate) mod moments;
pub(crate) mod passes;
pub(crate) mod rows;

use crate::block::ActivationStats;
use crate::conv::{Activation, assert_len};
use crate::isa::{self, Isa};
use crate::memory::Buffer;
use crate::parallel::{self, Shared};
use channels::{Channels, Scales};
use matrix::{Matrix, padded};
use moments::Moments;
use passes::Image;

/// Sizes of a batch norm and what follows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormSpec {
    /// Images.
    pub n: usize,
    /// Pixels of an image.
    pub pixels: usize,
    /// Channels.
    pub c: usize,
    /// ε, added to the variance.
    pub eps: f32,
    /// Applied last.
    pub activation: Activation,
}

impl NormSpec {
    fn assert_valid(&self) -> usize {
        let NormSpec { n, pixels, c, .. } = *self;
        assert!(
            n > 0 && pixels > 0 && c > 0,
            "cannot normalise: sizes: expected at least 1, got 0"
        );
        n.checked_mul(pixels)
            .and_then(|len| len.checked_mul(c))
            .unwrap_or_else(|| panic!("cannot normalise: {n} x {pixels} x {c} is too large"))
    }
}

/// What [`backward`] needs of [`forward_train`].
#[derive(Debug)]
pub struct Saved {
    /// Batch mean of every channel.
    pub mean: Vec<f32>,
    /// Biased batch variance of every channel.
    pub var: Vec<f32>,
    channels: Channels,
}

/// Gradients of the parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct NormGradients {
    /// `[c]`
    pub dgamma: Vec<f32>,
    /// `[c]`
    pub dbeta: Vec<f32>,
}

/// Forward pass with the statistics of the batch.
///
/// # Shapes
/// `x`, `residual`, `y` (overwritten) `[n, pixels, c]`; `gamma`, `beta` `[c]`
/// # Panics
/// If a size is zero or a slice does not have its length.
pub fn forward_train(
    spec: &NormSpec,
    x: &[f32],
    residual: Option<&[f32]>,
    gamma: &[f32],
    beta: &[f32],
    y: &mut [f32],
    stats: Option<&mut ActivationStats>,
) -> Saved {
    let len = spec.assert_valid();
    let (c, isa) = (spec.c, isa::active());
    assert_len("x", x.len(), len);
    assert_len("gamma", gamma.len(), c);
    assert_len("beta", beta.len(), c);
    let matrix = Matrix::new(isa, spec.pixels, c);
    let mut partials = Buffer::get(spec.n * passes::moments_len(c));
    let (input, out) = (Shared::read(x), Shared::write(&mut partials));
    parallel::dynamic(spec.n, |queue| {
        for i in queue {
            // SAFETY: image `i` is inside the checked slice and has its own partial results.
            unsafe {
                let x = input.ptr().add(i * spec.pixels * c);
                let partial = out.ptr().add(i * passes::moments_len(c));
                passes::moments(isa, matrix, x, partial);
            }
        }
    });
    let moments = Moments::combine(&partials, c, spec.pixels);
    let channels = Channels::new(&moments, spec.eps);
    let scales = channels.scales(isa, gamma, beta, spec.activation.limits());
    apply(spec, &scales, x, residual, y, stats);
    let narrow = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
    Saved {
        mean: narrow(&moments.mean),
        var: narrow(&moments.var),
        channels,
    }
}

/// Inference: y = activation(x · scale + shift + residual); the caller folds the parameters
/// into `scale` and `shift`.
///
/// # Shapes
/// As [`forward_train`]; `scale`, `shift` `[c]`
/// # Panics
/// As [`forward_train`].
pub fn forward_inference(
    spec: &NormSpec,
    x: &[f32],
    residual: Option<&[f32]>,
    scale: &[f32],
    shift: &[f32],
    y: &mut [f32],
) {
    let len = spec.assert_valid();
    assert_len("x", x.len(), len);
    assert_len("scale", scale.len(), spec.c);
    assert_len("shift", shift.len(), spec.c);
    let scales = Scales::new(isa::active(), scale, shift, spec.activation.limits());
    apply(spec, &scales, x, residual, y, None);
}

fn apply(
    spec: &NormSpec,
    scales: &Scales,
    x: &[f32],
    residual: Option<&[f32]>,
    y: &mut [f32],
    stats: Option<&mut ActivationStats>,
) {
    let (c, isa) = (spec.c, isa::active());
    assert_len("y", y.len(), x.len());
    if let Some(residual) = residual {
        assert_len("residual", residual.len(), x.len());
    }
    let matrix = Matrix::new(isa, spec.pixels, c);
    let mut sums = stats
        .is_some()
        .then(|| Buffer::zeroed(spec.n * 2 * padded(c)));
    let (x, y) = (Shared::read(x), Shared::write(y));
    let residual = residual.map(Shared::read);
    let out = sums.as_mut().map(|sums| Shared::write(sums));
    parallel::dynamic(spec.n, |queue| {
        let null = std::ptr::null_mut();
        for i in queue {
            let at = i * spec.pixels * c;
            // SAFETY: image `i` is inside the checked slices; its outputs and sums are its own.
            unsafe {
                let residual = residual.map_or(null, |r| r.ptr().add(at));
                let sums = out.map_or(null, |sums| sums.ptr().add(i * 2 * padded(c)));
                let (x, y) = (x.ptr().add(at), y.ptr().add(at));
                passes::apply(isa, matrix, &scales.affine(), x, residual, y, sums);
            }
        }
    });
    if let (Some(stats), Some(sums)) = (stats, sums) {
        *stats = channels::activation_stats(&sums, c, (spec.n * spec.pixels) as f64);
    }
}

/// Gradients from dy, the gradient of y.
///
/// `d_residual` receives dy where the activation passes it on. `taylor`, if given, gets
/// added per channel Σ over images of |Σ over pixels of y · dy|.
///
/// # Shapes
/// As [`forward_train`]; `dy`, `dx`, `d_residual` as x (the latter two overwritten);
/// `taylor` `[c]`
/// # Panics
/// As [`forward_train`], and if `d_residual` is asked for without a residual.
pub fn backward(
    spec: &NormSpec,
    x: &[f32],
    residual: Option<&[f32]>,
    gamma: &[f32],
    beta: &[f32],
    saved: &Saved,
    dy: &[f32],
    dx: &mut [f32],
    d_residual: Option<&mut [f32]>,
    taylor: Option<&mut [f64]>,
) -> NormGradients {
    let len = spec.assert_valid();
    let (c, isa) = (spec.c, isa::active());
    for (what, got) in [("x", x.len()), ("dy", dy.len()), ("dx", dx.len())] {
        assert_len(what, got, len);
    }
    for (what, got) in [
        ("gamma", gamma.len()),
        ("beta", beta.len()),
        ("saved", saved.mean.len()),
    ] {
        assert_len(what, got, c);
    }
    if let Some(residual) = residual {
        assert_len("residual", residual.len(), len);
    }
    if let Some(d_residual) = &d_residual {
        assert_len(
            "d_residual",
            d_residual.len(),
            if residual.is_some() { len } else { 0 },
        );
    }
    if let Some(taylor) = &taylor {
        assert_len("taylor", taylor.len(), c);
    }
    let scales = saved
        .channels
        .scales(isa, gamma, beta, spec.activation.limits());
    let mut partials = Buffer::zeroed(spec.n * passes::back_sums_len(c));
    let out = Shared::write(&mut partials);
    let (x, dy, dx) = (Shared::read(x), Shared::read(dy), Shared::write(dx));
    let residual = residual.map(Shared::read);
    let d_residual = d_residual.map(Shared::write);
    let each = |body: &(dyn Fn(usize, usize) + Sync)| {
        parallel::dynamic(spec.n, |queue| {
            for i in queue {
                body(i, i * spec.pixels * c);
            }
        });
    };
    let null = || std::ptr::null_mut();
    each(&|i, at| {
        let matrix = Matrix::new(isa, spec.pixels, c);
        // SAFETY: image `i` is inside the checked slices; its sums are its own.
        unsafe {
            let residual = residual.map_or(null(), |r| r.ptr().add(at));
            let sums = out.ptr().add(i * passes::back_sums_len(c));
            let (x, dy) = (x.ptr().add(at), dy.ptr().add(at));
            let mean = scales.mean.as_ptr();
            passes::back_sums(isa, matrix, &scales.affine(), mean, x, residual, dy, sums);
        }
    });
    let back = saved
        .channels
        .backward(isa, gamma, beta, &partials, spec.pixels, taylor);
    each(&|_, at| {
        let image = Image {
            h: 1,
            w: spec.pixels,
            c,
        };
        let affine = scales.affine();
        // SAFETY: image `i` is inside the checked slices; its outputs are its own.
        unsafe {
            let residual = residual.map_or(null(), |r| r.ptr().add(at));
            let d_residual = d_residual.map_or(null(), |r| r.ptr().add(at));
            let (x, dy, dx) = (x.ptr().add(at), dy.ptr().add(at), dx.ptr().add(at));
            let row = spec.pixels * c;
            let constants = back.constants();
            passes::back_input(
                isa, image, &affine, &constants, x, residual, dy, dx, row, d_residual,
            );
        }
    });
    NormGradients {
        dgamma: back.dgamma,
        dbeta: back.dbeta,
    }
}

/// Pixels per partial sum.
const CHUNK: usize = 256;

/// sum[c] = Σ x[.., c], summed in f64 over chunks.
pub(crate) fn column_sums(isa: Isa, x: &[f32], c: usize, sum: &mut [f32]) {
    let pixels = x.len() / c;
    let chunks = pixels.div_ceil(CHUNK);
    let mut partials = Buffer::get(chunks * padded(c));
    let (x, out) = (Shared::read(x), Shared::write(&mut partials));
    parallel::dynamic(chunks, |queue| {
        for chunk in queue {
            // SAFETY: chunks lie inside `x`, and each has its own padded array.
            unsafe {
                passes::sums(
                    isa,
                    CHUNK.min(pixels - chunk * CHUNK),
                    c,
                    x.ptr().add(chunk * CHUNK * c),
                    out.ptr().add(chunk * padded(c)),
                );
            }
        }
    });
    let mut total = vec![0.0f64; c];
    for partial in partials.chunks_exact(padded(c)) {
        for (total, &value) in total.iter_mut().zip(partial) {
            *total += f64::from(value);
        }
    }
    for (sum, total) in sum.iter_mut().zip(total) {
        *sum = total as f32;
    }
}
