//! The given network, whose outputs others are held against and learn from.

use std::sync::Arc;

use super::evaluate::predict_bound;
use super::features::Features;
use crate::data::{Batch, Part};
use crate::error::Result;
use crate::interpreter::Interpreter;
use crate::pass::Bound;
use crate::task::Task;
use crate::value::{Inputs, Output};
use crate::weights::Weights;

/// Samples that a task is fitted to at most: variances of outputs need no more.
const MOST_FITTED: usize = 128;
/// Bytes of their outputs at most.
const MOST_FITTED_BYTES: usize = 1 << 28;

/// A network with its parameters, ready for inference.
pub struct Original {
    network: Arc<Interpreter>,
    bound: Bound,
}

impl Original {
    /// Of a network that was planned for what a task reads.
    ///
    /// # Errors
    /// As [`Interpreter::bind_inference`].
    pub fn new(network: Arc<Interpreter>, weights: &Weights) -> Result<Self> {
        let bound = network.bind_inference(weights)?;
        Ok(Self { network, bound })
    }

    /// The network.
    pub fn network(&self) -> &Interpreter {
        &self.network
    }

    /// Its outputs.
    ///
    /// # Errors
    /// As [`Interpreter::forward_inference`].
    pub fn outputs(&self, inputs: Inputs) -> Result<Vec<Output>> {
        self.network.forward_inference(&self.bound, inputs)
    }

    /// A task with what it takes from the original's outputs for samples from all over a part.
    ///
    /// # Errors
    /// As [`Self::outputs`].
    pub fn fit(&self, task: Arc<dyn Task>, part: &Part) -> Result<Arc<dyn Task>> {
        if !task.needs_fitting() || part.is_empty() {
            return Ok(task);
        }
        Ok(task.fitted(&self.sample(part)?).unwrap_or(task))
    }

    /// The last of its outputs, by name, as features to match, fitted to samples from all over a part.
    ///
    /// # Errors
    /// As [`Self::outputs`].
    pub fn features(&self, names: &[String], part: &Part) -> Result<Features> {
        if names.is_empty() || part.is_empty() {
            return Ok(Features::default());
        }
        let sample = self.sample(part)?;
        Ok(Features::fit(names, &sample[sample.len() - names.len()..]))
    }

    /// Its outputs for samples from all over a part, as many as tell how outputs vary.
    fn sample(&self, part: &Part) -> Result<Vec<Output>> {
        let most = MOST_FITTED_BYTES / bytes_of(self, &part.head(1))?.max(1);
        self.predict(&part.spread(most.clamp(2, MOST_FITTED)))
    }

    /// Its outputs for every sample of a part.
    ///
    /// # Errors
    /// As [`Self::outputs`].
    pub fn predict(&self, part: &Part) -> Result<Vec<Output>> {
        predict_bound(&self.network, &self.bound, part)
    }
}

impl std::fmt::Debug for Original {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Original")
            .field("outputs", &self.network.outputs())
            .finish_non_exhaustive()
    }
}

/// What the outputs for the samples of a part are held against.
#[derive(Debug, Clone)]
pub enum Reference {
    /// The labels of the data.
    Labels,
    /// The original's outputs, for every sample of the part.
    Stored(Arc<[Output]>),
    /// The original's outputs, computed for each batch: where they would not fit into memory.
    Live(Arc<Original>),
}

impl Reference {
    /// The original's outputs for a part: stored, if they take at most so many bytes.
    ///
    /// # Errors
    /// As [`Original::outputs`].
    pub fn of(original: &Arc<Original>, part: &Part, most_bytes: usize) -> Result<Self> {
        if bytes_of(original, part)? > most_bytes {
            return Ok(Self::Live(original.clone()));
        }
        Ok(Self::Stored(original.predict(part)?.into()))
    }

    /// The original's outputs for a batch of the part; `None` for labels.
    ///
    /// # Errors
    /// As [`Original::outputs`].
    pub fn outputs(&self, batch: &Batch) -> Result<Option<Vec<Output>>> {
        Ok(match self {
            Self::Labels => None,
            Self::Stored(all) => Some(all.iter().map(|o| o.pick(&batch.indices)).collect()),
            Self::Live(original) => Some(original.outputs(batch.inputs.clone())?),
        })
    }
}

/// Bytes that the original's outputs for a whole part take, by those for one sample.
fn bytes_of(original: &Original, part: &Part) -> Result<usize> {
    let of_one = original.predict(&part.head(1))?;
    let values: usize = of_one.iter().map(|output| output.values.len()).sum();
    Ok((values * size_of::<f32>()).saturating_mul(part.len()))
}
