//! Quality and loss on a part of the data.

use serde::{Deserialize, Serialize};

use crate::data::{Part, in_order, with_batches};
use crate::error::{NetError, Result};
use crate::interpreter::Interpreter;
use crate::task::Task;
use crate::value::Output;
use crate::weights::Weights;

/// Images per inference pass.
const BATCH: usize = 250;

/// How well a network does on a part of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean quality of all samples, 0..=1; of a classifier, its accuracy.
    pub quality: f64,
    /// Mean loss without smoothing.
    pub loss: f64,
    /// Quality of each sample, 0..=1; of a classifier, 1 for a right answer.
    pub samples: Vec<f32>,
    /// Per class, where labels are classes: samples of quality 1, and all.
    pub per_class: Vec<(u64, u64)>,
}

/// Calls `take` with the outputs and labels of each batch of a part, in order.
fn for_each_batch(
    network: &Interpreter,
    weights: &Weights,
    part: &Part,
    mut take: impl FnMut(Vec<Output>, &[u32]) -> Result<()>,
) -> Result<()> {
    let bound = network.bind_inference(weights)?;
    with_batches(part, in_order(part, BATCH), |batches| {
        while let Some(batch) = batches.next() {
            let batch = batch?;
            let outputs = network.forward_inference(&bound, batch.inputs, batch.n)?;
            for (name, output) in network.outputs().into_iter().zip(&outputs) {
                if output.n() != batch.n {
                    return Err(NetError::Shape {
                        node: name.to_string(),
                        expected: format!("values for {} samples", batch.n),
                        got: format!("{:?}", output.shape),
                    });
                }
            }
            take(outputs, &batch.targets)?;
        }
        Ok(())
    })
}

/// The outputs of every sample of a part.
///
/// # Errors
/// As [`Interpreter::forward_inference`].
pub fn predict(network: &Interpreter, weights: &Weights, part: &Part) -> Result<Vec<Output>> {
    let mut all = vec![Output::default(); network.outputs().len()];
    for_each_batch(network, weights, part, |outputs, _| {
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
) -> Result<Evaluation> {
    let mut samples = Vec::with_capacity(part.len());
    let mut per_class = vec![(0u64, 0u64); task.n_classes().unwrap_or(0)];
    let mut loss = 0.0f64;
    for_each_batch(network, weights, part, |outputs, labels| {
        for (index, judged) in task.judge(&outputs, labels)?.into_iter().enumerate() {
            samples.push(judged.quality);
            loss += judged.loss;
            let class = labels
                .get(index)
                .and_then(|&l| per_class.get_mut(l as usize));
            if let Some((right, all)) = class {
                *right += u64::from(judged.quality >= 1.0);
                *all += 1;
            }
        }
        Ok(())
    })?;
    let n = samples.len().max(1) as f64;
    // A sum of nothing would be -0.
    let quality = samples.iter().fold(0.0, |sum, &q| sum + f64::from(q));
    Ok(Evaluation {
        quality: quality / n,
        loss: loss / n,
        samples,
        per_class,
    })
}
