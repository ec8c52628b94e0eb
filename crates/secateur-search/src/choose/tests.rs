//! Limits are met whatever is wished for.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_onnx::arch::{VggConfig, vgg_like};
use secateur_onnx::coupling::{ChannelGroup, ChannelGroups};
use secateur_onnx::graph::Graph;

use super::*;
use crate::config::Metric;

/// The VGG-like network of these stages and hidden width.
fn vgg(stages: &str, hidden: usize) -> (ChannelGroups, CostModel) {
    let mut config = VggConfig::new([1, 8, 8], 3);
    config.stages = VggConfig::parse_stages(stages).unwrap();
    config.hidden = vec![hidden];
    let graph = Graph::from_model(&vgg_like(&config, 0).unwrap()).unwrap();
    let groups = ChannelGroups::find(&graph).unwrap();
    let cost = CostModel::new(&graph, &groups).unwrap();
    (groups, cost)
}

/// A random network; the last layer may not be switched.
fn network(rng: &mut ChaCha8Rng) -> (ChannelGroups, CostModel) {
    let widths: Vec<String> = (0..3).map(|_| rng.random_range(1..9).to_string()).collect();
    vgg(&format!("{},M", widths.join(",")), rng.random_range(2..9))
}

/// Scores of the kernels that may be switched.
fn scores_by(groups: &ChannelGroups, score: impl Fn(usize, usize) -> f32) -> Vec<Vec<f32>> {
    let of_group = |(g, group): (usize, &ChannelGroup)| match group.pinned {
        None => (0..group.width).map(|k| score(g, k)).collect(),
        Some(_) => Vec::new(),
    };
    groups.groups.iter().enumerate().map(of_group).collect()
}

#[test]
fn layers_keep_the_widths_asked_for() {
    let (groups, cost) = vgg("16,M,32", 32);
    let full = Masks::all_active(&groups);
    // By the scores the second layer would go, and the others stay as they are.
    let scores = scores_by(&groups, |g, _| if g == 1 { 0.1 } else { 0.9 });
    let total = cost.count(&full).params;
    let kept = |widths: Option<&[usize]>| -> Vec<usize> {
        let limits = Limits {
            count: Metric::Params.into(),
            at_most: total / 4,
            at_least: total / 5,
            max_switch_ratio: 1.0,
            round_to: 1,
        };
        let masks = choose(&full, &scores, &full.0, &cost, &limits, widths);
        assert!(cost.count(&masks).params <= total / 4);
        (0..3).map(|g| masks.active(g)).collect()
    };
    let free = kept(None);
    assert!(free[1] < 8 && free[0] == 16 && free[2] == 32, "{free:?}");
    assert_eq!(kept(Some(&[8, 16, 14, 3])), [8, 16, 14]);
}

#[test]
fn room_that_is_left_is_filled() {
    let (groups, cost) = vgg("16,M,32", 32);
    let full = Masks::all_active(&groups);
    let scores = scores_by(&groups, |_, k| (k * 7 % 11) as f32);
    let at_most = cost.count(&full).params / 3;
    let limits = Limits {
        count: Metric::Params.into(),
        at_most,
        at_least: at_most / 2,
        max_switch_ratio: 1.0,
        round_to: 1,
    };
    // The policy would rather have half of that.
    let none: Vec<Vec<bool>> = scores.iter().map(|s| vec![false; s.len()]).collect();
    let masks = choose(&full, &scores, &none, &cost, &limits, None);
    for (g, scores) in scores.iter().enumerate() {
        for k in (0..scores.len()).filter(|&k| !masks.0[g][k]) {
            let mut with = masks.clone();
            with.0[g][k] = true;
            assert!(
                cost.count(&with).params > at_most,
                "layer {g} kernel {k} fits"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the policy wants, what can be reached is reached.
    #[test]
    fn every_limit_within_reach_is_met(
        seed in any::<u64>(),
        round_to in 1usize..5,
        tightness in 0.0f64..1.0,
        max_switch_ratio in 0.01f64..1.0,
        is_told in any::<bool>(),
        metric in proptest::sample::select(Metric::COUNTED.to_vec()),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (groups, cost) = network(&mut rng);
        let full = Masks::all_active(&groups);
        let switchable = |g: usize| groups.groups[g].pinned.is_none();
        let mut smallest = full.clone();
        for (g, mask) in smallest.0.iter_mut().enumerate() {
            if switchable(g) {
                let keep = round_to.min(mask.len());
                mask[keep..].fill(false);
            }
        }
        let (least, most) = (metric.of(&cost.count(&smallest)), metric.of(&cost.count(&full)));
        let at_most = least + ((most - least) as f64 * tightness) as u64;
        let limits = Limits {
            count: metric.into(),
            at_most,
            at_least: (at_most as f64 * 0.9) as u64,
            max_switch_ratio,
            round_to,
        };
        let random = |rng: &mut ChaCha8Rng| -> Vec<Vec<f32>> {
            full.0
                .iter()
                .enumerate()
                .map(|(g, mask)| {
                    let n = if switchable(g) { mask.len() } else { 0 };
                    (0..n).map(|_| rng.random()).collect()
                })
                .collect()
        };
        let mut masks = full.clone();
        // Three epochs, so that dormant kernels are among those that switch.
        for _ in 0..3 {
            let scores = random(&mut rng);
            let wishes: Vec<Vec<bool>> = random(&mut rng)
                .iter()
                .map(|row| row.iter().map(|&v| v < 0.5).collect())
                .collect();
            let before = masks.clone();
            let widths: Vec<usize> = random(&mut rng)
                .iter()
                .zip(&full.0)
                .map(|(row, mask)| row.first().map_or(mask.len(), |v| (v * mask.len() as f32) as usize))
                .collect();
            let widths = is_told.then_some(widths.as_slice());
            masks = choose(&before, &scores, &wishes, &cost, &limits, widths);
            let size = metric.of(&cost.count(&masks));
            prop_assert!(size <= at_most, "{size} of at most {at_most}");
            for (g, mask) in masks.0.iter().enumerate() {
                if !switchable(g) {
                    prop_assert!(mask.iter().all(|&on| on), "layer {g} is left alone");
                    continue;
                }
                let active = masks.active(g);
                prop_assert!(active >= 1);
                prop_assert!(
                    active.is_multiple_of(round_to) || active == mask.len(),
                    "layer {g} keeps {active} of {}", mask.len()
                );
                let on = before.0[g].iter().zip(mask).filter(|(was, is)| !**was && **is);
                let allowed = (before.active(g) as f64 * max_switch_ratio) as usize;
                if round_to == 1 {
                    prop_assert!(on.count() <= allowed.max(1), "layer {g} grew too fast");
                }
            }
        }
    }
}
