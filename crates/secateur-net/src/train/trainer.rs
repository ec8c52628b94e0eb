//! The training loop over a number of steps.

use std::sync::Arc;

use burn::tensor::Gradients;

use super::{Features, Optimizer, Reference, Schedule};
use crate::data::{Augment, Batch, BatchSampler, DataError, Part, Shuffled, with_batches};
use crate::error::{NetError, Result};
use crate::interpreter::Interpreter;
use crate::pass::Bound;
use crate::score::Collector;
use crate::task::{Distillation, Targets, Task, TeacherWeight};
use crate::value::Output;
use crate::weights::Weights;

/// A training run of some steps: what is trained, on what and for how long.
#[derive(Debug)]
pub struct Slice<'a> {
    /// The (compact) network, planned for what the task reads and behind it for the teacher's features.
    pub network: &'a Interpreter,
    /// What its outputs mean.
    pub task: &'a dyn Task,
    /// Training part.
    pub data: &'a Part,
    /// Learning rate by step; its length is the number of steps.
    pub schedule: Schedule,
    /// Steps of the schedule that were taken before, in slices that an observer ended.
    pub done: usize,
    /// Label smoothing, 0..1.
    pub smoothing: f32,
    /// Changes to the images.
    pub augment: Augment,
    /// Learn from the original's outputs for `data` too.
    pub teacher: Option<&'a Teacher>,
    /// Gather kernel scores here.
    pub collector: Option<Arc<Collector>>,
}

/// Whom a network learns from besides the labels.
#[derive(Debug, Clone)]
pub struct Teacher {
    /// The original's outputs for the training part, and behind them its features.
    pub reference: Reference,
    /// How much the outputs count.
    pub weight: TeacherWeight,
    /// What is matched inside the network.
    pub features: Features,
}

/// What a teacher gives for a batch.
#[derive(Debug)]
pub struct Lesson {
    /// What the task learns from.
    pub distillation: Distillation,
    /// The original's features.
    pub features: Vec<Output>,
}

impl Teacher {
    /// For a compact network, which has only some positions of the features; see [`Features::cut`].
    #[must_use]
    pub fn cut(&self, kept: impl Fn(&str, usize) -> Option<Vec<usize>>) -> Self {
        Self {
            features: self.features.cut(kept),
            ..self.clone()
        }
    }

    /// What it gives for a batch of the training part; none where the reference is labels.
    ///
    /// # Errors
    /// As an inference pass of the original.
    pub fn lesson(&self, batch: &Batch) -> Result<Option<Lesson>> {
        let outputs = self.reference.outputs(batch)?;
        Ok(outputs.map(|mut outputs| Lesson {
            features: outputs.split_off(outputs.len() - self.features.len().min(outputs.len())),
            distillation: Distillation {
                outputs,
                weight: self.weight,
            },
        }))
    }
}

/// Told about every step; may end the slice early.
pub trait StepObserver {
    /// After step `step` of `steps`, from 0, with its loss. Returns false to stop after this step.
    fn step(&mut self, step: usize, steps: usize, loss: f32) -> bool;
}

impl StepObserver for () {
    fn step(&mut self, _: usize, _: usize, _: f32) -> bool {
        true
    }
}

/// How a slice went.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceReport {
    /// Steps taken.
    pub steps: usize,
    /// Images seen.
    pub samples: usize,
    /// Loss of every step.
    pub losses: Vec<f32>,
}

/// Largest norm of all gradients together in networks without normalisation.
///
/// Nothing there keeps activations in bounds (their batch norms were folded into the
/// convolutions), so that one steep step can throw the weights off: Pascanu, Mikolov and
/// Bengio, ICML 2013, arXiv:1211.5063, section 3.2.
const MAX_GRADIENT_NORM: f64 = 1.0;

/// What gradients are multiplied by, so that their norm is at most [`MAX_GRADIENT_NORM`].
fn clipping(bound: &Bound, gradients: &Gradients, weights: &Weights) -> f32 {
    let squares = weights
        .iter()
        .filter_map(|(name, _)| bound.tensor(name)?.grad(gradients))
        .map(|gradient| {
            let values = gradient.into_data();
            let squares = values.iter::<f32>().map(|g| f64::from(g) * f64::from(g));
            squares.sum::<f64>()
        });
    let norm = squares.sum::<f64>().sqrt();
    if norm > MAX_GRADIENT_NORM {
        (MAX_GRADIENT_NORM / norm) as f32
    } else {
        1.0
    }
}

