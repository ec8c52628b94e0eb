//! Means and variances of channels that do not cancel.
//!
//! Each image gives its own mean and its sum of squared deviations from that mean; they
//! are put together in f64 and in order (Chan, Golub and LeVeque, "Algorithms for
//! computing the sample variance", 1983). E\[x²\] - E\[x\]² in f32 would lose all digits
//! of channels whose mean is much larger than their deviation.

use super::passes::{self, Matrix, padded};
use crate::isa::Isa;

/// Floats of the partial results of one image: sums, then squared deviations.
pub(crate) fn partial_len(c: usize) -> usize {
    2 * padded(c)
}

/// Partial results of one image; `scratch` is padded.
///
/// # Safety
/// The machine has `isa`; `x` is the matrix, `partial` has [`partial_len`] floats.
pub(crate) unsafe fn of_image(
    isa: Isa,
    m: Matrix,
    x: *const f32,
    scratch: &mut [f32],
    partial: *mut f32,
) {
    debug_assert_eq!(scratch.len(), padded(m.c));
    // SAFETY: the caller's contract.
    unsafe {
        passes::sums(isa, m, x, partial);
        for (c, mean) in scratch[..m.c].iter_mut().enumerate() {
            *mean = *partial.add(c) / m.pixels as f32;
        }
        passes::squares(isa, m, x, scratch.as_ptr(), partial.add(padded(m.c)));
    }
}

/// Mean and biased variance of every channel.
pub(crate) struct Moments {
    pub mean: Vec<f64>,
    pub var: Vec<f64>,
}

impl Moments {
    /// Puts partial results of equally many pixels together.
    pub fn combine(partials: &[f32], c: usize, pixels: usize) -> Self {
        let images = partials.chunks_exact(partial_len(c));
        let n = pixels as f64;
        let total = n * images.len() as f64;
        let mut mean = vec![0.0; c];
        for image in images.clone() {
            for (mean, &sum) in mean.iter_mut().zip(image) {
                *mean += f64::from(sum);
            }
        }
        mean.iter_mut().for_each(|mean| *mean /= total);
        let mut var = vec![0.0; c];
        for image in images {
            let squares = &image[padded(c)..];
            for i in 0..c {
                // The squares are about the image's mean in f32: shift them from there.
                let about = f64::from(image[i] / pixels as f32);
                let exact = f64::from(image[i]) / n;
                let inner = f64::from(squares[i]) - n * (about - exact).powi(2);
                var[i] += inner + n * (exact - mean[i]).powi(2);
            }
        }
        var.iter_mut()
            .for_each(|var| *var = (*var / total).max(0.0));
        Self { mean, var }
    }
}
