//! The last known scores of every kernel, active or dormant.

use std::collections::{BTreeMap, BTreeSet};

use secateur_net::score::LayerScores;
use secateur_net::weights::Weights;
use secateur_onnx::coupling::{ChannelGroups, Masks, Role};
use secateur_onnx::graph::Graph;
use serde::{Deserialize, Serialize};

/// Scores of one kernel; those of dormant ones are from when they were last active.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct KernelScores {
    /// Taylor significance, units of loss.
    pub significance: f32,
    /// Mean output.
    pub activation: f32,
    /// Share of positive outputs.
    pub positive: f32,
    /// Estimated fall of the loss when turned on; 0 for active kernels.
    pub health: f32,
    /// Pruning epochs since significance was measured.
    pub age: u32,
    /// Pruning epochs since the last switch.
    pub since_switch: u32,
    /// Switches in this episode.
    pub times_switched: u32,
}

/// Enters what a slice gathered: scores by node, kernels in the numbering of the
/// compact network. Groups with several producers add theirs up.
pub fn update(
    scores: &mut [Vec<KernelScores>],
    groups: &ChannelGroups,
    masks: &Masks,
    gathered: &BTreeMap<String, LayerScores>,
) {
    for (g, group) in groups.groups.iter().enumerate() {
        let layers: Vec<&LayerScores> = group
            .producers
            .iter()
            .filter_map(|node| gathered.get(node))
            .collect();
        let on: Vec<usize> = (0..group.width).filter(|&k| masks.0[g][k]).collect();
        let usable: Vec<&&LayerScores> = layers
            .iter()
            .filter(|l| l.taylor.len() == on.len())
            .collect();
        for (compact, &k) in on.iter().enumerate() {
            let kernel = &mut scores[g][k];
            kernel.health = 0.0;
            if usable.is_empty() {
                continue;
            }
            let sum = |get: fn(&LayerScores) -> &Vec<f64>| -> f32 {
                usable
                    .iter()
                    .filter_map(|l| get(l).get(compact))
                    .sum::<f64>() as f32
            };
            let n = usable.len() as f32;
            kernel.significance = sum(|l| &l.taylor);
            kernel.activation = sum(|l| &l.mean) / n;
            kernel.positive = sum(|l| &l.positive) / n;
            kernel.age = 0;
        }
        for k in (0..group.width).filter(|&k| !masks.0[g][k]) {
            scores[g][k].age += 1;
        }
    }
}

/// L2 norm of every kernel's weights and |gamma| of its batch norm (layer mean where
/// there is none), `[group][kernel]`.
pub fn weight_scores(
    graph: &Graph,
    groups: &ChannelGroups,
    weights: &Weights,
) -> Vec<Vec<(f32, f32)>> {
    let gammas: BTreeSet<&str> = graph
        .nodes
        .iter()
        .filter(|n| n.op_type == "BatchNormalization")
        .filter_map(|n| n.input(1))
        .collect();
    groups
        .groups
        .iter()
        .map(|group| {
            let mut squares = vec![0.0f64; group.width];
            let mut scales = vec![0.0f64; group.width];
            let mut has_scale = false;
            for member in &group.members {
                let Some(weight) = weights.get(&member.tensor) else {
                    continue;
                };
                let is_scale = gammas.contains(member.tensor.as_str());
                if member.role != Role::Output && !is_scale {
                    continue;
                }
                let inner: usize = weight.shape[member.axis + 1..].iter().product();
                let outer: usize = weight.shape[..member.axis].iter().product();
                let extent = weight.shape[member.axis];
                for (k, positions) in member.positions.iter().enumerate() {
                    for o in 0..outer {
                        for &position in positions {
                            let start = (o * extent + position) * inner;
                            for &value in &weight.data[start..start + inner] {
                                if is_scale {
                                    scales[k] += f64::from(value.abs());
                                } else {
                                    squares[k] += f64::from(value) * f64::from(value);
                                }
                            }
                        }
                    }
                }
                has_scale |= is_scale;
            }
            if !has_scale {
                scales.fill(1.0);
            }
            squares
                .iter()
                .zip(&scales)
                .map(|(s, g)| (s.sqrt() as f32, *g as f32))
                .collect()
        })
        .collect()
}
