//! Mean and deviation by channel, from the training part alone.

use serde::{Deserialize, Serialize};

use super::{DataError, Dataset};

/// x' = (x - mean) / std, by channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Deviation of each channel, above 0.
    pub std: Vec<f32>,
}

impl Normalisation {
    /// Changes nothing.
    pub fn identity(channels: usize) -> Self {
        Self {
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
        }
    }

    /// Measures the images at `indices`, summed in f64.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    pub fn measure(data: &dyn Dataset, indices: &[usize]) -> Result<Self, DataError> {
        let [h, w, c] = data.image_shape();
        let mut image = vec![0.0f32; h * w * c];
        let (mut sum, mut squares) = (vec![0.0f64; c], vec![0.0f64; c]);
        for &index in indices {
            data.read(index, &mut image)?;
            for pixel in image.chunks_exact(c) {
                for (channel, &value) in pixel.iter().enumerate() {
                    sum[channel] += f64::from(value);
                    squares[channel] += f64::from(value) * f64::from(value);
                }
            }
        }
        let count = (indices.len() * h * w).max(1) as f64;
        let mean: Vec<f64> = sum.iter().map(|s| s / count).collect();
        let std = squares
            .iter()
            .zip(&mean)
            .map(|(s, m)| (s / count - m * m).max(0.0).sqrt())
            // A channel that never changes stays as it is.
            .map(|s| if s > 1e-6 { s as f32 } else { 1.0 })
            .collect();
        Ok(Self {
            mean: mean.iter().map(|&m| m as f32).collect(),
            std,
        })
    }

    /// Normalises images of interleaved channels in place.
    pub fn apply(&self, values: &mut [f32]) {
        for pixel in values.chunks_exact_mut(self.mean.len().max(1)) {
            for ((value, mean), std) in pixel.iter_mut().zip(&self.mean).zip(&self.std) {
                *value = (*value - mean) / std;
            }
        }
    }
}
