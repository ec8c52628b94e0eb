//! What changes from pruning epoch to pruning epoch; all of it is in the checkpoint.

use secateur_net::data::BatchSampler;
use secateur_net::train::Optimizer;
use secateur_net::weights::Weights;
use secateur_onnx::coupling::Masks;
use serde::{Deserialize, Serialize};

use super::recovering::Ongoing;
use crate::environment::Standing;
use crate::scores::Statistics;

/// What is kept of a kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct KernelState {
    /// What passes told of it last.
    pub statistics: Statistics,
    /// Pruning epochs since they were measured.
    pub age: u32,
    /// Pruning epochs since the last switch.
    pub since_switch: u32,
    /// Switches in this episode.
    pub times_switched: u32,
}

/// A network in the middle of the search: full width, with masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Active kernels and how the network stands.
    pub standing: Standing,
    /// Full-width parameters, with moments.
    pub weights: Weights,
    /// Optimiser.
    pub optimizer: Optimizer,
    /// Kernels, `[group][kernel]`.
    pub kernels: Vec<Vec<KernelState>>,
    /// The recovery that it is in the middle of, if it is.
    pub ongoing: Option<Box<Ongoing>>,
}

/// What is shared by all episodes of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shared {
    /// Batches.
    pub sampler: BatchSampler,
}

impl State {
    /// Applies new masks and counts the switches.
    pub fn switch(&mut self, masks: Masks) {
        for (g, kernels) in self.kernels.iter_mut().enumerate() {
            for (k, kernel) in kernels.iter_mut().enumerate() {
                if self.standing.masks.0[g][k] == masks.0[g][k] {
                    kernel.since_switch += 1;
                } else {
                    kernel.since_switch = 0;
                    kernel.times_switched += 1;
                }
            }
        }
        self.standing.masks = masks;
    }
}
