//! The inputs that weights are solved on.

use super::SolveOptions;
use crate::data::{DataError, Part};
use crate::error::Result;
use crate::interpreter::{Interpreter, Walk};
use crate::value::Value;
use crate::weights::Weights;

/// Share of the inputs whose rows are held out: 1 in so many.
const HELD_OUT: usize = 5;

/// Inputs of a batch. Layers work on one batch after the other, so it is small.
const BATCH: usize = 32;

/// Batches of inputs by name; those at the end are held out.
#[derive(Debug)]
pub(super) struct Inputs {
    /// Inputs in each batch.
    pub sizes: Vec<usize>,
    /// Batches that are fitted.
    pub fit: usize,
    batches: Vec<Vec<(String, Value)>>,
}

impl Inputs {
    /// The first of a part, at most as many as the options say, fewer if the values of a network
    /// do not fit into memory.
    ///
    /// # Errors
    /// [`NetError::Task`] for a part with fewer than 2 inputs; as an inference pass.
    pub fn new(
        network: &Interpreter,
        weights: &Weights,
        part: &Part,
        options: &SolveOptions,
    ) -> Result<Self> {
        let wanted = options.inputs.min(part.len());
        if wanted < 2 {
            let too_few = DataError::TooFew {
                what: "solve weights",
                needed: 2,
                got: wanted,
            };
            return Err(too_few.into());
        }
        let probe = part.batch(&part.run(0, 1))?.inputs;
        let probe = network.goes_with(weights, probe)?.into_iter().next();
        let probe = values(network, probe.unwrap_or_default())?;
        let fits = options.memory / bytes_per_input(network, weights, probe)?.max(1);
        let count = wanted.min(fits.max(2));
        let size = BATCH.min(count.div_ceil(HELD_OUT));
        let mut inputs = Self {
            sizes: Vec::new(),
            fit: 0,
            batches: Vec::new(),
        };
        let mut start = 0;
        while start < count {
            let job = part.run(start, size.min(count - start));
            let batch = part.batch(&job)?.inputs;
            start += batch.n;
            for go in network.goes_with(weights, batch)? {
                inputs.sizes.push(go.n);
                inputs.batches.push(values(network, go)?);
            }
        }
        let n = inputs.sizes.len();
        inputs.fit = n - n.div_ceil(HELD_OUT).min(n - 1);
        Ok(inputs)
    }

    /// Number of inputs.
    pub fn len(&self) -> usize {
        self.sizes.iter().sum()
    }

    /// Some of the batches, as a walk takes them.
    pub fn named(&self, batches: std::ops::Range<usize>) -> Vec<Vec<(&str, Value)>> {
        self.batches[batches]
            .iter()
            .map(|batch| named(batch))
            .collect()
    }
}

fn named(batch: &[(String, Value)]) -> Vec<(&str, Value)> {
    let inputs = batch.iter();
    inputs
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect()
}

/// A batch's inputs by name.
fn values(network: &Interpreter, batch: crate::value::Inputs) -> Result<Vec<(String, Value)>> {
    let values = network.input_values(batch, network.engine().device())?;
    Ok(values
        .into_iter()
        .map(|(name, value)| (name.to_string(), value))
        .collect())
}

/// Most memory that the values of one input take at a time.
fn bytes_per_input(
    network: &Interpreter,
    weights: &Weights,
    probe: Vec<(String, Value)>,
) -> Result<usize> {
    let mut walk = Walk::new(network, weights, &[named(&probe)])?;
    let mut most = 0;
    while walk.node().is_some() {
        walk.step(weights)?;
        most = most.max(walk.len());
    }
    Ok(most * size_of::<f32>())
}
