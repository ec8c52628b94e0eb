//! Gathers scores over the batches of a training run.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::{LayerPass, Score};
use crate::lock::lock;

/// Scores of the kernels of one layer, averaged over the batches seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LayerScores(BTreeMap<Score, Vec<f64>>);

impl LayerScores {
    /// A score of every kernel; empty if it was not gathered.
    pub fn get(&self, score: Score) -> &[f64] {
        self.0.get(&score).map_or(&[], Vec::as_slice)
    }
}

/// Sum over the batches so far, and their number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    values: Vec<f64>,
    batches: u64,
}

/// What a [`Collector`] has gathered so far, by node name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gathered(BTreeMap<String, BTreeMap<Score, Sum>>);

impl Gathered {
    /// The averages, by node name.
    pub fn scores(&self) -> BTreeMap<String, LayerScores> {
        let mean = |sum: &Sum| sum.values.iter().map(|v| v / sum.batches as f64).collect();
        let averages = |layer: &BTreeMap<Score, Sum>| {
            LayerScores(layer.iter().map(|(s, sum)| (*s, mean(sum))).collect())
        };
        let layers = self.0.iter();
        layers
            .map(|(node, layer)| (node.clone(), averages(layer)))
            .collect()
    }
}

/// Gathers scores by node name; shared with the operators of a pass.
#[derive(Debug, Default)]
pub struct Collector {
    layers: Mutex<Gathered>,
    /// Parts that layers see of a batch, one after the other; 0 for the whole of it.
    parts: AtomicUsize,
}

impl Collector {
    /// Goes on from what was gathered before.
    pub fn from_gathered(gathered: Gathered) -> Self {
        Self {
            layers: Mutex::new(gathered),
            parts: AtomicUsize::new(0),
        }
    }

    /// What it has gathered, to go on from.
    pub fn gathered(&self) -> Gathered {
        lock(&self.layers).clone()
    }

    /// Adds a batch's score of every kernel of the layer at `node`.
    pub fn add(&self, node: &str, score: Score, values: impl ExactSizeIterator<Item = f64>) {
        let layers = &mut lock(&self.layers).0;
        let layer = match layers.get_mut(node) {
            Some(layer) => layer,
            None => layers.entry(node.to_string()).or_default(),
        };
        let sum = layer.entry(score).or_default();
        sum.values.resize(values.len(), 0.0);
        for (sum, value) in sum.values.iter_mut().zip(values) {
            *sum += value;
        }
        sum.batches += 1;
    }

    /// From here on layers see batches in so many parts of one size.
    pub(crate) fn begin_parts(&self, parts: usize) {
        self.parts.store(parts, Ordering::Relaxed);
    }

    /// Adds all scores of a layer in one batch, or a part of it.
    pub fn add_layer(&self, node: &str, layer: &LayerPass<'_>) {
        let parts = self.parts.load(Ordering::Relaxed).max(1);
        for score in Score::ALL {
            // Gradients are those of the mean over the whole batch, scores averages over its parts.
            let scale = match score {
                Score::Taylor => parts as f64,
                Score::Mean | Score::Positive => 1.0,
            };
            let values = score.of(layer).into_iter();
            self.add(node, score, values.map(|value| value * scale));
        }
    }
}
