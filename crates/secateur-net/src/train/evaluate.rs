//! Quality and loss on a part of the data.

use serde::{Deserialize, Serialize};

use super::original::Reference;
use crate::data::{Batch, Part, in_order, with_batches};
use crate::error::Result;
use crate::interpreter::Interpreter;
use crate::pass::Bound;
use crate::task::{Figure, Judged, Task, Wanted};
use crate::value::Output;
use crate::weights::Weights;

/// Samples per inference pass at most.
const MOST_SAMPLES: usize = 250;
/// Values that the inputs of an inference pass hold at most: with them the memory of a pass
/// stays within bounds, whatever the size of the samples.
const MOST_VALUES: usize = 1 << 22;

/// How well a network does on a part of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean quality of all samples, 0..=1; of a classifier with labels, its accuracy.
    pub quality: f64,
    /// Mean loss without smoothing.
    pub loss: f64,
    /// Quality of each sample, 0..=1; of a classifier, 1 for a right answer.
    pub samples: Vec<f32>,
    /// Per class, where samples fall into classes: those of quality 1, and all.
    pub per_class: Vec<(u64, u64)>,
    /// What else the task tells of the part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figure>,
}

/// Calls `take` with each batch of a part, in order.
pub(super) fn for_each_batch(part: &Part, mut take: impl FnMut(Batch) -> Result<()>) -> Result<()> {
    let most = MOST_VALUES / part.n_values().max(1);
    let batch = most.clamp(1, MOST_SAMPLES);
    with_batches(part, in_order(part, batch), |batches| {
        while let Some(batch) = batches.next() {
            take(batch?)?;
        }
        Ok(())
    })
}

/// The outputs of every sample of a part.
///
/// # Errors
/// As [`Interpreter::forward_inference`].
pub fn predict(network: &Interpreter, weights: &Weights, part: &Part) -> Result<Vec<Output>> {
    predict_bound(network, &network.bind_inference(weights)?, part)
}

/// [`predict`] with parameters that are bound.
pub(super) fn predict_bound(
    network: &Interpreter,
    bound: &Bound,
    part: &Part,
) -> Result<Vec<Output>> {
    let mut all = vec![Output::default(); network.outputs().len()];
    for_each_batch(part, |batch| {
        let outputs = network.forward_inference(bound, batch.inputs)?;
        for (all, output) in all.iter_mut().zip(outputs) {
            all.append(output);
        }
        Ok(())
    })?;
    Ok(all)
}

/// Evaluates a network that was planned for the outputs of `task`.
///
/// # Errors
/// As [`Interpreter::forward_inference`] and [`Task::judge`].
pub fn evaluate(
    network: &Interpreter,
    task: &dyn Task,
    weights: &Weights,
    part: &Part,
    reference: &Reference,
) -> Result<Evaluation> {
    Ok(judge(network, task, weights, part, reference)?.evaluation())
}

/// Every sample of a part, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The samples, in order.
    pub samples: Vec<Judged>,
    /// What else the task tells of the part.
    pub figures: Vec<Figure>,
    n_classes: usize,
}

/// Judges a network sample by sample; it was planned for the outputs of `task`.
///
/// # Errors
/// As [`Interpreter::forward_inference`] and [`Task::judge`].
pub fn judge(
    network: &Interpreter,
    task: &dyn Task,
    weights: &Weights,
    part: &Part,
    reference: &Reference,
) -> Result<Judgement> {
    let bound = network.bind_inference(weights)?;
    judge_by(task, part, |batch| {
        let wanted = reference.outputs(&batch)?;
        Ok((wanted, network.forward_inference(&bound, batch.inputs)?))
    })
}

/// Judges a network that runs elsewhere. `answer` gives, for a batch, what is wanted, or nothing where
/// labels say that, and the values of the task's outputs.
///
/// # Errors
/// As [`Task::judge`], and what `answer` fails at.
pub fn judge_by(
    task: &dyn Task,
    part: &Part,
    mut answer: impl FnMut(Batch) -> Result<(Option<Vec<Output>>, Vec<Output>)>,
) -> Result<Judgement> {
    let mut samples = Vec::with_capacity(part.len());
    let mut gathered = task.gather();
    for_each_batch(part, |mut batch| {
        let labels = std::mem::take(&mut batch.labels);
        let (wanted, outputs) = answer(batch)?;
        let wanted = Wanted::of(wanted.as_deref(), &labels);
        samples.extend(match &mut gathered {
            Some(gathered) => gathered.add(&outputs, wanted)?,
            None => task.judge(&outputs, wanted)?,
        });
        Ok(())
    })?;
    Ok(Judgement {
        samples,
        figures: gathered.map_or_else(Vec::new, |gathered| gathered.figures()),
        n_classes: task.n_classes().unwrap_or(0),
    })
}

impl Judgement {
    /// All samples together.
    pub fn evaluation(self) -> Evaluation {
        let mut per_class = vec![(0u64, 0u64); self.n_classes];
        for judged in &self.samples {
            let class = judged.class.and_then(|c| per_class.get_mut(c as usize));
            if let Some((right, all)) = class {
                *right += u64::from(judged.quality >= 1.0);
                *all += 1;
            }
        }
        let n = self.samples.len().max(1) as f64;
        // A sum of nothing would be -0.
        let sum = |of: fn(&Judged) -> f64| self.samples.iter().fold(0.0, |sum, j| sum + of(j));
        Evaluation {
            quality: sum(|judged| f64::from(judged.quality)) / n,
            loss: sum(|judged| judged.loss) / n,
            samples: self.samples.iter().map(|judged| judged.quality).collect(),
            per_class,
            figures: self.figures,
        }
    }
}
