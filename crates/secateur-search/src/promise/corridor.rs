//! The corridor in which a network's size falls during an episode.
//!
//! Down to the target in equal factors, so that every pruning epoch asks about the same
//! of the network. Budgets on the way end an epoch each: between two of them the factors are
//! equal, and the epochs are shared out by the factors' logarithms.

use crate::config::{Budget, Metric};
use secateur_onnx::cost::Size;

/// How far below its upper bound a network may end. One kernel can be worth some per cent of
/// a small network, so the bounds must not touch; nor may the policy run ahead, and spend the
/// slices of larger networks on smaller ones.
const SLACK: f64 = 0.97;

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
    /// The epochs after which they are met.
    ends: Vec<usize>,
}

/// Between which sizes a network ends, in counts of the corridor's metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Largest.
    pub at_most: u64,
    /// Smallest.
    pub at_least: u64,
}

impl Corridor {
    /// Largest target where there is no budget: a network that loses nothing is no descent.
    pub const LARGEST_TARGET: f64 = 0.99;

    /// Towards a single target.
    pub fn to_target(metric: Metric, target: f64, epochs: usize) -> Self {
        Self::of_stops(metric, vec![target], epochs)
    }

    /// Through several budgets of one metric; an epoch for each at least.
    pub fn through(budgets: &[Budget], epochs: usize) -> Option<Self> {
        let stops = budgets.iter().map(|b| b.remaining).collect();
        let metric = budgets.first()?.metric;
        Some(Self::of_stops(metric, stops, epochs))
    }

    /// Through these shares, the largest first.
    pub fn of_stops(metric: Metric, mut stops: Vec<f64>, epochs: usize) -> Self {
        stops.sort_by(|a, b| b.total_cmp(a));
        stops.dedup();
        let target = stops.last().copied().unwrap_or(1.0);
        let ends = ends(&stops, epochs);
        Self {
            metric,
            target,
            epochs: ends.last().copied().unwrap_or(1),
            stops,
            ends,
        }
    }

    /// Is a network small enough for a stop?
    pub fn is_met(&self, stop: usize, size: &Size, full: &Size) -> bool {
        self.metric.of(size) <= self.metric.count(self.stops[stop], full)
    }

    /// Largest share that may remain after epoch `t`.
    fn share(&self, t: usize) -> f64 {
        let (mut begin, mut from) = (0, 1.0f64);
        for (&end, &to) in self.ends.iter().zip(&self.stops) {
            if t <= end {
                let progress = (t - begin) as f64 / (end - begin) as f64;
                return if t == end {
                    to
                } else {
                    from * (to / from).powf(progress)
                };
            }
            (begin, from) = (end, to);
        }
        self.target
    }

    /// Sizes of epoch `t` (from 1; later than the last: the target), with `next_stop` the first
    /// stop not yet met.
    pub fn bounds(&self, t: usize, next_stop: usize, full: &Size) -> Bounds {
        let stop = self.stops.get(next_stop).copied().unwrap_or(self.target);
        let at_most = self.share(t).max(stop);
        Bounds {
            at_most: self.metric.count(at_most, full),
            at_least: self.metric.count(at_most * SLACK, full),
        }
    }
}

/// The epochs, of `epochs` or more, after which each stop is met: by the logarithm of what it
/// asks, one at least.
fn ends(stops: &[f64], epochs: usize) -> Vec<usize> {
    let whole = stops.last().map_or(0.0, |target| -target.ln());
    let mut last = 0;
    let end = |(i, stop): (usize, &f64)| {
        let due = if whole > 0.0 {
            (-stop.ln() / whole * epochs as f64).round() as usize
        } else {
            0
        };
        // The stops that follow want an epoch each.
        let latest = epochs.saturating_sub(stops.len() - 1 - i);
        last = due.min(latest).max(last + 1);
        last
    };
    stops.iter().enumerate().map(end).collect()
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
            .map(|t| corridor.bounds(t, 0, &FULL).at_most)
            .collect();
        assert_eq!(most, [5000, 2500, 1250, 625, 625, 625]);
        for t in 1..=6 {
            let bounds = corridor.bounds(t, 0, &FULL);
            assert!(bounds.at_least < bounds.at_most);
        }
    }

    #[test]
    fn every_budget_ends_an_epoch() {
        let corridor = Corridor::through(&budgets(&[0.02, 0.14, 0.06]), 10).unwrap();
        assert_eq!(corridor.stops, [0.14, 0.06, 0.02]);
        let most = |t: usize, next: usize| corridor.bounds(t, next, &FULL).at_most;
        assert_eq!((most(5, 0), most(7, 1), most(10, 2)), (1400, 600, 200));
        assert!(most(6, 1) < 1400 && most(6, 1) > 600);
    }

    #[test]
    fn as_many_epochs_as_budgets_are_enough() {
        let close = budgets(&[0.5, 0.49, 0.48, 0.47]);
        for epochs in [1, 4, 5] {
            let corridor = Corridor::through(&close, epochs).unwrap();
            assert_eq!(corridor.epochs, epochs.max(4));
            for (i, &stop) in corridor.stops.iter().enumerate() {
                let at_most = corridor.bounds(corridor.ends[i], i, &FULL).at_most;
                assert_eq!(at_most, (stop * 10_000.0) as u64);
            }
        }
        // All of the network is no descent, but a budget too.
        assert_eq!(Corridor::to_target(Metric::Params, 1.0, 3).share(3), 1.0);
    }

    #[test]
    fn waits_at_every_budget_until_it_is_met() {
        let corridor = Corridor::through(&budgets(&[0.06, 0.4, 0.14]), 3).unwrap();
        assert_eq!(corridor.stops, [0.4, 0.14, 0.06]);
        // Past the schedule, but the first stop is not met: nothing goes below it.
        let bounds = corridor.bounds(3, 0, &FULL);
        assert_eq!(bounds.at_most, 4000);
        assert!(bounds.at_least >= 3799);
        assert_eq!(corridor.bounds(3, 2, &FULL).at_most, 600);
    }
}
