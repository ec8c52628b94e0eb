//! Optimisers on plain memory, so that their moments can be gathered and
//! scattered with the kernels they belong to.

use secateur_cpu::optimizer::{Sgd, sgd};
use serde::{Deserialize, Serialize};

use crate::extension::timed;
use crate::weights::{Weight, WeightRole};

/// Which update rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// v = momentum · v + g + decay · w; w = w - lr · v (no dampening, as PyTorch's default).
    Sgd,
    /// Adam with decoupled weight decay: Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101.
    Adamw,
}

/// Hyperparameters, all written out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Update rule.
    pub kind: OptimizerKind,
    /// SGD momentum, 0..1.
    pub momentum: f32,
    /// AdamW: decay of the first moment, 0..1.
    pub beta1: f32,
    /// AdamW: decay of the second moment, 0..1.
    pub beta2: f32,
    /// AdamW: added to the root of the second moment.
    pub epsilon: f32,
    /// Weight decay of weights; never on norms and biases.
    pub weight_decay: f32,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Sgd,
            momentum: 0.9,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 5e-4,
        }
    }
}

/// Applies gradients to weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Optimizer {
    config: OptimizerConfig,
    /// Steps taken since the moments were last cleared (AdamW's bias correction).
    steps: u64,
}

impl Optimizer {
    /// With no steps taken.
    pub fn new(config: OptimizerConfig) -> Self {
        Self { config, steps: 0 }
    }

    /// Begins a step; call once before the tensors of that step are updated.
    pub fn begin_step(&mut self) {
        self.steps += 1;
    }

    /// Updates one parameter.
    pub fn update(&self, weight: &mut Weight, gradient: &[f32], lr: f32) {
        let config = &self.config;
        let decay = match weight.role {
            WeightRole::Weight => config.weight_decay,
            WeightRole::Vector => 0.0,
            WeightRole::Running => return,
        };
        weight.moment1.resize(weight.data.len(), 0.0);
        match config.kind {
            OptimizerKind::Sgd => {
                let step = Sgd {
                    momentum: config.momentum,
                    decay,
                    lr,
                };
                timed(|| sgd(&step, &mut weight.data, &mut weight.moment1, gradient));
            }
            OptimizerKind::Adamw => {
                weight.moment2.resize(weight.data.len(), 0.0);
                let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
                let correction1 = 1.0 - config.beta1.powi(steps);
                let correction2 = 1.0 - config.beta2.powi(steps);
                let values = weight
                    .data
                    .iter_mut()
                    .zip(&mut weight.moment1)
                    .zip(&mut weight.moment2)
                    .zip(gradient);
                for (((w, m), v), &g) in values {
                    *m = config.beta1 * *m + (1.0 - config.beta1) * g;
                    *v = config.beta2 * *v + (1.0 - config.beta2) * g * g;
                    let step = (*m / correction1) / ((*v / correction2).sqrt() + config.epsilon);
                    *w -= lr * (step + decay * *w);
                }
            }
        }
    }
}
