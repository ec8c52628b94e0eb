//! Batch norms as a pass sees them: names of their parameters, statistics of a batch.

use crate::weights::Weights;

/// Names of a batch norm's parameters and its constants.
#[derive(Debug, Clone)]
pub struct NormNames {
    /// Node name.
    pub node: String,
    /// Scale, `[c]`.
    pub gamma: String,
    /// Shift, `[c]`.
    pub beta: String,
    /// Running mean, `[c]`.
    pub mean: String,
    /// Running variance, `[c]`.
    pub variance: String,
    /// Added to the variance.
    pub epsilon: f32,
    /// Share of the running statistics that is kept at each step (ONNX: 0.9).
    pub momentum: f32,
}

/// Batch statistics of one batch norm in one training pass.
#[derive(Debug, Clone)]
pub struct BatchMoments {
    mean_name: String,
    variance_name: String,
    momentum: f32,
    mean: Vec<f32>,
    /// Unbiased, as the running variance of PyTorch and of ONNX (opset 15) is kept.
    variance: Vec<f32>,
}

impl BatchMoments {
    /// From the biased variance over `count` elements a channel.
    pub fn new(norm: &NormNames, mean: &[f32], biased_variance: &[f32], count: usize) -> Self {
        let unbias = if count > 1 {
            count as f32 / (count - 1) as f32
        } else {
            1.0
        };
        Self {
            mean_name: norm.mean.clone(),
            variance_name: norm.variance.clone(),
            momentum: norm.momentum,
            mean: mean.to_vec(),
            variance: biased_variance.iter().map(|v| v * unbias).collect(),
        }
    }

    /// Moves the running statistics: running · momentum + batch · (1 - momentum).
    pub fn apply(&self, weights: &mut Weights) {
        for (name, batch) in [
            (&self.mean_name, &self.mean),
            (&self.variance_name, &self.variance),
        ] {
            if let Some(weight) = weights.get_mut(name) {
                for (running, new) in weight.data.iter_mut().zip(batch) {
                    *running = *running * self.momentum + new * (1.0 - self.momentum);
                }
            }
        }
    }
}
