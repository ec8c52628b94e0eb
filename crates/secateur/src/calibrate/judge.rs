//! What is kept of what a network is for: the task's quality and figures, against the original.

use std::sync::Arc;

use secateur_net::data::Part;
use secateur_net::task::{Task, Unit};
use secateur_net::train::{Evaluation, Original, Reference, evaluate};
use secateur_net::weights::Weights;
use secateur_onnx::graph::Graph;
use serde::Serialize;

use super::plan;
use crate::prune::PruneError;

/// Bytes of the original's outputs that are kept; of more they are computed anew.
const MOST_KEPT: usize = 1 << 30;

/// A figure about the pruned network on held-out inputs, against the original.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kept {
    /// What it is: `agreement`, `mean IoU`.
    pub name: String,
    /// Right after the cut.
    pub cut: f64,
    /// With solved weights.
    pub solved: f64,
    /// What it counts.
    pub unit: Unit,
}

/// A task and what the original gives for the held-out inputs.
pub(super) struct Judge {
    task: Arc<dyn Task>,
    reference: Reference,
}

impl Judge {
    /// Of the original, whose outputs are of `task`; what that takes from them comes from
    /// `training`.
    pub fn new(
        graph: &Graph,
        weights: &Weights,
        task: Arc<dyn Task>,
        training: &Part,
        held_out: &Part,
    ) -> Result<Self, PruneError> {
        let network = Arc::new(plan(graph, &task.outputs())?);
        let original = Arc::new(Original::new(network, weights)?);
        let task = original.fit(task, training)?;
        let reference = Reference::of(&original, held_out, MOST_KEPT)?;
        Ok(Self { task, reference })
    }

    /// How good a network is.
    pub fn look(
        &self,
        graph: &Graph,
        weights: &Weights,
        held_out: &Part,
    ) -> Result<Evaluation, PruneError> {
        let network = plan(graph, &self.task.outputs())?;
        let task = self.task.as_ref();
        Ok(evaluate(
            &network,
            task,
            weights,
            held_out,
            &self.reference,
        )?)
    }

    /// Quality first, then what else the task tells. Errors by output are told apart from this.
    pub fn kept(&self, cut: &Evaluation, solved: &Evaluation) -> Vec<Kept> {
        let quality = Kept {
            name: self.task.quality_name().to_string(),
            cut: cut.quality,
            solved: solved.quality,
            unit: Unit::Share,
        };
        let figures = cut.figures.iter().zip(&solved.figures);
        let figures = figures.map(|(cut, solved)| Kept {
            name: cut.title(),
            cut: cut.value,
            solved: solved.value,
            unit: cut.unit,
        });
        let figures = figures.filter(|figure| figure.unit == Unit::Share);
        [quality].into_iter().chain(figures).collect()
    }
}

impl Kept {
    /// For people.
    pub(super) fn line(&self, held_out: usize) -> String {
        format!(
            "{}: {:.2} % right after the cut, {:.2} % with solved weights, on {held_out} held-out \
             inputs, against the given network",
            self.name,
            100.0 * self.cut,
            100.0 * self.solved,
        )
    }
}
