//! How much is taken at once: samples of a training step, outputs of the original.

use std::sync::Arc;

use secateur_net::task::{Against, LastPooling, TeacherWeight};
use secateur_net::train::{Original, Reference, Teacher, footprint_of_a_sample};
use secateur_net::{Interpreter, NetError};

use super::Problem;
use super::held::MOST_STORED;
use crate::config::{FEW_SAMPLES, TrainingConfig};

/// Memory that what the layers of a training step give may take where no bound is set.
const MOST_BYTES: usize = 4 << 30;
/// Steps that a pass over the training samples has at least.
const LEAST_STEPS_OF_A_PASS: usize = 8;
/// Samples of a step at least, where there are so many: batch norms need some.
const LEAST_BATCH: usize = 8;

/// How much of the training data a step takes.
pub(super) struct StepSize {
    /// Samples.
    pub batch_size: usize,
    /// Whether steps of the given network compute values a second time to keep within the memory.
    pub recomputes: bool,
}

/// Samples of a step: as many as wanted, but fewer where samples are large or few. With a bound on the
/// memory only those are too large that do not fit with values computed twice.
///
/// # Errors
/// As a training pass.
pub(super) fn step_size(problem: &Problem, wanted: usize) -> Result<StepSize, NetError> {
    let footprint = footprint_of_a_sample(&problem.network, &problem.weights, &problem.train)?;
    let of_a_sample = footprint.peak(&[]);
    let bound = problem.engine.memory();
    // Sample by sample nothing is computed twice.
    let memory = bound.filter(|_| !problem.network.is_fed_one_by_one());
    let by_memory = match memory {
        None => bound.unwrap_or(MOST_BYTES) / of_a_sample.max(1),
        Some(bytes) => bytes / footprint.peak(&footprint.cuts(0)).max(1),
    };
    let by_count = problem.train.len() / LEAST_STEPS_OF_A_PASS;
    let batch_size = wanted.min(by_memory).min(by_count.max(LEAST_BATCH)).max(1);
    Ok(StepSize {
        batch_size,
        recomputes: memory.is_some_and(|bytes| batch_size * of_a_sample > bytes),
    })
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
    let network = network.fed_as(&problem.network);
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
