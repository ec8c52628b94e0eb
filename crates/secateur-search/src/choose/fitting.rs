//! Using up the room that is left, and keeping round numbers of kernels.

use secateur_onnx::cost::{CostModel, Tally};
use secateur_onnx::coupling::Masks;

use super::Limits;
use super::candidate::candidates;

/// What room is left takes back kernels that have just gone, highest scores first: a last
/// kernel that had to go can be worth more than was missing.
pub(super) fn fill(
    now: &mut Tally<'_>,
    before: &Masks,
    scores: &[Vec<f32>],
    most: &[usize],
    limits: &Limits,
) {
    let gone = candidates(scores, |g, k| before.0[g][k] && !now.masks().0[g][k]);
    for c in gone.iter().rev() {
        if now.count(c.group) < most[c.group] {
            now.switch(c.group, c.kernel, true);
            if limits.count.of(&now.size()) > limits.at_most {
                now.switch(c.group, c.kernel, false);
            }
        }
    }
}

/// Makes the kept kernels of every layer a multiple of `round_to`: up where the
/// network stays within its largest size, else down.
pub(super) fn round(masks: &mut Masks, scores: &[Vec<f32>], cost: &CostModel, limits: &Limits) {
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
        if limits.count.of(&cost.count(&up)) <= limits.at_most || active < limits.round_to {
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
