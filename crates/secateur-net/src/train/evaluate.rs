//! Accuracy and loss on a part of the data.

use serde::{Deserialize, Serialize};

use crate::data::{Part, in_order, with_batches};
use crate::error::Result;
use crate::interpreter::Network;
use crate::weights::Weights;

/// Images per inference pass.
const BATCH: usize = 250;

/// How well a network does on a part of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Share of right answers, 0..=1.
    pub accuracy: f64,
    /// Mean cross-entropy without smoothing.
    pub loss: f64,
    /// Per image: was the answer right.
    pub correct: Vec<bool>,
    /// Per class: right answers and number of images.
    pub per_class: Vec<(u64, u64)>,
}

/// Class scores of every image, `[n, classes]` flat.
///
/// # Errors
/// As [`Network::forward_inference`].
pub fn predict(network: &Network, weights: &Weights, part: &Part) -> Result<Vec<f32>> {
    let bound = network.bind_inference(weights)?;
    let mut scores = Vec::with_capacity(part.len() * network.n_classes());
    with_batches(part, in_order(part, BATCH), |batches| {
        while let Some(batch) = batches.next() {
            let batch = batch?;
            scores.extend(network.forward_inference(&bound, batch.images, batch.n)?);
        }
        Ok(scores)
    })
}

/// Evaluates a network.
///
/// # Errors
/// As [`Network::forward_inference`].
pub fn evaluate(network: &Network, weights: &Weights, part: &Part) -> Result<Evaluation> {
    let scores = predict(network, weights, part)?;
    let classes = network.n_classes();
    let mut per_class = vec![(0u64, 0u64); classes];
    let mut correct = Vec::with_capacity(part.len());
    let mut loss = 0.0f64;
    for (index, row) in scores.chunks_exact(classes).enumerate() {
        let label = part.label(index) as usize;
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row.iter().map(|&z| f64::from(z - max).exp()).sum();
        loss += sum.ln() - f64::from(row[label] - max);
        let best = row
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))
            .map_or(0, |(class, _)| class);
        // A network of NaN scores is right about nothing.
        let right = best == label && row[label].is_finite();
        correct.push(right);
        per_class[label].0 += u64::from(right);
        per_class[label].1 += 1;
    }
    let n = correct.len().max(1) as f64;
    let right = correct.iter().filter(|&&c| c).count() as f64;
    Ok(Evaluation {
        accuracy: right / n,
        loss: loss / n,
        correct,
        per_class,
    })
}
