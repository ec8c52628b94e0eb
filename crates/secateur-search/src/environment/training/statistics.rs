//! Entering what passes gathered.

use std::collections::BTreeMap;

use secateur_net::score::{LayerScores, Score};
use secateur_onnx::coupling::{ChannelGroups, Masks};

use super::state::KernelState;

/// Enters what passes gathered: by node, kernels in the numbering of the compact network.
/// Groups with several producers add theirs up.
pub(super) fn enter(
    kernels: &mut [Vec<KernelState>],
    groups: &ChannelGroups,
    masks: &Masks,
    gathered: &BTreeMap<String, LayerScores>,
) {
    for (g, group) in groups.groups.iter().enumerate() {
        let on: Vec<usize> = (0..group.width).filter(|&k| masks.0[g][k]).collect();
        let layers: Vec<&LayerScores> = group
            .producers
            .iter()
            .filter_map(|node| gathered.get(node))
            .filter(|layer| layer.get(Score::Taylor).len() == on.len())
            .collect();
        for (compact, &k) in on.iter().enumerate() {
            let kernel = &mut kernels[g][k];
            kernel.statistics.health = 0.0;
            if layers.is_empty() {
                continue;
            }
            let sum = |score: Score| -> f32 {
                let values = layers.iter().filter_map(|l| l.get(score).get(compact));
                values.sum::<f64>() as f32
            };
            let n = layers.len() as f32;
            kernel.statistics.taylor = sum(Score::Taylor);
            kernel.statistics.activation = sum(Score::Mean) / n;
            kernel.statistics.positive = sum(Score::Positive) / n;
            kernel.age = 0;
        }
        for k in (0..group.width).filter(|&k| !masks.0[g][k]) {
            kernels[g][k].age += 1;
        }
    }
}
