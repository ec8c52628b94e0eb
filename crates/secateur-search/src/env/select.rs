//! From wishes to masks: what the policy wants, clipped to what is allowed.
//!
//! A layer keeps at least one kernel, and a multiple of `round_to`; no more than a
//! share of it switches in one pruning epoch; layers stay in proportion; and the
//! network's size ends in the corridor of this epoch, so that a budget stays reachable
//! and is met in the end whatever the policy wants (compare AMC's action clipping,
//! arXiv:1802.03494).

use secateur_onnx::cost::CostModel;
use secateur_onnx::coupling::Masks;

use crate::config::Metric;

/// What one pruning epoch allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// What the corridor is counted in.
    pub metric: Metric,
    /// The network may not be larger than this afterwards.
    pub at_most: u64,
    /// No kernel is turned off that would make it smaller than this.
    pub at_least: u64,
    /// Share of a layer's active kernels that may switch.
    pub max_switch_ratio: f64,
    /// A layer keeps at most this many times more, and less, than its even share: that of a
    /// network of the largest size that keeps the same share of every layer. 1 and up.
    pub max_imbalance: f64,
    /// Kept kernels of a layer are a multiple of this, as far as its width allows.
    pub round_to: usize,
}

/// One kernel and its score.
#[derive(Clone, Copy)]
struct Candidate {
    group: usize,
    kernel: usize,
    score: f32,
}

/// What holds back kernels from being turned off.
#[derive(Clone, Copy)]
struct Bound<'a> {
    /// Most that may go, by layer.
    allowance: Option<&'a [usize]>,
    /// Size that the network keeps.
    at_least: u64,
    /// Kernels that each layer keeps.
    least: &'a [usize],
}

/// Halvings of the interval in which the even share lies.
const BISECTIONS: usize = 16;

/// Share of every layer that a network of at most `limits.at_most` keeps; groups without
/// scores keep all. Between 0 and 1.
fn even_share(masks: &Masks, scores: &[Vec<f32>], cost: &CostModel, limits: &Limits) -> f64 {
    let fits = |share: f64| {
        let mut even = masks.clone();
        for (mask, scores) in even.0.iter_mut().zip(scores) {
            let kept = (mask.len() as f64 * share).ceil().max(1.0) as usize;
            for (kernel, on) in mask.iter_mut().enumerate() {
                *on = kernel < kept || scores.is_empty();
            }
        }
        limits.metric.of(&cost.count(&even)) <= limits.at_most
    };
    if fits(1.0) {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        *(if fits(middle) { &mut low } else { &mut high }) = middle;
    }
    low
}

/// Fewest and most kernels of each layer, for the layers' proportion; never fewer than `floor`.
fn balanced(
    masks: &Masks,
    scores: &[Vec<f32>],
    cost: &CostModel,
    limits: &Limits,
    floor: &[usize],
) -> (Vec<usize>, Vec<usize>) {
    let share = even_share(masks, scores, cost, limits);
    let of_layer = |(mask, &floor): (&Vec<bool>, &usize)| {
        let even = mask.len() as f64 * share;
        let least = ((even / limits.max_imbalance) as usize).max(floor);
        let most = (even * limits.max_imbalance).ceil() as usize;
        (least, most.max(least))
    };
    masks.0.iter().zip(floor).map(of_layer).unzip()
}

fn candidates(scores: &[Vec<f32>], mut take: impl FnMut(usize, usize) -> bool) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (group, scores) in scores.iter().enumerate() {
        for (kernel, &score) in scores.iter().enumerate() {
            if take(group, kernel) {
                found.push(Candidate {
                    group,
                    kernel,
                    score,
                });
            }
        }
    }
    // Ties go by position, so that the order never depends on the sort.
    found.sort_by(|a, b| {
        a.score
            .total_cmp(&b.score)
            .then((a.group, a.kernel).cmp(&(b.group, b.kernel)))
    });
    found
}

