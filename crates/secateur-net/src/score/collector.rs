//! Gathers scores over the batches of a training run.

use std::collections::BTreeMap;
use std::sync::Mutex;

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
}

impl Collector {
    /// Goes on from what was gathered before.
    pub fn from_gathered(gathered: Gathered) -> Self {
        Self {
            layers: Mutex::new(gathered),
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

    /// Adds all scores of a layer in one batch.
    pub fn add_layer(&self, node: &str, layer: &LayerPass<'_>) {
        for score in Score::ALL {
            self.add(node, score, score.of(layer).into_iter());
        }
    }
}
