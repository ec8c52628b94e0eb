//! Scores that fall out of the training passes without a further sweep.
//!
//! First-order Taylor significance of kernel k over a batch of N samples:
//!
//! ```text
//! S_k = 1/N · Σ_n | 1/(H·W) · Σ_hw a[n,k,h,w] · ∂L_n/∂a[n,k,h,w] |
//! ```
//!
//! Source: Molchanov et al., ICLR 2017, arXiv:1611.06440, without their
//! per-layer normalisation. The loss here is the mean over the batch, so the
//! gradients already carry 1/N.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// Scores of the kernels of one layer, averaged over the batches seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LayerScores {
    /// Mean of the layer's output per kernel.
    pub mean: Vec<f64>,
    /// Share of positive outputs per kernel, 0..=1.
    pub positive: Vec<f64>,
    /// Taylor significance per kernel, units of loss.
    pub taylor: Vec<f64>,
}

#[derive(Debug, Default)]
struct Sums {
    scores: LayerScores,
    activation_batches: u64,
    taylor_batches: u64,
}

/// Gathers scores by node name; shared with the operators of a pass.
#[derive(Debug, Default)]
pub struct Collector {
    layers: Mutex<BTreeMap<String, Sums>>,
}

fn add(to: &mut Vec<f64>, from: impl ExactSizeIterator<Item = f64>) {
    to.resize(from.len(), 0.0);
    for (sum, value) in to.iter_mut().zip(from) {
        *sum += value;
    }
}

impl Collector {
    fn with<R>(&self, node: &str, change: impl FnOnce(&mut Sums) -> R) -> R {
        let mut layers = self
            .layers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if !layers.contains_key(node) {
            layers.insert(node.to_string(), Sums::default());
        }
        // Inserted above, so the default is never used.
        change(layers.entry(node.to_string()).or_default())
    }

    /// Adds a batch's activation means and positive shares.
    pub fn add_activation(&self, node: &str, mean: &[f32], positive: &[f32]) {
        self.with(node, |sums| {
            add(&mut sums.scores.mean, mean.iter().map(|&v| f64::from(v)));
            add(
                &mut sums.scores.positive,
                positive.iter().map(|&v| f64::from(v)),
            );
            sums.activation_batches += 1;
        });
    }

    /// Adds a batch's Taylor scores.
    pub fn add_taylor(&self, node: &str, taylor: &[f64]) {
        self.with(node, |sums| {
            add(&mut sums.scores.taylor, taylor.iter().copied());
            sums.taylor_batches += 1;
        });
    }

    /// Adds all scores of a layer from its output and the output's gradient,
    /// both channels last, `n` samples of `channels` channels.
    pub fn add_from_output(
        &self,
        node: &str,
        n: usize,
        channels: usize,
        output: &[f32],
        gradient: &[f32],
    ) {
        let per_sample = output.len() / n.max(1);
        let pixels = (per_sample / channels.max(1)).max(1) as f64;
        let (mut mean, mut positive, mut taylor) = (
            vec![0.0f64; channels],
            vec![0.0f64; channels],
            vec![0.0f64; channels],
        );
        let mut sample_taylor = vec![0.0f64; channels];
        for (y, dy) in output
            .chunks_exact(per_sample)
            .zip(gradient.chunks_exact(per_sample))
        {
            sample_taylor.fill(0.0);
            for (y, dy) in y.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
                for k in 0..channels {
                    mean[k] += f64::from(y[k]);
                    positive[k] += f64::from(u8::from(y[k] > 0.0));
                    sample_taylor[k] += f64::from(y[k]) * f64::from(dy[k]);
                }
            }
            for (sum, value) in taylor.iter_mut().zip(&sample_taylor) {
                *sum += value.abs();
            }
        }
        let count = n as f64 * pixels;
        self.with(node, |sums| {
            add(&mut sums.scores.mean, mean.iter().map(|v| v / count));
            add(
                &mut sums.scores.positive,
                positive.iter().map(|v| v / count),
            );
            sums.activation_batches += 1;
            add(&mut sums.scores.taylor, taylor.iter().copied());
            sums.taylor_batches += 1;
        });
    }

    /// The averages so far, by node name.
    pub fn scores(&self) -> BTreeMap<String, LayerScores> {
        let layers = self
            .layers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        layers
            .iter()
            .map(|(node, sums)| {
                let over = |values: &[f64], batches: u64| {
                    values.iter().map(|v| v / batches.max(1) as f64).collect()
                };
                let scores = LayerScores {
                    mean: over(&sums.scores.mean, sums.activation_batches),
                    positive: over(&sums.scores.positive, sums.activation_batches),
                    taylor: over(&sums.scores.taylor, sums.taylor_batches),
                };
                (node.clone(), scores)
            })
            .collect()
    }
}
