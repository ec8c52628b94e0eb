//! How much memory a network takes.

use crate::data::Part;
use crate::error::Result;
use crate::interpreter::{Footprint, Interpreter};
use crate::weights::Weights;

/// What a training pass gives and holds for one sample, the first of a part.
///
/// # Errors
/// As a training pass.
pub fn footprint_of_a_sample(
    network: &Interpreter,
    weights: &Weights,
    part: &Part,
) -> Result<Footprint> {
    let batch = part.batch(&part.run(0, 1))?;
    network.footprint(&network.bind_training(weights), batch.inputs)
}
