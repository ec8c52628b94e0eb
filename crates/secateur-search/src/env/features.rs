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
//! | 21 | accuracy minus floor, points, squashed | -1..1 |
//! | 22 | share of the parameters that remains, log10 / 2 | -1..0 |
//! | 23 | compression still owed, log of remaining over target | 0..1 |
//! | 24 | convergence rate | -1..1 |
//! | 25 | progress in the episode | 0..1 |
//! | 26 | mode: 1 AEC, 0 CECA | 0, 1 |
//! | 27 | what being on earns the kernel itself ([`super::reward::dense`]), times its weight | -w..w |

use super::reward::dense;
use super::worth::worth;

/// Number of features of a kernel.
pub const N_FEATURES: usize = 28;

/// The feature that is a known part of the reward.
pub const KNOWN_REWARD: usize = 27;

/// Features of one kernel.
pub type Features = [f32; N_FEATURES];

/// A kernel's own share of the reward for being on or off, weighted.
pub fn own_share(row: &Features, on: bool) -> f32 {
    if on {
        row[KNOWN_REWARD]
    } else {
        -row[KNOWN_REWARD]
    }
}

/// What is known of a kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KernelFacts {
    /// L2 norm of its weights.
    pub weight_norm: f32,
    /// |gamma| of its batch norm; its layer's mean where there is none.
    pub scale: f32,
    /// Mean of its output.
    pub activation: f32,
    /// Share of positive outputs, 0..=1.
    pub positive: f32,
    /// Taylor significance, units of loss.
    pub significance: f32,
    /// Estimated fall of the loss when turned on, units of loss; dormant kernels only.
    pub health: f32,
    /// On or off.
    pub active: bool,
    /// Pruning epochs since the scores were measured.
    pub score_age: u32,
    /// Pruning epochs since it was switched.
    pub since_switch: u32,
    /// Times switched in this episode.
    pub times_switched: u32,
}

/// What is known of a layer (channel group).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LayerFacts {
    /// Position in the network, 0..=1.
    pub depth: f32,
    /// Kernels at full width.
    pub width: usize,
    /// Active kernels.
    pub active: usize,
    /// Share of the network's parameters that one kernel costs now.
    pub param_share: f32,
    /// Share of the network's multiply-adds that one kernel costs now.
    pub mac_share: f32,
    /// Convolution kernels, not fully connected features.
    pub is_conv: bool,
}

/// What is known of the network.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NetworkFacts {
    /// Accuracy minus floor, points.
    pub margin: f32,
    /// Share of the parameters (or of the budget's metric) that remains, 0..=1.
    pub remaining: f32,
    /// Share that is to remain in the end, 0..=1.
    pub target: f32,
    /// Convergence rate of the last slice, -1..=1.
    pub convergence: f32,
    /// Progress in the episode, 0..=1.
    pub progress: f32,
    /// True in mode AEC.
    pub is_aec: bool,
}

/// Everything that policies may look at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The network.
    pub network: NetworkFacts,
    /// Layers, one a channel group.
    pub layers: Vec<LayerFacts>,
    /// Kernels by group.
    pub kernels: Vec<Vec<KernelFacts>>,
    /// Groups that may be switched.
    pub switchable: Vec<bool>,
}

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

/// Ranks in 0..=1 of `values` among those marked; equal values share the mean rank.
/// Unmarked ones are ranked where they would stand.
pub fn ranks(values: &[f32], marked: &[bool]) -> Vec<f32> {
    let mut sorted: Vec<f32> = values
        .iter()
        .zip(marked)
        .filter(|(_, m)| **m)
        .map(|(v, _)| *v)
        .collect();
    sorted.sort_by(f32::total_cmp);
    let last = sorted.len().saturating_sub(1).max(1) as f32;
    values
        .iter()
        .map(|value| {
            let below = sorted.partition_point(|v| v < value);
            let up_to = sorted.partition_point(|v| v <= value);
            let middle = if up_to > below {
                (below + up_to - 1) as f32 / 2.0
            } else {
                below as f32
            };
            (middle / last).min(1.0)
        })
        .collect()
}

/// Mean over the active kernels; 0 if there is none.
pub(super) fn mean_of(kernels: &[KernelFacts], get: impl Fn(&KernelFacts) -> f32) -> f64 {
    let active = kernels.iter().filter(|k| k.active);
    let (sum, n) = active.fold((0.0f64, 0u32), |(s, n), k| (s + f64::from(get(k)), n + 1));
    sum / f64::from(n.max(1))
}

