//! A part of the data that networks are held against.

use std::sync::Arc;

use secateur_net::data::Part;
use secateur_net::task::{Against, Task};
use secateur_net::train::{Evaluation, Judgement, Original, Reference, judge};
use secateur_net::weights::Weights;
use secateur_net::{Interpreter, NetError};

/// Bytes of the original's outputs that are kept for a part at most; beyond that they are
/// computed for each batch anew.
pub(super) const MOST_STORED: usize = 1 << 29;

/// Samples, and what the outputs for them are held against.
#[derive(Debug, Clone)]
pub struct Held {
    /// The samples.
    pub part: Part,
    /// Their labels, or the original's outputs for them.
    pub reference: Reference,
}

impl Held {
    /// Of a part, as a task needs it.
    ///
    /// # Errors
    /// As an inference pass of the original.
    pub fn new(part: Part, task: &dyn Task, original: &Arc<Original>) -> Result<Self, NetError> {
        let reference = match task.against() {
            Against::Original if !part.is_empty() => Reference::of(original, &part, MOST_STORED)?,
            Against::Original | Against::Labels => Reference::Labels,
        };
        Ok(Self { part, reference })
    }

    /// How well a network does.
    ///
    /// # Errors
    /// As an inference pass.
    pub fn evaluate(
        &self,
        network: &Interpreter,
        task: &dyn Task,
        weights: &Weights,
    ) -> Result<Evaluation, NetError> {
        Ok(self.judge(network, task, weights)?.evaluation())
    }

    /// How well it does on each sample.
    ///
    /// # Errors
    /// As an inference pass.
    pub fn judge(
        &self,
        network: &Interpreter,
        task: &dyn Task,
        weights: &Weights,
    ) -> Result<Judgement, NetError> {
        judge(network, task, weights, &self.part, &self.reference)
    }
}
