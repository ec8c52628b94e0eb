//! What errors of layers become at the outputs.
//!
//! An error by width is one of what the readers of a group give. What becomes of it on the way to the
//! network's outputs differs: edges that the first layer blurs are missing everywhere behind it, and
//! what goes into the sum of a residual block is a small part of that. So the network is run once for
//! every group with readers that do without some kernels, all else as it is. How far its outputs
//! move, over what the readers lose, is the **amplification**.

use std::iter::zip;

use super::Inputs;
use crate::error::Result;
use crate::interpreter::{Interpreter, Walk};
use crate::value::Output;
use crate::weights::Weights;

/// Error of the readers at which groups are tried, or the first one above: large enough to move
/// outputs, small enough that they still are what they were.
pub(super) const TRIED_AT: f64 = 0.1;
/// Errors below say nothing, and are not tried: rounding, and what the regularisation costs.
pub(super) const LEAST: f64 = 1e-4;
/// Amplifications stay within this factor of their geometric mean on either side.
const MOST: f64 = 8.0;

/// Inputs that groups are tried on: each is a pass through all that comes behind the group.
const TRIED_ON: usize = 64;

/// Layers that do without some of what they read.
pub(super) struct Trial {
    /// Their nodes.
    pub nodes: Vec<String>,
    /// What of their weights is other than it was.
    pub changed: Vec<(String, Vec<f32>)>,
    /// Their error, as sum of their shares.
    pub error: f64,
}

impl Trial {
    /// What a walk comes to with the trial in it; `weights` are the original's, and are that again.
    fn run(&self, walk: &Walk<'_>, weights: &mut Weights, n: usize) -> Result<Vec<Output>> {
        let names: Vec<&str> = self.changed.iter().map(|(name, _)| name.as_str()).collect();
        let mut were = Vec::new();
        for (name, values) in &self.changed {
            if let Some(weight) = weights.get_mut(name) {
                were.push(std::mem::replace(&mut weight.data, values.clone()));
            }
        }
        let walk = walk.ended_with(weights, &names)?;
        for (name, values) in zip(&names, were) {
            if let Some(weight) = weights.get_mut(name) {
                weight.data = values;
            }
        }
        walk.outputs(&[n])
    }
}

/// The amplifications of some trials, of geometric mean 1; and the passes of the whole network that
/// this took, as a count of inputs. Where outputs do not move, or nothing tells how far, it is 1.
///
/// # Errors
/// As an inference pass.
pub(super) fn amplifications(
    network: &Interpreter,
    weights: &Weights,
    trials: &[Trial],
    inputs: &Inputs,
) -> Result<(Vec<f64>, f64)> {
    let mut variant = weights.clone();
    let mut moved = vec![Moved::default(); trials.len()];
    let mut passes = 0.0;
    let mut tried_on = 0;
    for (batch, &n) in inputs.sizes.iter().enumerate() {
        if tried_on >= TRIED_ON {
            break;
        }
        tried_on += n;
        let mut walk = Walk::new(network, weights, &inputs.named(batch..batch + 1))?;
        let due = trials.iter().map(|trial| {
            let nodes: Vec<&str> = trial.nodes.iter().map(String::as_str).collect();
            walk.first_step_of(&nodes)
        });
        let due: Vec<usize> = due.collect();
        let mut found: Vec<Vec<Output>> = vec![Vec::new(); trials.len()];
        let mut step = 0;
        while walk.node().is_some() {
            for (at, trial) in trials.iter().enumerate().filter(|(at, _)| due[*at] == step) {
                found[at] = trial.run(&walk, &mut variant, n)?;
            }
            walk.step(weights)?;
            step += 1;
        }
        let given = walk.outputs(&[n])?;
        let behind = due.iter().map(|due| 1.0 - *due as f64 / step.max(1) as f64);
        passes += n as f64 * (1.0 + behind.sum::<f64>());
        for (moved, found) in zip(&mut moved, &found) {
            moved.add(&given, found);
        }
    }
    let logs: Vec<Option<f64>> = zip(&moved, trials)
        .map(|(moved, trial)| {
            let log = (moved.share() / trial.error).ln();
            log.is_finite().then_some(log)
        })
        .collect();
    let known: Vec<f64> = logs.iter().flatten().copied().collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let of_log =
        |log: Option<f64>| log.map_or(1.0, |log| f64::exp(log - mean).clamp(1.0 / MOST, MOST));
    Ok((logs.into_iter().map(of_log).collect(), passes))
}

/// How far outputs have moved, by output.
#[derive(Debug, Clone, Default)]
struct Moved {
    /// Sums of squared differences, and of squared deviations from the mean of the batch.
    sums: Vec<(f64, f64)>,
}

impl Moved {
    fn add(&mut self, given: &[Output], found: &[Output]) {
        self.sums.resize(given.len(), (0.0, 0.0));
        for ((apart, spread), (given, found)) in zip(&mut self.sums, zip(given, found)) {
            if given.shape != found.shape {
                continue;
            }
            let n = given.n();
            let len = given.values.len() / n.max(1);
            let mut means = vec![0.0; len];
            for sample in 0..n {
                let values = zip(&mut means, given.sample(sample));
                values.for_each(|(mean, &value)| *mean += f64::from(value) / n as f64);
            }
            for sample in 0..n {
                let values = zip(given.sample(sample), found.sample(sample));
                for ((&given, &found), mean) in zip(values, &means) {
                    *apart += (f64::from(found) - f64::from(given)).powi(2);
                    *spread += (f64::from(given) - mean).powi(2);
                }
            }
        }
    }

    /// Squared difference as share of the variance, in the mean of the outputs that vary.
    fn share(&self) -> f64 {
        let vary = self.sums.iter().filter(|(_, spread)| *spread > 0.0);
        let shares: Vec<f64> = vary.map(|(apart, spread)| apart / spread).collect();
        shares.iter().sum::<f64>() / shares.len() as f64
    }
}