/// Features of every kernel, `[group][kernel]`; groups that may not be switched get none.
///
/// `dense_weight` is the weight of a kernel's own share in the reward.
pub fn features(facts: &Facts, dense_weight: f32) -> Vec<Vec<Features>> {
    let worth = worth(facts);
    let all: Vec<(f32, bool)> = facts
        .kernels
        .iter()
        .zip(&facts.switchable)
        .flat_map(|(kernels, &on)| {
            kernels
                .iter()
                .map(move |k| (k.significance, k.active && on))
        })
        .collect();
    let (values, marked): (Vec<f32>, Vec<bool>) = all.into_iter().unzip();
    let network_ranks = ranks(&values, &marked);
    let (sum, count) = values
        .iter()
        .zip(&marked)
        .filter(|(_, m)| **m)
        .fold((0.0f64, 0u32), |(s, n), (v, _)| (s + f64::from(*v), n + 1));
    let network_mean = (sum / f64::from(count.max(1))) as f32;
    let density =
        |k: &KernelFacts, layer: &LayerFacts| k.significance / layer.param_share.max(1e-9);
    let mean_density = {
        let (mut sum, mut n) = (0.0f64, 0u32);
        for (g, kernels) in facts
            .kernels
            .iter()
            .enumerate()
            .filter(|(g, _)| facts.switchable[*g])
        {
            for k in kernels.iter().filter(|k| k.active) {
                sum += f64::from(density(k, &facts.layers[g]));
                n += 1;
            }
        }
        (sum / f64::from(n.max(1))) as f32
    };
    let network = &facts.network;
    let mut offset = 0;
    let mut result = Vec::with_capacity(facts.kernels.len());
    for (g, kernels) in facts.kernels.iter().enumerate() {
        let own_ranks = &network_ranks[offset..offset + kernels.len()];
        offset += kernels.len();
        if !facts.switchable[g] {
            result.push(Vec::new());
            continue;
        }
        let layer = &facts.layers[g];
        let active: Vec<bool> = kernels.iter().map(|k| k.active).collect();
        let column = |get: fn(&KernelFacts) -> f32| -> Vec<f32> {
            ranks(&kernels.iter().map(get).collect::<Vec<_>>(), &active)
        };
        let norm_ranks = column(|k| k.weight_norm);
        let scale_ranks = column(|k| k.scale);
        let significance_ranks = column(|k| k.significance);
        let norm_mean = mean_of(kernels, |k| k.weight_norm) as f32;
        let scale_mean = mean_of(kernels, |k| k.scale) as f32;
        let activation_mean = mean_of(kernels, |k| k.activation.abs()) as f32;
        let significance_mean = mean_of(kernels, |k| k.significance) as f32;
        let rows = kernels
            .iter()
            .enumerate()
            .map(|(i, k)| {
                [
                    log_ratio(k.weight_norm, norm_mean),
                    norm_ranks[i],
                    log_ratio(k.scale, scale_mean),
                    scale_ranks[i],
                    log_ratio(k.activation.abs(), activation_mean),
                    k.positive,
                    log_ratio(k.significance, significance_mean),
                    significance_ranks[i],
                    own_ranks[i],
                    log_ratio(density(k, layer), mean_density),
                    if k.active {
                        0.0
                    } else {
                        (k.health / network_mean.max(1e-12)).tanh()
                    },
                    f32::from(u8::from(k.active)),
                    squash(k.score_age, 3.0),
                    squash(k.since_switch, 3.0),
                    squash(k.times_switched, 2.0),
                    layer.depth,
                    (layer.width.max(1) as f32).log2() / 10.0,
                    layer.active as f32 / layer.width.max(1) as f32,
                    (layer.param_share.max(1e-5).log10() / 5.0).max(-1.0),
                    (layer.mac_share.max(1e-5).log10() / 5.0).max(-1.0),
                    f32::from(u8::from(layer.is_conv)),
                    (network.margin / 2.0).tanh(),
                    (network.remaining.max(1e-2).log10() / 2.0).max(-1.0),
                    (network.remaining / network.target.max(1e-3))
                        .ln()
                        .clamp(0.0, 4.0)
                        / 4.0,
                    network.convergence.clamp(-1.0, 1.0),
                    network.progress,
                    f32::from(u8::from(network.is_aec)),
                    dense_weight * dense(worth[g][i]),
                ]
            })
            .collect();
        result.push(rows);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let kernel = |significance: f32, active: bool| KernelFacts {
            weight_norm: 1.0 + significance,
            scale: 1.0,
            activation: 0.5,
            positive: 0.5,
            significance,
            health: if active { 0.0 } else { 0.3 },
            active,
            ..KernelFacts::default()
        };
        Facts {
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
                    depth: 0.0,
                },
                LayerFacts {
                    width: 2,
                    active: 2,
                    param_share: 0.01,
                    mac_share: 0.2,
                    is_conv: false,
                    depth: 1.0,
                },
            ],
            kernels: vec![
                vec![kernel(0.1, true), kernel(0.4, true), kernel(0.2, false)],
                vec![kernel(1.0, true), kernel(2.0, true)],
            ],
            switchable: vec![true, true],
        }
    }

    #[test]
    fn every_feature_is_finite_and_in_its_range() {
        for row in features(&facts(), 1.0).into_iter().flatten() {
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
        let base = facts();
        let mut scaled = base.clone();
        for kernel in scaled.kernels.iter_mut().flatten() {
            kernel.significance *= 1000.0;
            kernel.health *= 1000.0;
        }
        for (a, b) in features(&base, 1.0)
            .iter()
            .flatten()
            .zip(features(&scaled, 1.0).iter().flatten())
        {
            for (i, (x, y)) in a.iter().zip(b).enumerate() {
                assert!((x - y).abs() < 1e-3, "feature {i}: {x} became {y}");
            }
        }
    }

    #[test]
    fn ranks_run_from_zero_to_one_and_ties_share() {
        assert_eq!(ranks(&[3.0, 1.0, 2.0], &[true; 3]), [1.0, 0.0, 0.5]);
        assert_eq!(ranks(&[1.0, 1.0], &[true; 2]), [0.5, 0.5]);
        assert_eq!(ranks(&[9.0, 1.0, 2.0], &[false, true, true])[0], 1.0);
    }

    #[test]
    fn groups_that_may_not_be_switched_have_no_features() {
        let mut facts = facts();
        facts.switchable[1] = false;
        let rows = features(&facts, 1.0);
        assert_eq!((rows[0].len(), rows[1].len()), (3, 0));
    }
}
