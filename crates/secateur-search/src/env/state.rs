//! What changes from pruning epoch to pruning epoch; all of it is in the checkpoint.

use secateur_net::data::BatchSampler;
use secateur_net::train::Optimizer;
use secateur_net::weights::Weights;
use secateur_onnx::coupling::Masks;
use serde::{Deserialize, Serialize};

use super::KernelScores;

/// A network in the middle of the search: full width, with masks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Active kernels.
    pub masks: Masks,
    /// Full-width parameters, with moments.
    pub weights: Weights,
    /// Optimiser.
    pub optimizer: Optimizer,
    /// Scores, `[group][kernel]`.
    pub scores: Vec<Vec<KernelScores>>,
    /// Accuracy on the search part after the last slice, 0..=1.
    pub accuracy: f64,
    /// Loss there.
    pub loss: f64,
    /// Convergence rate of the last slice.
    pub convergence: f64,
}

/// What is shared by all episodes of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shared {
    /// Batches.
    pub sampler: BatchSampler,
    /// Training cost so far, sample-MACs.
    pub cost: f64,
}
