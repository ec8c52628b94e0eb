//! From wishes to masks: what the policy wants, clipped to what is allowed.
//!
//! A layer keeps at least one kernel, and a multiple of `round_to`; no more than a
//! share of it switches in one pruning epoch; layers keep the widths asked for; and the
//! network's size ends within the bounds of this epoch, so that a budget stays reachable
//! and is met in the end whatever the policy wants (compare AMC's action clipping,
//! arXiv:1802.03494).

mod candidate;
mod fitting;
mod limits;
#[cfg(test)]
mod tests;

use secateur_onnx::cost::{CostModel, Tally};
use secateur_onnx::coupling::Masks;

use candidate::{Candidate, candidates};
pub use limits::Limits;

/// What holds back kernels from being turned off.
#[derive(Clone, Copy)]
struct Bound<'a> {
    /// Do no more kernels of a layer go than may switch in one epoch?
    within_allowance: bool,
    /// Size that the network keeps.
    at_least: u64,
    /// Kernels that each layer keeps.
    least: &'a [usize],
}

/// Masks on their way from the present ones to those of the next epoch.
struct Choice<'a> {
    now: Tally<'a>,
    before: &'a Masks,
    scores: &'a [Vec<f32>],
    limits: &'a Limits,
    /// Most kernels of each layer that may switch.
    allowance: Vec<usize>,
    turned_off: Vec<usize>,
}

impl Choice<'_> {
    fn size(&self) -> u64 {
        self.limits.count.of(&self.now.size())
    }

    fn is_too_large(&self) -> bool {
        self.size() > self.limits.at_most
    }

    /// Turns a kernel off unless a bound holds it back; true if it went.
    fn turn_off(&mut self, c: &Candidate, bound: Bound<'_>) -> bool {
        let spent = self.turned_off[c.group] >= self.allowance[c.group];
        if (bound.within_allowance && spent) || self.now.count(c.group) <= bound.least[c.group] {
            return false;
        }
        self.now.switch(c.group, c.kernel, false);
        if self.size() < bound.at_least {
            self.now.switch(c.group, c.kernel, true);
            return false;
        }
        self.turned_off[c.group] += 1;
        true
    }

    /// Turns dormant kernels on that are wished for, or that their layer lacks for its least
    /// width, the most wanted first.
    fn turn_on(&mut self, wishes: &[Vec<bool>], least: &[usize]) {
        let mut turned_on = vec![0usize; self.before.0.len()];
        let dormant = candidates(self.scores, |g, k| !self.before.0[g][k]);
        for c in dormant.iter().rev() {
            let lacks = self.now.count(c.group) < least[c.group];
            let wanted = wishes[c.group][c.kernel] || lacks;
            if wanted && turned_on[c.group] < self.allowance[c.group] {
                self.now.switch(c.group, c.kernel, true);
                turned_on[c.group] += 1;
            }
        }
    }

    /// Turns off the lowest scores among the kernels that are on now and pass `take`.
    fn turn_off_all(&mut self, bound: Bound<'_>, take: impl Fn(usize, usize) -> bool) {
        let now = self.now.masks().clone();
        for c in &candidates(self.scores, |g, k| now.0[g][k] && take(g, k)) {
            self.turn_off(c, bound);
        }
    }

    /// The same, until the network is as small as it must be.
    fn shrink(&mut self, bound: Bound<'_>, take: impl Fn(usize, usize) -> bool) {
        if !self.is_too_large() {
            return;
        }
        let now = self.now.masks().clone();
        for c in &candidates(self.scores, |g, k| now.0[g][k] && take(g, k)) {
            if self.turn_off(c, bound) && !self.is_too_large() {
                return;
            }
        }
    }
}

/// The masks after this epoch's action.
///
/// `wishes` (true: on) are followed within the limits, most wanted first: kernels come back,
/// layers that are wider than `widths` lose their lowest scores, kernels go. If the network is
/// still larger than allowed, the lowest scores go, first within the share of a layer that may
/// switch, then beyond it, in the end even below the lower bound (where a single kernel is worth
/// more than lies between the bounds) and below `widths`: the upper bound is the promise. Room that
/// is left is filled.
///
/// # Shapes
/// - `scores`, `wishes`: `[group][kernel]`; empty for groups that may not be switched
/// - `widths`: kernels that each group is to keep; `None` leaves that to the scores
pub fn choose(
    masks: &Masks,
    scores: &[Vec<f32>],
    wishes: &[Vec<bool>],
    cost: &CostModel,
    limits: &Limits,
    widths: Option<&[usize]>,
) -> Masks {
    let groups = masks.0.len();
    let may_switch = |g| ((masks.active(g) as f64 * limits.max_switch_ratio) as usize).max(1);
    let least_width = |mask: &Vec<bool>| limits.round_to.clamp(1, mask.len().max(1));
    let floor: Vec<usize> = masks.0.iter().map(least_width).collect();
    let full = || masks.0.iter().map(Vec::len).collect();
    let (least, most): (Vec<usize>, Vec<usize>) = match widths {
        Some(widths) => {
            let at_least = |(&width, &floor): (&usize, &usize)| width.max(floor);
            let widths: Vec<usize> = widths.iter().zip(&floor).map(at_least).collect();
            (widths.clone(), widths)
        }
        None => (floor.clone(), full()),
    };
    let mut choice = Choice {
        now: Tally::new(cost, masks.clone()),
        before: masks,
        scores,
        limits,
        allowance: (0..groups).map(may_switch).collect(),
        turned_off: vec![0; groups],
    };
    let was_on = |g: usize, k: usize| masks.0[g][k];
    let within = Bound {
        within_allowance: true,
        at_least: limits.at_least,
        least: &least,
    };
    let missing = if widths.is_some() { &least } else { &floor };
    choice.turn_on(wishes, missing);
    // A layer that has all it may have takes a kernel for another; and layers that are too wide
    // go first, or the others would pay for them.
    let even = Bound {
        least: &most,
        ..within
    };
    choice.turn_off_all(even, was_on);
    choice.turn_off_all(within, |g, k| was_on(g, k) && !wishes[g][k]);
    let beyond = Bound {
        within_allowance: false,
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
    choice.shrink(within, was_on);
    choice.shrink(beyond, was_on);
    choice.shrink(below, was_on);
    choice.shrink(below, |_, _| true);
    choice.shrink(uneven, |_, _| true);
    fitting::fill(&mut choice.now, masks, scores, &most, limits);
    let mut result = choice.now.into();
    fitting::round(&mut result, scores, cost, limits);
    result
}
