//! Optimisers on plain memory, so that their moments can be gathered and
//! scattered with the kernels they belong to.

use secateur_cpu::optimizer::{Adam, Sgd, adam, sgd};
use serde::{Deserialize, Serialize};

use crate::extension::timed;
use crate::settings::{NOT_ALL, SHARE};
use crate::weights::{Weight, WeightRole};
use crate::{choices, settings};

choices! {
    /// Which update rule.
    pub enum OptimizerKind {
        /// Stochastic gradient descent with momentum.
        ///
        /// v = momentum · v + g + decay · w; w = w - lr · v (no dampening, as PyTorch's default).
        Sgd = "sgd",
        /// Adam with decoupled weight decay.
        ///
        /// Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101.
        Adamw = "adamw",
    }
}

settings! {
    /// The update rule and its constants.
    pub struct OptimizerConfig {
        /// Update rule.
        ///
        /// SGD generalises best where the rate is scheduled.
        pub kind: OptimizerKind = OptimizerKind::Sgd, flag "--optimizer <OPTIMIZER>";
        /// Momentum of SGD.
        ///
        /// Usual; no dampening.
        pub momentum: f32 = 0.9, in NOT_ALL;
        /// Weight decay (not on norms and biases).
        ///
        /// Usual for VGG-like networks with batch norm.
        pub weight_decay: f32 = 5e-4, in SHARE, flag "--weight-decay <WEIGHT_DECAY>";
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
                let (w, m) = (&mut weight.data, &mut weight.moment1);
                let update = |w: f32, mean: f32, root: f32| w - lr * (mean / root + decay * w);
                let v = &mut weight.moment2;
                adam(&Adam::USUAL, self.steps, w, m, v, gradient, update);
            }
        }
    }
}
