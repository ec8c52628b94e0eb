//! The corridor in which a network's size falls during an episode.
//!
//! Down to the target in equal factors, so that every pruning epoch asks the same
//! of the network: after epoch t of T at most target^(t/T) remains, and no less
//! than what the next epoch would ask for. Budgets on the way are met one by one.

use crate::config::{Budget, Metric};
use crate::env::Limits;
use secateur_onnx::cost::Size;

/// How far below its upper bound a network may end: one kernel can be worth some
/// per cent of a small network, so the bounds must not touch.
const SLACK: f64 = 0.95;

/// The corridor of an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Corridor {
    /// What sizes are counted in.
    pub metric: Metric,
    /// Share that remains in the end.
    pub target: f64,
    /// Pruning epochs of the descent.
    pub epochs: usize,
    /// Shares that must be met on the way, largest first; the last is the target.
    pub stops: Vec<f64>,
    /// Share of a layer that may switch in one epoch.
    pub max_switch_ratio: f64,
    /// How far layers may be out of proportion ([`Limits::max_imbalance`]).
    pub max_imbalance: f64,
    /// Multiple to which layers are rounded.
    pub round_to: usize,
}

impl Corridor {
    /// Towards a single target.
    pub fn to_target(metric: Metric, target: f64, epochs: usize) -> Self {
        Self {
            metric,
            target,
            epochs: epochs.max(1),
            stops: vec![target],
            max_switch_ratio: 1.0,
            max_imbalance: f64::INFINITY,
            round_to: 1,
        }
    }

    /// Through several budgets of one metric.
    pub fn through(budgets: &[Budget], epochs: usize) -> Option<Self> {
        let mut stops: Vec<f64> = budgets.iter().map(|b| b.remaining).collect();
        stops.sort_by(|a, b| b.total_cmp(a));
        stops.dedup();
        let metric = budgets.first()?.metric;
        let target = *stops.last()?;
        Some(Self {
            metric,
            target,
            epochs: epochs.max(1),
            stops,
            max_switch_ratio: 1.0,
            max_imbalance: f64::INFINITY,
            round_to: 1,
        })
    }

    /// Limits of epoch `t` (from 1; later than the last: the target), with `next_stop` the
    /// first stop not yet met.
    pub fn limits(&self, t: usize, next_stop: usize, full: &Size) -> Limits {
        let share = |t: usize| {
            let progress = (t.min(self.epochs)) as f64 / self.epochs as f64;
            self.target.powf(progress)
        };
        let stop = self.stops.get(next_stop).copied().unwrap_or(self.target);
        let at_most = share(t).max(stop);
        let at_least = (share(t + 1).max(stop) * SLACK).min(at_most * SLACK);
        let total = self.metric.of(&size_of(full)) as f64;
        Limits {
            metric: self.metric,
            // Rounded down: a budget of 0.14 is met by 0.13999, not by 0.14001.
            at_most: (at_most * total).floor() as u64,
            at_least: (at_least * total).floor() as u64,
            max_switch_ratio: self.max_switch_ratio,
            max_imbalance: self.max_imbalance,
            round_to: self.round_to,
        }
    }
}

/// The record's size of a counted size.
pub fn size_of(size: &Size) -> crate::run_dir::record::Size {
    crate::run_dir::record::Size {
        kernels: size.kernels,
        conv_params: size.conv_params,
        params: size.params,
        macs: size.macs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Size = Size {
        kernels: 100,
        conv_params: 8000,
        params: 10_000,
        macs: 1_000_000,
    };

    fn budgets(remaining: &[f64]) -> Vec<Budget> {
        remaining
            .iter()
            .map(|&r| Budget {
                metric: Metric::Params,
                remaining: r,
            })
            .collect()
    }

    #[test]
    fn falls_in_equal_factors_to_the_target_and_stays() {
        let corridor = Corridor::to_target(Metric::Params, 0.0625, 4);
        let most: Vec<u64> = (1..=6)
            .map(|t| corridor.limits(t, 0, &FULL).at_most)
            .collect();
        assert_eq!(most, [5000, 2500, 1250, 625, 625, 625]);
        for t in 1..=6 {
            let limits = corridor.limits(t, 0, &FULL);
            assert!(limits.at_least < limits.at_most);
        }
    }

    #[test]
    fn waits_at_every_budget_until_it_is_met() {
        let corridor = Corridor::through(&budgets(&[0.06, 0.4, 0.14]), 3).unwrap();
        assert_eq!(corridor.stops, [0.4, 0.14, 0.06]);
        // Past the schedule, but the first stop is not met: nothing goes below it.
        let limits = corridor.limits(3, 0, &FULL);
        assert_eq!(limits.at_most, 4000);
        assert!(limits.at_least >= 3799);
        assert_eq!(corridor.limits(3, 2, &FULL).at_most, 600);
    }
}
