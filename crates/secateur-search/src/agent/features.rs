//! Features of one kernel, normalised so that they mean the same in any network.
//!
//! | # | feature | range |
//! |---|---|---|
//! | 0 | weight norm over its layer's mean, log | -3..3 |
//! | 1 | rank of the weight norm in its layer | 0..1 |
//! | 2 | batch-norm scale over its layer's mean, log | -3..3 |
//! | 3 | rank of the scale in its layer | 0..1 |
//! | 4 | activation mean over its layer's mean, log | -3..3 |
//! | 5 | share of positive outputs | 0..1 |
//! | 6 | Taylor significance over its layer's mean, log | -3..3 |
//! | 7 | rank of the significance in its layer | 0..1 |
//! | 8 | rank of the significance in the network | 0..1 |
//! | 9 | significance a parameter-share, log, over the network's mean | -3..3 |
//! | 10 | health over the mean significance of active kernels, squashed; 0 if active | -1..1 |
//! | 11 | active | 0, 1 |
//! | 12 | epochs since its scores were measured, squashed | 0..1 |
//! | 13 | epochs since it was switched, squashed | 0..1 |
//! | 14 | times switched, squashed | 0..1 |
//! | 15 | depth of its layer | 0..1 |
//! | 16 | width of its layer, log2 / 10 | 0..1.6 |
//! | 17 | share of its layer that is active | 0..1 |
//! | 18 | its share of the network's parameters now, log10 / 5 | -1..0 |
//! | 19 | its share of the network's multiply-adds now, log10 / 5 | -1..0 |
//! | 20 | convolution (1) or fully connected (0) | 0, 1 |
//! | 21 | quality minus floor, points, squashed | -1..1 |
//! | 22 | share of the parameters that remains, log10 / 2 | -1..0 |
//! | 23 | compression still owed, log of remaining over target | 0..1 |
//! | 24 | convergence rate | -1..1 |
//! | 25 | progress in the episode | 0..1 |
//! | 26 | 1 if the promise is a floor of quality, 0 if it is a budget | 0, 1 |
//! | 27 | what being on earns the kernel by itself ([`crate::reward`]) | -w..w |

use crate::observation::{KernelFacts, LayerFacts, NetworkFacts, Observation};
use crate::scores::{ACTIVATION, HEALTH, POSITIVE, SCALE, TAYLOR, WEIGHT_NORM, ranks};

/// Number of features of a kernel.
pub const N_FEATURES: usize = 28;

/// The feature that is a known part of the reward.
pub const KNOWN_REWARD: usize = 27;

/// Features of one kernel.
pub type Features = [f32; N_FEATURES];

/// Ratios are taken on a log scale and clipped here: beyond e^3 = 20 nothing more is learnt.
const CLIP: f32 = 3.0;

fn log_ratio(value: f32, mean: f32) -> f32 {
    if mean <= 0.0 {
        return 0.0;
    }
    ((value.max(0.0) / mean) + 1e-6).ln().clamp(-CLIP, CLIP)
}

/// x / (x + scale), for counts.
fn squash(value: u32, scale: f32) -> f32 {
    let value = value as f32;
    value / (value + scale)
}

fn flag(value: bool) -> f32 {
    f32::from(u8::from(value))
}

/// Significance a parameter-share.
fn density(significance: f32, layer: &LayerFacts) -> f32 {
    significance / layer.param_share.max(1e-9)
}

/// Significance over the whole network.
struct Across {
    /// Rank of every kernel, `[group][kernel]`.
    ranks: Vec<Vec<f32>>,
    /// Mean over active kernels that may be switched.
    mean: f32,
    /// The same of [`density`].
    mean_density: f32,
}

impl Across {
    fn new(observation: &Observation) -> Self {
        let (mut values, mut marked) = (Vec::new(), Vec::new());
        let (mut sum, mut density_sum, mut count) = (0.0f64, 0.0f64, 0u32);
        for (g, (kernels, layer)) in observation
            .kernels
            .iter()
            .zip(&observation.layers)
            .enumerate()
        {
            let significance = observation.scores.of_group(TAYLOR, g);
            for (kernel, &value) in kernels.iter().zip(significance) {
                let counts = kernel.active && layer.switchable;
                values.push(value);
                marked.push(counts);
                if counts {
                    sum += f64::from(value);
                    density_sum += f64::from(density(value, layer));
                    count += 1;
                }
            }
        }
        let mean = |sum: f64| (sum / f64::from(count.max(1))) as f32;
        let all = ranks(&values, &marked);
        let mut rest = all.as_slice();
        let of_group = |kernels: &Vec<KernelFacts>| {
            let (own, after) = rest.split_at(kernels.len().min(rest.len()));
            rest = after;
            own.to_vec()
        };
        Self {
            ranks: observation.kernels.iter().map(of_group).collect(),
            mean: mean(sum),
            mean_density: mean(density_sum),
        }
    }
}

/// A score of one layer: values, ranks among the active kernels, mean over them.
struct Column<'a> {
    values: &'a [f32],
    ranks: Vec<f32>,
    mean: f32,
}

impl<'a> Column<'a> {
    fn new(observation: &'a Observation, score: &str, group: usize, active: &[bool]) -> Self {
        let values = observation.scores.of_group(score, group);
        Self {
            values,
            ranks: ranks(values, active),
            mean: observation.mean_active(score, group) as f32,
        }
    }

    fn log_ratio(&self, kernel: usize) -> f32 {
        log_ratio(self.values[kernel], self.mean)
    }
}

/// Features of every kernel, `[group][kernel]`; groups that may not be switched get none.
pub fn features(observation: &Observation) -> Vec<Vec<Features>> {
    let across = Across::new(observation);
    let layers = observation.layers.iter().enumerate();
    layers
        .map(|(g, layer)| {
            if layer.switchable {
                of_group(observation, &across, g)
            } else {
                Vec::new()
            }
        })
        .collect()
}

