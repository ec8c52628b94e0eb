//! What changes from pruning epoch to pruning epoch; all of it is in the checkpoint.

use secateur_net::data::BatchSampler;
use secateur_net::train::Optimizer;
use secateur_net::weights::Weights;
use secateur_onnx::coupling::Masks;
use serde::{Deserialize, Serialize};

use crate::environment::Standing;
use crate::record::{KernelId, ReactivatedBy, Reactivation};
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

    /// The `count` healthiest dormant kernels of groups that may be switched.
    pub fn healthiest(&self, switchable: &[bool], count: usize) -> Vec<Reactivation> {
        let mut dormant: Vec<Reactivation> = Vec::new();
        for (group, kernels) in self.kernels.iter().enumerate() {
            for (index, kernel) in kernels.iter().enumerate() {
                if switchable[group] && !self.standing.masks.0[group][index] {
                    dormant.push(Reactivation {
                        kernel: KernelId { group, index },
                        health: kernel.statistics.health,
                        by: ReactivatedBy::Rule,
                    });
                }
            }
        }
        dormant.sort_by(|a, b| b.health.total_cmp(&a.health).then(a.kernel.cmp(&b.kernel)));
        dormant.truncate(count);
        // In the order of the network, as all lists of kernels are.
        dormant.sort_by_key(|back| back.kernel);
        dormant
    }
}