/// The masks after this epoch's action.
///
/// `wishes` (true: on) are followed within the limits, most wanted first: kernels come back,
/// layers that are too wide for their proportion lose their lowest scores, kernels go. If the
/// network is still larger than allowed, the lowest scores go, first within the share of a
/// layer that may switch, then beyond it, in the end even below the lower bound (where a single
/// kernel is worth more than the corridor is wide) and out of proportion: the upper bound is
/// the promise. Room that is left is filled.
///
/// # Shapes
/// - `scores`, `wishes`: `[group][kernel]`; empty for groups that may not be switched
pub fn choose(
    masks: &Masks,
    scores: &[Vec<f32>],
    wishes: &[Vec<bool>],
    cost: &CostModel,
    limits: &Limits,
) -> Masks {
    let mut result = masks.clone();
    let allowance: Vec<usize> = (0..masks.0.len())
        .map(|g| ((masks.active(g) as f64 * limits.max_switch_ratio) as usize).max(1))
        .collect();
    let mut switched = vec![0usize; masks.0.len()];
    let floor: Vec<usize> = masks
        .0
        .iter()
        .map(|mask| limits.round_to.clamp(1, mask.len().max(1)))
        .collect();
    let (least, most) = balanced(masks, scores, cost, limits, &floor);

    let mut switched_off = vec![0usize; masks.0.len()];
    let mut turn_off = |result: &mut Masks, c: &Candidate, bound: Bound<'_>| -> bool {
        let over = |most: &[usize]| switched_off[c.group] >= most[c.group];
        if bound.allowance.is_some_and(over) || result.active(c.group) <= bound.least[c.group] {
            return false;
        }
        result.0[c.group][c.kernel] = false;
        if limits.metric.of(&cost.count(result)) < bound.at_least {
            result.0[c.group][c.kernel] = true;
            return false;
        }
        switched_off[c.group] += 1;
        true
    };
    let within = Bound {
        allowance: Some(&allowance),
        at_least: limits.at_least,
        least: &least,
    };
    let on = candidates(scores, |g, k| !masks.0[g][k] && wishes[g][k]);
    for c in on.iter().rev() {
        if switched[c.group] < allowance[c.group] {
            result.0[c.group][c.kernel] = true;
            switched[c.group] += 1;
        }
    }
    // A layer that has all it may have takes a kernel for another; and layers that are too wide
    // go first, or the others would pay for them.
    let even = Bound {
        least: &most,
        ..within
    };
    for c in &candidates(scores, |g, k| masks.0[g][k]) {
        turn_off(&mut result, c, even);
    }
    let now = result.clone();
    for c in &candidates(scores, |g, k| masks.0[g][k] && now.0[g][k] && !wishes[g][k]) {
        turn_off(&mut result, c, within);
    }
    let beyond = Bound {
        allowance: None,
        ..within
    };
    let below = Bound {
        at_least: 0,
        ..beyond
    };
    let uneven = Bound {
        least: &floor,
        ..below
    };
    // What has just come back stays as long as others can go.
    for (bound, back_too) in [
        (within, false),
        (beyond, false),
        (below, false),
        (below, true),
        (uneven, true),
    ] {
        if limits.metric.of(&cost.count(&result)) <= limits.at_most {
            break;
        }
        let now = result.clone();
        for c in &candidates(scores, |g, k| now.0[g][k] && (back_too || masks.0[g][k])) {
            if turn_off(&mut result, c, bound)
                && limits.metric.of(&cost.count(&result)) <= limits.at_most
            {
                break;
            }
        }
    }
    fill(&mut result, masks, scores, &most, cost, limits);
    round(&mut result, scores, cost, limits);
    result
}

/// What room is left takes back kernels that have just gone, highest scores first: a last
/// kernel that had to go can be worth more than was missing.
fn fill(
    masks: &mut Masks,
    before: &Masks,
    scores: &[Vec<f32>],
    most: &[usize],
    cost: &CostModel,
    limits: &Limits,
) {
    let gone = candidates(scores, |g, k| before.0[g][k] && !masks.0[g][k]);
    for c in gone.iter().rev() {
        if masks.active(c.group) < most[c.group] {
            masks.0[c.group][c.kernel] = true;
            if limits.metric.of(&cost.count(masks)) > limits.at_most {
                masks.0[c.group][c.kernel] = false;
            }
        }
    }
}

