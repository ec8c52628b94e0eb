//! What a network's outputs mean: their loss and their quality.
//!
//! Everything else (training, evaluation, probes, searches) asks the task and knows outputs
//! only as values with names. A new kind is a file here and a line in [`find`].

mod classify;
mod cross_entropy;
mod targets;

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::Tensor;
use secateur_onnx::graph::Graph;

pub use classify::Classify;
pub use targets::{Against, Distillation, Judged, Targets, TeacherWeight, Wanted};

use crate::engine::Engine;
use crate::error::Result;
use crate::value::{Dense, Output};

/// What the outputs of a network mean.
///
/// Outputs come in the order of [`Task::outputs`], each in the file's order of axes, whose
/// first counts samples.
pub trait Task: Debug + Send + Sync {
    /// One word for the kind, as in files: `classify`.
    fn name(&self) -> &'static str;

    /// What people call its quality: `accuracy`.
    fn quality_name(&self) -> &'static str;

    /// The values of the graph that it reads.
    fn outputs(&self) -> Vec<&str>;

    /// What its quality is held against.
    fn against(&self) -> Against;

    /// Number of classes that samples fall into; `None` without classes.
    fn n_classes(&self) -> Option<usize>;

    /// One line for people.
    fn describe(&self) -> String;

    /// Mean loss of a batch, of which gradients are taken.
    ///
    /// # Errors
    /// [`crate::NetError::Shape`] for outputs or targets that do not fit.
    fn loss(&self, engine: &Engine, outputs: &[Dense], targets: &Targets<'_>) -> Result<Tensor<1>>;

    /// How good the outputs of each sample are; smoothing and teachers have no part in it.
    ///
    /// # Errors
    /// [`crate::NetError::Shape`] for outputs that do not fit, and where `wanted` is not what
    /// [`Task::against`] says.
    fn judge(&self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Judged>>;
}

/// The task of a graph on data with or without labels.
///
/// # Errors
/// [`crate::NetError::Task`] says what the file has instead of what a task takes.
pub fn find(graph: &Graph, against: Against) -> Result<Arc<dyn Task>> {
    Ok(Arc::new(Classify::find(graph, against)?))
}
