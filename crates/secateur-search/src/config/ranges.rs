//! What every number of a config may be.
//!
//! A number that no run can use is refused before a run begins: most would show only at the
//! end of a search, as weights that are not numbers. What each number means and why it has
//! its default: docs/algorithm.md.

use std::fmt;
use std::ops::{Bound, RangeBounds, RangeInclusive};

use super::{Mode, PruneConfig};
use secateur_net::data::Augment;

/// What a number may be. NaN is in none.
///
/// Bounds are `f32`, so that a setting of that type which is written like a bound equals it:
/// 0.9 as `f32` is less than 0.9 as `f64`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    from: Bound<f32>,
    to: Bound<f32>,
}

impl Range {
    /// Both bounds belong to it.
    pub const fn from_to(from: f32, to: f32) -> Self {
        Self {
            from: Bound::Included(from),
            to: Bound::Included(to),
        }
    }

    /// The lower bound does not belong to it.
    pub const fn above_to(above: f32, to: f32) -> Self {
        Self {
            from: Bound::Excluded(above),
            to: Bound::Included(to),
        }
    }

    /// The upper bound does not belong to it.
    pub const fn from_below(from: f32, below: f32) -> Self {
        Self {
            from: Bound::Included(from),
            to: Bound::Excluded(below),
        }
    }

    /// Neither bound belongs to it.
    pub const fn between(above: f32, below: f32) -> Self {
        Self {
            from: Bound::Excluded(above),
            to: Bound::Excluded(below),
        }
    }

    const fn of(range: &RangeInclusive<f32>) -> Self {
        Self::from_to(*range.start(), *range.end())
    }

    /// Is the number in it?
    pub fn contains(self, number: f64) -> bool {
        let range = (self.from.map(f64::from), self.to.map(f64::from));
        range.contains(&number)
    }
}

/// As in "expected above 0 and at most 1".
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lower = match self.from {
            Bound::Excluded(above) => format!("above {above}"),
            Bound::Included(from) => format!("at least {from}"),
            Bound::Unbounded => "any number".to_string(),
        };
        match (self.from, self.to) {
            (_, Bound::Included(f32::INFINITY) | Bound::Unbounded) => write!(f, "{lower}, or inf"),
            (_, Bound::Excluded(f32::INFINITY)) => write!(f, "{lower} and finite"),
            (Bound::Included(from), Bound::Included(to)) => write!(f, "{from} to {to}"),
            (_, Bound::Included(to)) => write!(f, "{lower} and at most {to}"),
            (_, Bound::Excluded(below)) => write!(f, "{lower} and below {below}"),
        }
    }
}

/// Points of accuracy.
pub const POINTS: Range = Range::from_to(0.0, 100.0);
/// A share of which none and all are sensible.
pub const SHARE: Range = Range::from_to(0.0, 1.0);
/// A share of which something must remain on both sides.
pub const TRUE_SHARE: Range = Range::between(0.0, 1.0);
/// A share of which something must remain on the other side: momentum, smoothing.
pub const NOT_ALL: Range = Range::from_below(0.0, 1.0);
/// A share that must not be nothing.
pub const NOT_NONE: Range = Range::above_to(0.0, 1.0);
/// Learning rates of a network; one too high shows in the first steps, as divergence.
pub const RATE: Range = Range::between(0.0, f32::INFINITY);
/// Images or decisions a step.
pub const BATCH: Range = Range::from_to(1.0, 65_536.0);
/// Widths of layers, multiples of kernels.
pub const WIDTH: Range = Range::from_to(1.0, 65_536.0);
/// Pixels: sides of images.
pub const SIDE: Range = Range::from_to(1.0, 65_536.0);
/// Pixels: shifts.
pub const SHIFT: Range = Range::from_to(0.0, 65_536.0);
/// Passes over the training data.
pub const EPOCHS: Range = Range::above_to(0.0, 100_000.0);
/// Shares of a decay.
pub const WEIGHT_DECAY: Range = SHARE;
/// Degrees of a rotation.
pub const ROTATION: Range = Range::of(&Augment::ROTATIONS);
/// Shares of a zoom.
pub const ZOOM: Range = Range::of(&Augment::ZOOMS);
/// The largest seed: a larger one could not be written to the `config.toml` by which a run is
/// resumed, since integers of TOML have a sign.
pub const MAX_SEED: u64 = i64::MAX as u64;

/// Hidden units: their square is held four times.
const HIDDEN: Range = Range::from_to(1.0, 4096.0);
/// Decisions remembered, about 250 bytes each.
const REPLAY: Range = Range::from_to(1.0, 1e7);
/// Weights of the reward.
const WEIGHT: Range = Range::from_to(-1e3, 1e3);
/// What rewards are divided by, and bounds of gradients.
const SCALE: Range = Range::above_to(0.0, 1e3);
/// Shares of the reference training; above 1 too, for tests and tiny models.
const COST: Range = Range::above_to(0.0, 1e9);
/// Pruning epochs, episodes, updates and the like, of which none are sensible.
const COUNT: Range = Range::from_to(0.0, 100_000.0);
/// The same, of which one is needed.
const SOME: Range = Range::from_to(1.0, 100_000.0);
/// Steps of a slice; a figure is kept for each.
const STEPS: Range = Range::from_to(1.0, 1e7);
/// Amounts that only bound what is there.
const AMOUNT: Range = Range::from_to(0.0, 1e9);

/// A setting of one number or several.
trait Numbers {
    fn numbers(&self) -> Vec<f64>;
    /// As in the config.
    fn text(&self) -> String;
}