/// Makes the kept kernels of every layer a multiple of `round_to`: up where the
/// network stays within its largest size, else down.
fn round(masks: &mut Masks, scores: &[Vec<f32>], cost: &CostModel, limits: &Limits) {
    if limits.round_to <= 1 {
        return;
    }
    for g in 0..masks.0.len() {
        if scores[g].is_empty() {
            continue;
        }
        let (active, width) = (masks.active(g), masks.0[g].len());
        let excess = active % limits.round_to;
        if excess == 0 || active == width {
            continue;
        }
        let mut up = masks.clone();
        let missing = (limits.round_to - excess).min(width - active);
        let dormant = candidates(scores, |group, k| group == g && !masks.0[g][k]);
        for c in dormant.iter().rev().take(missing) {
            up.0[g][c.kernel] = true;
        }
        if limits.metric.of(&cost.count(&up)) <= limits.at_most || active < limits.round_to {
            *masks = up;
        } else {
            let now = masks.clone();
            for c in candidates(scores, |group, k| group == g && now.0[g][k])
                .iter()
                .take(excess)
            {
                masks.0[g][c.kernel] = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use secateur_onnx::arch::{VggConfig, vgg_like};
    use secateur_onnx::coupling::{ChannelGroup, ChannelGroups};
    use secateur_onnx::graph::Graph;

    use super::*;

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
    fn layers_stay_in_proportion() {
        let (groups, cost) = vgg("16,M,32", 32);
        let full = Masks::all_active(&groups);
        // The policy would have the second layer go, and the others stay as they are.
        let scores = scores_by(&groups, |g, _| if g == 1 { 0.1 } else { 0.9 });
        let total = cost.count(&full).params;
        let kept = |max_imbalance: f64| -> Vec<usize> {
            let limits = Limits {
                metric: Metric::Params,
                at_most: total / 4,
                at_least: total / 5,
                max_switch_ratio: 1.0,
                max_imbalance,
                round_to: 1,
            };
            let masks = choose(&full, &scores, &full.0, &cost, &limits);
            assert!(cost.count(&masks).params <= total / 4);
            (0..3).map(|g| masks.active(g)).collect()
        };
        let free = kept(f64::INFINITY);
        assert!(free[1] < 8 && free[0] == 16 && free[2] == 32, "{free:?}");
        // Half of every layer is about a quarter of the parameters.
        for (kept, width) in kept(1.5).into_iter().zip([16.0, 32.0, 32.0]) {
            let share = kept as f64 / width;
            assert!((0.3..0.8).contains(&share), "{kept} of {width}");
        }
    }

    #[test]
    fn room_that_is_left_is_filled() {
        let (groups, cost) = vgg("16,M,32", 32);
        let full = Masks::all_active(&groups);
        let scores = scores_by(&groups, |_, k| (k * 7 % 11) as f32);
        let at_most = cost.count(&full).params / 3;
        let limits = Limits {
            metric: Metric::Params,
            at_most,
            at_least: at_most / 2,
            max_switch_ratio: 1.0,
            max_imbalance: f64::INFINITY,
            round_to: 1,
        };
        // The policy would rather have half of that.
        let none: Vec<Vec<bool>> = scores.iter().map(|s| vec![false; s.len()]).collect();
        let masks = choose(&full, &scores, &none, &cost, &limits);
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
            max_imbalance in 1.0f64..8.0,
            metric in proptest::sample::select(Metric::ALL.to_vec()),
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
                metric,
                at_most,
                at_least: (at_most as f64 * 0.9) as u64,
                max_switch_ratio,
                max_imbalance,
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
                masks = choose(&before, &scores, &wishes, &cost, &limits);
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
}
