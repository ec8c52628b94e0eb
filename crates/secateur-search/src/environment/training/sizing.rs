//! How much is taken at once: samples of a training step, outputs of the original.

use secateur_net::NetError;
use secateur_net::task::Against;
use secateur_net::train::{Reference, values_of_a_sample};

use super::Problem;
use super::held::MOST_STORED;

/// Values that the layers of a training step may give, all together: with their gradients and what
/// routines keep aside they take about 12 bytes each, 4 GiB in all.
const MOST_VALUES: usize = 350_000_000;
/// Steps that a pass over the training samples has at least.
const LEAST_STEPS_OF_A_PASS: usize = 8;
/// Samples of a step at least, where there are so many: batch norms need some.
const LEAST_BATCH: usize = 8;

/// Training samples below which the original looks at every changed sample anew, so that chance
/// may change them: few samples are soon known by heart.
const FEW_SAMPLES: usize = 2000;

/// Samples of a step: as many as wanted, but fewer where samples are large or few.
///
/// # Errors
/// As an inference pass.
pub(super) fn batch_size(problem: &Problem, wanted: usize) -> Result<usize, NetError> {
    let values = values_of_a_sample(&problem.network, &problem.weights, &problem.train)?;
    let by_memory = MOST_VALUES / values.max(1);
    let by_count = problem.train.len() / LEAST_STEPS_OF_A_PASS;
    Ok(wanted.min(by_memory).min(by_count.max(LEAST_BATCH)).max(1))
}

/// The original's outputs for the training part: stored where they fit and stay true.
///
/// # Errors
/// As an inference pass.
pub(super) fn teacher(problem: &Problem) -> Result<Reference, NetError> {
    let task = problem.task.as_ref();
    let moves = task.against() == Against::Original && task.moves_with_inputs();
    let is_few = problem.train.len() < FEW_SAMPLES && problem.train.is_images();
    match moves && is_few {
        true => Ok(Reference::Live(problem.original.clone())),
        false => Reference::of(&problem.original, &problem.train, MOST_STORED),
    }
}
