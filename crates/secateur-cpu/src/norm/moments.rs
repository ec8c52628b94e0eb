//! Means and variances of channels that do not cancel.
//!
//! Each image gives its sums about one of its own pixels, which is no further from its mean
//! than its pixels are; images are put together in f64 and in order (shifted data, and the
//! update of groups, in Chan, Golub and LeVeque, "Algorithms for computing the sample
//! variance", 1983). E\[x²\] - E\[x\]² in f32 would lose all digits of channels whose mean
//! is much larger than their deviation.

use super::matrix::padded;
use super::passes::moments_len;

/// Mean and biased variance of every channel.
pub(crate) struct Moments {
    pub mean: Vec<f64>,
    pub var: Vec<f64>,
}

impl Moments {
    /// Puts the results of [`super::passes::moments`] for images of equally many pixels
    /// together.
    pub fn combine(partials: &[f32], c: usize, pixels: usize) -> Self {
        let images = partials.chunks_exact(moments_len(c));
        let n = pixels as f64;
        let total = n * images.len() as f64;
        let at = |image: &[f32], array: usize, i: usize| f64::from(image[array * padded(c) + i]);
        let mean_of = |image: &[f32], i: usize| at(image, 0, i) + at(image, 1, i) / n;
        let mut mean = vec![0.0; c];
        for image in images.clone() {
            for (i, mean) in mean.iter_mut().enumerate() {
                *mean += mean_of(image, i);
            }
        }
        mean.iter_mut().for_each(|mean| *mean *= n / total);
        let mut var = vec![0.0; c];
        for image in images {
            for (i, var) in var.iter_mut().enumerate() {
                let sum = at(image, 1, i);
                let about_own_mean = at(image, 2, i) - sum * sum / n;
                *var += about_own_mean + n * (mean_of(image, i) - mean[i]).powi(2);
            }
        }
        var.iter_mut()
            .for_each(|var| *var = (*var / total).max(0.0));
        Self { mean, var }
    }
}
