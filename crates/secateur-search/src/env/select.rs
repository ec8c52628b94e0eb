//! From wishes to masks: what the policy wants, clipped to what is allowed.
//!
//! A layer keeps at least one kernel and a multiple of `round_to`; no more than a
//! share of it switches in one pruning epoch; and the network's size ends in the
//! corridor of this epoch, so that a budget stays reachable and is met in the end
//! whatever the policy wants (compare AMC's action clipping, arXiv:1802.03494).

use secateur_onnx::cost::{CostModel, Size};
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
    /// Kept kernels of a layer are a multiple of this, as far as its width allows.
    pub round_to: usize,
}

fn of(metric: Metric, size: &Size) -> u64 {
    match metric {
        Metric::Params => size.params,
        Metric::Macs => size.macs,
        Metric::Kernels => size.kernels,
        Metric::ConvParams => size.conv_params,
    }
}

/// One kernel and its score.
#[derive(Clone, Copy)]
struct Candidate {
    group: usize,
    kernel: usize,
    score: f32,
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
/// `wishes` (true: on) are followed within the limits, most wanted first. If the
/// network is still larger than allowed, the lowest scores go, first within the
/// share a layer, then beyond it.
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
    let smallest = |result: &Masks, g: usize| result.active(g) <= 1;

    let on = candidates(scores, |g, k| !masks.0[g][k] && wishes[g][k]);
    for c in on.iter().rev() {
        if switched[c.group] < allowance[c.group] {
            result.0[c.group][c.kernel] = true;
            switched[c.group] += 1;
        }
    }
    let mut switched_off = vec![0usize; masks.0.len()];
    let mut turn_off = |result: &mut Masks, c: &Candidate, bound: Option<&[usize]>| -> bool {
        let over = bound.is_some_and(|bound| switched_off[c.group] >= bound[c.group]);
        if over || smallest(result, c.group) {
            return false;
        }
        result.0[c.group][c.kernel] = false;
        if of(limits.metric, &cost.count(result)) < limits.at_least {
            result.0[c.group][c.kernel] = true;
            return false;
        }
        switched_off[c.group] += 1;
        true
    };
    for c in &candidates(scores, |g, k| masks.0[g][k] && !wishes[g][k]) {
        turn_off(&mut result, c, Some(&allowance));
    }
    for bound in [Some(allowance.as_slice()), None] {
        if of(limits.metric, &cost.count(&result)) <= limits.at_most {
            break;
        }
        let now = result.clone();
        for c in &candidates(scores, |g, k| now.0[g][k]) {
            if turn_off(&mut result, c, bound)
                && of(limits.metric, &cost.count(&result)) <= limits.at_most
            {
                break;
            }
        }
    }
    round(&mut result, scores, cost, limits);
    result
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
        if of(limits.metric, &cost.count(&up)) <= limits.at_most || active < limits.round_to {
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
