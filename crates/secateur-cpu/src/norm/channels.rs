//! Statistics of every channel, and the constants of a batch norm that follow from them.

use super::apply::Affine;
use super::back::{Back, back_sums_len};
use super::matrix::{padded, repeats};
use super::moments::Moments;
use crate::activation::{ActivationStats, Limits};
use crate::isa::Isa;

/// Statistics of a batch, in f64.
#[derive(Debug, Clone)]
pub(crate) struct Channels {
    /// Mean of what is normalised.
    pub centre: Vec<f64>,
    /// 1 / √(σ² + ε)
    pub inverse: Vec<f64>,
}

/// Per-channel constants, repeated for pixels side by side ([`super::matrix`]) and padded for
/// full vectors.
fn laid_out(isa: Isa, values: impl ExactSizeIterator<Item = f64>) -> Vec<f32> {
    let c = values.len();
    let wide = c * repeats(isa, c);
    let mut constants = Vec::with_capacity(padded(wide));
    constants.extend(values.map(|value| value as f32));
    while constants.len() < wide {
        constants.extend_from_within(..c);
    }
    constants.resize(padded(wide), 0.0);
    constants
}

/// γ / √(σ² + ε) and β - μ · γ / √(σ² + ε), with the limits of the activation.
#[derive(Debug)]
pub(crate) struct Scales {
    scale: Vec<f32>,
    shift: Vec<f32>,
    pub mean: Vec<f32>,
    limits: Limits,
}

impl Scales {
    /// y = limit(x), for passes that only pool or add.
    pub fn identity(isa: Isa, c: usize, limits: Limits) -> Self {
        Self {
            scale: laid_out(isa, std::iter::repeat_n(1.0, c)),
            shift: laid_out(isa, std::iter::repeat_n(0.0, c)),
            mean: laid_out(isa, std::iter::repeat_n(0.0, c)),
            limits,
        }
    }

    /// y = limit(x · scale + shift)
    pub fn new(isa: Isa, scale: &[f32], shift: &[f32], limits: Limits) -> Self {
        let wide = |values: &[f32]| laid_out(isa, values.iter().map(|&v| f64::from(v)));
        Self {
            scale: wide(scale),
            shift: wide(shift),
            mean: laid_out(isa, std::iter::repeat_n(0.0, scale.len())),
            limits,
        }
    }

    pub fn affine(&self) -> Affine {
        Affine {
            scale: self.scale.as_ptr(),
            shift: self.shift.as_ptr(),
            limits: self.limits,
        }
    }
}

/// Constants of the gradient, and the gradients of γ and β.
pub(crate) struct Backward {
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    mean: Vec<f32>,
    pub dgamma: Vec<f32>,
    pub dbeta: Vec<f32>,
}

impl Backward {
    pub fn constants(&self) -> Back {
        let [a, b, c, mean] = [&self.a, &self.b, &self.c, &self.mean].map(|v| v.as_ptr());
        Back { a, b, c, mean }
    }
}

impl Channels {
    pub fn new(moments: &Moments, eps: f32) -> Self {
        let eps = f64::from(eps);
        Self {
            centre: moments.mean.clone(),
            inverse: moments
                .var
                .iter()
                .map(|var| 1.0 / (var + eps).sqrt())
                .collect(),
        }
    }

    pub fn scales(&self, isa: Isa, gamma: &[f32], beta: &[f32], limits: Limits) -> Scales {
        let scale = |i: usize| f64::from(gamma[i]) * self.inverse[i];
        let c = gamma.len();
        let shift = |i: usize| f64::from(beta[i]) - self.centre[i] * scale(i);
        Scales {
            scale: laid_out(isa, (0..c).map(scale)),
            shift: laid_out(isa, (0..c).map(shift)),
            mean: laid_out(isa, self.centre.iter().copied()),
            limits,
        }
    }

    /// The constants from the sums of all images ([`super::back::back_sums`]), which have
    /// `pixels` pixels each. Adds Taylor scores to `taylor`.
    pub fn backward(
        &self,
        isa: Isa,
        gamma: &[f32],
        beta: &[f32],
        partials: &[f32],
        pixels: usize,
        taylor: Option<&mut [f64]>,
    ) -> Backward {
        let c = gamma.len();
        let images = || partials.chunks_exact(back_sums_len(c));
        let m = (images().len() * pixels) as f64;
        let total = |offset: usize| -> Vec<f64> {
            (0..c)
                .map(|i| images().map(|image| f64::from(image[offset + i])).sum())
                .collect()
        };
        let (sum, moment) = (total(0), total(padded(c)));
        let slope = |i: usize| f64::from(gamma[i]) * self.inverse[i];
        if let Some(taylor) = taylor {
            for image in images() {
                for (i, score) in taylor.iter_mut().enumerate() {
                    // Σ y · d, because y = γ r (u - μ) + β + residual wherever d is not zero.
                    let product = slope(i) * f64::from(image[padded(c) + i])
                        + f64::from(beta[i]) * f64::from(image[i])
                        + f64::from(image[2 * padded(c) + i]);
                    *score += product.abs();
                }
            }
        }
        let square = |i: usize| self.inverse[i] * self.inverse[i];
        Backward {
            a: laid_out(isa, (0..c).map(slope)),
            b: laid_out(isa, (0..c).map(|i| -slope(i) * square(i) * moment[i] / m)),
            c: laid_out(isa, (0..c).map(|i| -slope(i) * sum[i] / m)),
            mean: laid_out(isa, self.centre.iter().copied()),
            dgamma: (0..c)
                .map(|i| (moment[i] * self.inverse[i]) as f32)
                .collect(),
            dbeta: sum.iter().map(|&v| v as f32).collect(),
        }
    }
}

/// Mean and positive share from the sums of all images ([`super::apply::apply`]), over
/// `count` pixels in all.
pub(crate) fn activation_stats(sums: &[f32], c: usize, count: f64) -> ActivationStats {
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