macro_rules! impl_numbers {
    ($($type:ty: |$value:ident| $numbers:expr;)+) => {$(
        impl Numbers for $type {
            fn numbers(&self) -> Vec<f64> {
                let $value = self;
                $numbers
            }

            fn text(&self) -> String {
                format!("{self:?}")
            }
        }
    )+};
}

impl_numbers! {
    f32: |value| vec![f64::from(*value)];
    f64: |value| vec![*value];
    u64: |value| vec![*value as f64];
    usize: |value| vec![*value as f64];
    [usize; 2]: |value| value.iter().map(|&n| n as f64).collect();
    Vec<f64>: |value| value.clone();
}

/// What is not set is in every range.
impl<T: Numbers> Numbers for Option<T> {
    fn numbers(&self) -> Vec<f64> {
        self.as_ref().map_or_else(Vec::new, Numbers::numbers)
    }

    fn text(&self) -> String {
        self.as_ref().map_or_else(String::new, Numbers::text)
    }
}

/// A setting and what each of its numbers may be.
pub(super) struct Row {
    /// As in the config, with its section.
    pub key: &'static str,
    pub numbers: Vec<f64>,
    pub text: String,
    pub range: Range,
}

impl Row {
    fn new(key: &'static str, value: &impl Numbers, range: Range) -> Self {
        Self {
            key,
            numbers: value.numbers(),
            text: value.text(),
            range,
        }
    }

    pub fn holds(&self) -> bool {
        self.numbers.iter().all(|&n| self.range.contains(n))
    }
}

macro_rules! rows {
    ($config:ident; $($first:ident $(.$rest:ident)+ in $range:expr;)+) => {
        vec![$(Row::new(
            concat!(stringify!($first) $(, ".", stringify!($rest))+),
            &$config.$first$(.$rest)+,
            $range,
        )),+]
    };
}

/// Every number of a config but the seeds, which have [`MAX_SEED`].
pub(super) fn rows(config: &PruneConfig) -> Vec<Row> {
    let mut rows = rows! {
        config;
        data.validation in Range::from_to(2.0, 1e9);
        data.confirm_share in TRUE_SHARE;
        data.image_size in SIDE;
        data.test_share in NOT_ALL;
        data.max_skipped in AMOUNT;
        data.cache_mib in AMOUNT;

        training.batch_size in BATCH;
        training.lr in RATE;
        training.recover_lr in RATE;
        training.smoothing in NOT_ALL;
        training.max_shift in SHIFT;
        training.recover_max_shift in SHIFT;
        training.recover_max_rotation in ROTATION;
        training.recover_max_zoom in ZOOM;
        training.distillation in SHARE;
        training.temperature in Range::from_to(0.01, 1e3);
        training.optimizer.momentum in NOT_ALL;
        training.optimizer.beta1 in NOT_ALL;
        training.optimizer.beta2 in NOT_ALL;
        training.optimizer.epsilon in NOT_NONE;
        training.optimizer.weight_decay in WEIGHT_DECAY;

        search.explore_episodes in COUNT;
        search.explore_epochs in SOME;
        search.descent_epochs in SOME;
        search.exchange_epochs in COUNT;
        search.explore_slice_cost in COST;
        search.slice_cost in COST;
        search.recover_cost in Range::from_to(0.0, 1e9);
        search.recover_passes in Range::from_to(0.0, 100_000.0);
        search.recover_tries in SOME;
        search.slice_steps in STEPS;
        search.recover_steps in STEPS;
        search.max_switch_ratio in NOT_NONE;
        search.exchange_ratio in SHARE;
        search.max_imbalance in Range::from_to(1.0, f32::INFINITY);
        search.front in TRUE_SHARE;
        search.aec_target in TRUE_SHARE;
        search.max_cost in COST;
        search.reference_epochs in EPOCHS;
        search.scoring_batches in SOME;
        search.agent_updates in COUNT;
        search.ablation_images in AMOUNT;
        search.round_to in WIDTH;
        // Infinite: the rule never sets in.
        search.rescue_margin in Range::from_to(0.0, f32::INFINITY);
        search.rescue_share in SHARE;

        agent.hidden in HIDDEN;
        agent.gamma in SHARE;
        agent.learning_rate in NOT_NONE;
        agent.batch_size in BATCH;
        agent.replay_capacity in REPLAY;
        agent.replay_decay in SHARE;
        agent.learning_starts in Range::from_to(0.0, 1e7);
        agent.target_update_interval in Range::from_to(1.0, 1e9);
        agent.huber_delta in SCALE;
        agent.max_gradient_norm in SCALE;
        agent.epsilon_start in SHARE;
        agent.epsilon_end in SHARE;
        agent.exploration_share in SHARE;

        reward.accuracy in WEIGHT;
        reward.below_scale in SCALE;
        reward.above_scale in SCALE;
        reward.worst_accuracy in Range::from_to(0.0, 1e3);
        reward.compression in WEIGHT;
        reward.convergence in WEIGHT;
        reward.dense in WEIGHT;
    };
    match &config.mode {
        Mode::Aec { max_drop } => rows.push(Row::new("mode.max_drop", max_drop, POINTS)),
        Mode::Ceca { budgets, max_drop } => {
            rows.push(Row::new("mode.max_drop", max_drop, POINTS));
            let remaining: Vec<f64> = budgets.iter().map(|b| b.remaining).collect();
            rows.push(Row::new("mode.budgets.remaining", &remaining, TRUE_SHARE));
        }
    }
    rows
}