/// Trains `weights` for a slice.
///
/// Networks without any normalisation are trained with clipped gradients.
///
/// The same seed, thread count and starting state give the same weights, bit for bit, also where the
/// schedule is gone through in several slices that go on from each other's weights, optimizer and sampler.
///
/// # Errors
/// [`NetError::Diverged`] at the first loss that is not finite; `weights` are then those after
/// the last whole pass over the data, or as they were given.
pub fn train_slice(
    slice: &Slice<'_>,
    weights: &mut Weights,
    optimizer: &mut Optimizer,
    sampler: &mut BatchSampler,
    observer: &mut dyn StepObserver,
) -> Result<SliceReport> {
    let (begin, steps) = (slice.done, slice.schedule.steps);
    check_teacher(slice)?;
    let mut report = SliceReport {
        steps: 0,
        samples: 0,
        losses: Vec::new(),
    };
    let pass = slice.data.len().div_ceil(sampler.batch_size()).max(1);
    let (mut good, mut kept) = (weights.clone(), begin);
    let ahead = Shuffled {
        sampler: sampler.clone(),
        augment: slice.augment,
    };
    let done = with_batches(
        slice.data,
        ahead.take(steps.saturating_sub(begin)),
        |batches| -> Result<()> {
            for step in begin..steps {
                if step > begin && step % pass == 0 && weights.find_non_finite().is_none() {
                    good.clone_from(weights);
                    kept = step;
                }
                let batch = batches.next().unwrap_or(Err(DataError::BatchThread))?;
                // The batch was prepared with a copy of the sampler; drawing the same here keeps the
                // sampler in step with the slice, so that a run can stop and go on.
                sampler.next_job(slice.augment);
                report.samples += batch.inputs.n;
                let loss = train_step(slice, step, batch, weights, optimizer)?;
                report.steps += 1;
                report.losses.push(loss);
                if !observer.step(step, steps, loss) {
                    break;
                }
            }
            Ok(())
        },
    );
    let step = (begin + report.steps) as u64;
    let diverged = match done {
        Err(NetError::Diverged { what, .. }) => Some(what),
        Err(error) => return Err(error),
        Ok(()) => weights.find_non_finite().map(|name| format!("`{name}`")),
    };
    match diverged {
        None => Ok(report),
        Some(what) => {
            *weights = good;
            Err(NetError::Diverged { step, what, kept })
        }
    }
}

/// Fails unless a teacher has outputs for every sample.
fn check_teacher(slice: &Slice<'_>) -> Result<()> {
    let outputs = match slice.teacher.map(|teacher| &teacher.reference) {
        Some(Reference::Stored(outputs)) => outputs,
        _ => return Ok(()),
    };
    match outputs.iter().find(|o| o.n() != slice.data.len()) {
        Some(output) => Err(NetError::Shape {
            node: slice.task.outputs().join("`, `"),
            expected: format!("a teacher's values for {} samples", slice.data.len()),
            got: format!("{:?}", output.shape),
        }),
        None => Ok(()),
    }
}

/// Forward, backward, update; returns the loss.
fn train_step(
    slice: &Slice<'_>,
    step: usize,
    batch: Batch,
    weights: &mut Weights,
    optimizer: &mut Optimizer,
) -> Result<f32> {
    let bound = slice.network.bind_training(weights);
    let collector = slice.collector.clone();
    let lesson = slice.teacher.map(|teacher| teacher.lesson(&batch));
    let lesson = lesson.transpose()?.flatten();
    let (distillation, wanted) = lesson.map(|l| (l.distillation, l.features)).unzip();
    let pass = slice
        .network
        .forward_training(&bound, batch.inputs, collector)?;
    let targets = Targets {
        labels: &batch.labels,
        smoothing: slice.smoothing,
        teacher: distillation,
    };
    let engine = slice.network.engine();
    let n_outputs = slice.task.outputs().len().min(pass.outputs.len());
    let (outputs, inside) = pass.outputs.split_at(n_outputs);
    let mut loss = slice.task.loss(engine, outputs, &targets)?;
    if let (Some(teacher), Some(wanted)) = (slice.teacher, wanted) {
        loss = teacher.features.add_to(loss, inside, &wanted)?;
    }
    let value: f32 = loss.clone().into_scalar();
    if !value.is_finite() {
        return Err(NetError::Diverged {
            step: step as u64,
            what: "the loss".to_string(),
            kept: 0,
        });
    }
    let mut gradients = pass.backward(&loss)?;
    optimizer.begin_step();
    let lr = slice.schedule.lr(step);
    let scale = if slice.network.is_normalised() {
        1.0
    } else {
        clipping(&bound, &gradients, weights)
    };
    update(&bound, &mut gradients, weights, optimizer, (lr, scale))?;
    for moments in &pass.moments {
        moments.apply(weights);
    }
    Ok(value)
}

/// Updates all weights at a learning rate, with gradients times a scale.
fn update(
    bound: &Bound,
    gradients: &mut Gradients,
    weights: &mut Weights,
    optimizer: &Optimizer,
    (lr, scale): (f32, f32),
) -> Result<()> {
    for (name, weight) in weights.iter_mut() {
        // Removed rather than cloned: as the only holder we can read its memory in place.
        let Some(gradient) = bound
            .tensor(name)
            .and_then(|leaf| leaf.grad_remove(gradients))
        else {
            continue;
        };
        let gradient = gradient.into_data();
        let values = gradient.as_slice::<f32>().map_err(|_| NetError::Graph {
            place: format!("parameter `{name}`"),
            reason: "its gradient is not a float tensor".to_string(),
        })?;
        if scale < 1.0 {
            let clipped: Vec<f32> = values.iter().map(|g| g * scale).collect();
            optimizer.update(weight, &clipped, lr);
        } else {
            optimizer.update(weight, values, lr);
        }
    }
    Ok(())
}
