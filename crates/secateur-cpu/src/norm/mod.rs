//! Batch normalisation on its own, and the passes that fused blocks share with it.
//!
//! y = activation(γ · (x - μ) / √(σ² + ε) + β + residual), per channel, with μ and σ² the
//! mean and the biased variance of the batch. The residual is optional.

pub(crate) mod apply;
pub(crate) mod back;
pub(crate) mod channels;
pub(crate) mod columns;
pub(crate) mod matrix;
pub(crate) mod moments;
pub(crate) mod rows;

use crate::activation::{Activation, ActivationStats};
use crate::checks::assert_len;
use crate::isa;
use crate::memory::Buffer;
use crate::parallel::{self, Shared};
use apply::Image;
use back::back_sums_len;
use channels::{Channels, Scales};
use matrix::{Matrix, padded};
use moments::{Moments, moments_len};

/// Sizes of a batch norm, and the activation after it.
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
    /// Floats of the input. Panics with the reason if the sizes are wrong.
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
    let mut partials = Buffer::get(spec.n * moments_len(c));
    let (input, out) = (Shared::read(x), Shared::write(&mut partials));
    parallel::dynamic(spec.n, |queue| {
        for i in queue {
            // SAFETY: image `i` is inside the checked slice and has its own partial results.
            unsafe {
                let x = input.ptr().add(i * spec.pixels * c);
                let partial = out.ptr().add(i * moments_len(c));
                moments::moments(isa, matrix, x, partial);
            }
        }
    });
    let moments = Moments::combine(&partials, c, spec.pixels);
    let channels = Channels::new(&moments, spec.eps);
    let scales = channels.scales(isa, gamma, beta, spec.activation.limits());
    normalise(spec, &scales, x, residual, y, stats);
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
    normalise(spec, &scales, x, residual, y, None);
}

fn normalise(
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
                apply::apply(isa, matrix, &scales.affine(), x, residual, y, sums);
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
    let n_params = [gamma.len(), beta.len(), saved.mean.len()];
    assert_backward(spec, x, residual, n_params, dy, dx, d_residual.as_deref());
    if let Some(taylor) = &taylor {
        assert_len("taylor", taylor.len(), spec.c);
    }
    let (c, isa) = (spec.c, isa::active());
    let limits = spec.activation.limits();
    let scales = saved.channels.scales(isa, gamma, beta, limits);
    let partials = image_sums(spec, &scales, x, residual, dy);
    let back = saved
        .channels
        .backward(isa, gamma, beta, &partials, spec.pixels, taylor);
    let image = Image {
        h: 1,
        w: spec.pixels,
        c,
    };
    let (x, dy, dx) = (Shared::read(x), Shared::read(dy), Shared::write(dx));
    let residual = residual.map(Shared::read);
    let d_residual = d_residual.map(Shared::write);
    parallel::dynamic(spec.n, |queue| {
        let (f, b, null) = (scales.affine(), back.constants(), std::ptr::null_mut());
        let row = spec.pixels * c;
        for i in queue {
            let at = i * row;
            // SAFETY: image `i` is inside the checked slices; its outputs are its own.
            unsafe {
                let residual = residual.map_or(null, |r| r.ptr().add(at));
                let d_residual = d_residual.map_or(null, |r| r.ptr().add(at));
                let (x, dy, dx) = (x.ptr().add(at), dy.ptr().add(at), dx.ptr().add(at));
                back::back_input(isa, image, &f, &b, x, residual, dy, dx, row, d_residual);
            }
        }
    });
    NormGradients {
        dgamma: back.dgamma,
        dbeta: back.dbeta,
    }
}

/// The sums that the gradient needs, of every image.
fn image_sums(
    spec: &NormSpec,
    scales: &Scales,
    x: &[f32],
    residual: Option<&[f32]>,
    dy: &[f32],
) -> Buffer {
    let (c, isa) = (spec.c, isa::active());
    let matrix = Matrix::new(isa, spec.pixels, c);
    let mut partials = Buffer::zeroed(spec.n * back_sums_len(c));
    let (x, dy, out) = (
        Shared::read(x),
        Shared::read(dy),
        Shared::write(&mut partials),
    );
    let residual = residual.map(Shared::read);
    parallel::dynamic(spec.n, |queue| {
        let (affine, mean) = (scales.affine(), scales.mean.as_ptr());
        for i in queue {
            let at = i * spec.pixels * c;
            // SAFETY: image `i` is inside the checked slices; its sums are its own.
            unsafe {
                let residual = residual.map_or(std::ptr::null_mut(), |r| r.ptr().add(at));
                let sums = out.ptr().add(i * back_sums_len(c));
                let (x, dy) = (x.ptr().add(at), dy.ptr().add(at));
                back::back_sums(isa, matrix, &affine, mean, x, residual, dy, sums);
            }
        }
    });
    partials
}

/// Panics if a slice does not have its length; `params` are the lengths of those per channel.
fn assert_backward(
    spec: &NormSpec,
    x: &[f32],
    residual: Option<&[f32]>,
    params: [usize; 3],
    dy: &[f32],
    dx: &[f32],
    d_residual: Option<&[f32]>,
) {
    let len = spec.assert_valid();
    for (what, got) in [("x", x.len()), ("dy", dy.len()), ("dx", dx.len())] {
        assert_len(what, got, len);
    }
    for (what, got) in ["gamma", "beta", "saved"].into_iter().zip(params) {
        assert_len(what, got, spec.c);
    }
    if let Some(residual) = residual {
        assert_len("residual", residual.len(), len);
    }
    if let Some(d_residual) = d_residual {
        let expected = if residual.is_some() { len } else { 0 };
        assert_len("d_residual", d_residual.len(), expected);
    }
}
