//! How much memory a network takes.

use crate::data::Part;
use crate::error::Result;
use crate::interpreter::{Interpreter, Walk};
use crate::weights::Weights;

/// Values that all steps of a network give for one sample, the first of a part.
///
/// # Errors
/// As an inference pass.
pub fn values_of_a_sample(network: &Interpreter, weights: &Weights, part: &Part) -> Result<usize> {
    let batch = part.batch(&part.run(0, 1))?;
    let inputs = network.input_values(batch.inputs, network.engine().device())?;
    let mut walk = Walk::new(network, weights, &[inputs])?;
    let mut values = 0;
    while walk.node().is_some() {
        values += walk.step(weights)?;
    }
    Ok(values)
}
