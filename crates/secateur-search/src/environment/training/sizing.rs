//! How much is taken at once: samples of a training step, outputs of the original.

use std::sync::Arc;

use secateur_net::task::{Against, LastPooling, TeacherWeight};
use secateur_net::train::{Original, Reference, Teacher, values_of_a_sample};
use secateur_net::{Interpreter, NetError};

use super::Problem;
use super::held::MOST_STORED;
use crate::config::{FEW_SAMPLES, TrainingConfig};

/// Values that the layers of a training step may give, all together: with their gradients and what
/// routines keep aside they take about 12 bytes each, 4 GiB in all.
const MOST_VALUES: usize = 350_000_000;
/// Steps that a pass over the training samples has at least.
const LEAST_STEPS_OF_A_PASS: usize = 8;
/// Samples of a step at least, where there are so many: batch norms need some.
const LEAST_BATCH: usize = 8;

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

/// Whom networks learn from: the original's outputs for the training part, stored where they fit
/// and stay true, and of networks that are held against it what its last pooling reads. Where outputs
/// are stored, images are moved without the original knowing, so that what the pooling gives is
/// matched instead.
///
/// # Errors
/// As an inference pass of the original.
pub(super) fn teacher(problem: &Problem, training: &TrainingConfig) -> Result<Teacher, NetError> {
    let task = problem.task.as_ref();
    let is_held = task.against() == Against::Original;
    let is_moved = problem.train.is_images();
    let is_live = is_held && is_moved && problem.train.len() < FEW_SAMPLES;
    let poolings = match is_held {
        true => LastPooling::find(&problem.graph, &task.outputs())?,
        false => Vec::new(),
    };
    let at = |pooling: LastPooling| match is_moved && !is_live {
        true => pooling.row,
        false => Some(pooling.map),
    };
    let names: Vec<String> = poolings.into_iter().filter_map(at).collect();
    let mut planned = task.outputs();
    planned.extend(names.iter().map(String::as_str));
    let network = Interpreter::new(&problem.graph, &planned, &problem.engine)?;
    let original = Arc::new(Original::new(Arc::new(network), &problem.weights)?);
    let features = original.features(&names, &problem.train)?;
    let reference = match is_live {
        true => Reference::Live(original),
        false => Reference::of(&original, &problem.train, MOST_STORED)?,
    };
    Ok(Teacher {
        reference,
        weight: TeacherWeight {
            share: training.share_of_distillation(problem.train.len()),
            temperature: training.temperature,
        },
        features,
    })
}