fn of_group(observation: &Observation, across: &Across, group: usize) -> Vec<Features> {
    let active = observation.active(group);
    let column = |score| Column::new(observation, score, group, &active);
    let (norm, scale, significance) = (column(WEIGHT_NORM), column(SCALE), column(TAYLOR));
    let [activation, positive, health] =
        [ACTIVATION, POSITIVE, HEALTH].map(|score| observation.scores.of_group(score, group));
    let activation_mean = observation.mean_of(group, |k| activation[k].abs()) as f32;
    let layer = &observation.layers[group];
    let around = around(layer, &observation.network);
    let row = |(i, k): (usize, &KernelFacts)| {
        let own = [
            norm.log_ratio(i),
            norm.ranks[i],
            scale.log_ratio(i),
            scale.ranks[i],
            log_ratio(activation[i].abs(), activation_mean),
            positive[i],
            significance.log_ratio(i),
            significance.ranks[i],
            across.ranks[group][i],
            log_ratio(density(significance.values[i], layer), across.mean_density),
            if k.active {
                0.0
            } else {
                (health[i] / across.mean.max(1e-12)).tanh()
            },
            flag(k.active),
            squash(k.score_age, 3.0),
            squash(k.since_switch, 3.0),
            squash(k.times_switched, 2.0),
        ];
        let mut features = [0.0; N_FEATURES];
        features[..own.len()].copy_from_slice(&own);
        features[own.len()..KNOWN_REWARD].copy_from_slice(&around);
        features[KNOWN_REWARD] = observation.own_reward[group][i];
        features
    };
    observation.kernels[group]
        .iter()
        .enumerate()
        .map(row)
        .collect()
}

/// What all kernels of a layer share: features 15 to 26.
fn around(layer: &LayerFacts, network: &NetworkFacts) -> [f32; 12] {
    let owed = (network.remaining / network.target.max(1e-3)).ln();
    [
        layer.depth,
        (layer.width.max(1) as f32).log2() / 10.0,
        layer.active as f32 / layer.width.max(1) as f32,
        (layer.param_share.max(1e-5).log10() / 5.0).max(-1.0),
        (layer.mac_share.max(1e-5).log10() / 5.0).max(-1.0),
        flag(layer.is_conv),
        (network.margin / 2.0).tanh(),
        (network.remaining.max(1e-2).log10() / 2.0).max(-1.0),
        owed.clamp(0.0, 4.0) / 4.0,
        network.convergence.clamp(-1.0, 1.0),
        network.progress,
        flag(network.keeps_floor),
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scores::Scores;

    /// Two layers of three and two kernels, significance scaled by a factor.
    fn observation(factor: f32) -> Observation {
        let significance = [vec![0.1, 0.4, 0.2], vec![1.0, 2.0]];
        let on = [vec![true, true, false], vec![true, true]];
        let values = |get: &dyn Fn(f32, bool) -> f32| -> Vec<Vec<f32>> {
            let of_group = |(values, on): (&Vec<f32>, &Vec<bool>)| {
                values.iter().zip(on).map(|(&v, &on)| get(v, on)).collect()
            };
            significance.iter().zip(&on).map(of_group).collect()
        };
        let kernels = on.iter().map(|on| {
            let facts = |&active| KernelFacts {
                active,
                ..KernelFacts::default()
            };
            on.iter().map(facts).collect()
        });
        Observation {
            network: NetworkFacts {
                remaining: 0.5,
                target: 0.1,
                ..NetworkFacts::default()
            },
            layers: vec![
                LayerFacts {
                    width: 3,
                    active: 2,
                    param_share: 0.1,
                    mac_share: 0.1,
                    is_conv: true,
                    switchable: true,
                    ..LayerFacts::default()
                },
                LayerFacts {
                    width: 2,
                    active: 2,
                    param_share: 0.01,
                    mac_share: 0.2,
                    depth: 1.0,
                    switchable: true,
                    ..LayerFacts::default()
                },
            ],
            kernels: kernels.collect(),
            scores: Scores::default()
                .with(WEIGHT_NORM, values(&|v, _| 1.0 + v))
                .with(SCALE, values(&|_, _| 1.0))
                .with(ACTIVATION, values(&|_, _| 0.5))
                .with(POSITIVE, values(&|_, _| 0.5))
                .with(TAYLOR, values(&|v, _| factor * v))
                .with(HEALTH, values(&|_, on| if on { 0.0 } else { factor * 0.3 })),
            errors: Arc::default(),
            own_reward: values(&|v, _| v / 10.0),
        }
    }

    #[test]
    fn every_feature_is_finite_and_in_its_range() {
        for row in features(&observation(1.0)).into_iter().flatten() {
            for (i, value) in row.iter().enumerate() {
                assert!(
                    value.is_finite() && value.abs() <= 3.0,
                    "feature {i} is {value}"
                );
            }
        }
    }

    #[test]
    fn features_do_not_depend_on_the_scale_of_the_loss() {
        for (a, b) in features(&observation(1.0))
            .iter()
            .flatten()
            .zip(features(&observation(1000.0)).iter().flatten())
        {
            for (i, (x, y)) in a.iter().zip(b).enumerate() {
                assert!((x - y).abs() < 1e-3, "feature {i}: {x} became {y}");
            }
        }
    }

    #[test]
    fn groups_that_may_not_be_switched_have_no_features() {
        let mut observation = observation(1.0);
        observation.layers[1].switchable = false;
        let rows = features(&observation);
        assert_eq!((rows[0].len(), rows[1].len()), (3, 0));
    }
}
