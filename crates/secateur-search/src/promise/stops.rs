//! The sizes at which a run keeps networks.

use secateur_onnx::cost::Size;

use crate::config::{Count, Target};

/// How far below its upper bound a network may end. One kernel can be worth some per cent of
/// a small network, so the bounds must not touch; nor may the policy give more away than is asked for.
const SLACK: f64 = 0.97;

/// Shares of the given network that are to remain, each a stop of every episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Stops {
    /// What sizes are counted in.
    pub count: Count,
    /// Largest first; one at least.
    pub shares: Vec<f64>,
}

/// Between which sizes a network ends, in counts of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Largest.
    pub at_most: u64,
    /// Smallest.
    pub at_least: u64,
}

impl Stops {
    /// Largest share where there is no budget: a network that loses nothing is none.
    pub const LARGEST: f64 = 0.99;

    /// These shares, in any order; all of the network where there is none.
    pub fn new(count: impl Into<Count>, mut shares: Vec<f64>) -> Self {
        shares.sort_by(|a, b| b.total_cmp(a));
        shares.dedup();
        if shares.is_empty() {
            shares.push(1.0);
        }
        let count = count.into();
        Self { count, shares }
    }

    /// Those of several targets of one count, if there are any.
    pub fn of_targets(targets: &[Target]) -> Option<Self> {
        let shares = targets.iter().map(|target| target.share).collect();
        Some(Self::new(targets.first()?.count, shares))
    }

    /// The last one, of the smallest network.
    pub fn last(&self) -> usize {
        self.shares.len() - 1
    }

    /// Is a network small enough for a stop?
    pub fn is_met(&self, stop: usize, size: &Size, full: &Size) -> bool {
        self.count.of(size) <= self.bounds(stop, full).at_most
    }

    /// Sizes of the networks of a stop.
    pub fn bounds(&self, stop: usize, full: &Size) -> Bounds {
        let share = self.shares[stop];
        Bounds {
            at_most: self.count.count(share, full),
            at_least: self.count.count(share * SLACK, full),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Budget, Metric};

    const FULL: Size = Size {
        kernels: 100,
        conv_params: 8000,
        params: 10_000,
        macs: 1_000_000,
        latency: 0,
    };

    #[test]
    fn budgets_are_stops_the_largest_first() {
        let budgets = [0.02, 0.14, 0.06, 0.14].map(|remaining| Budget {
            metric: Metric::Params,
            remaining,
        });
        let stops = Stops::of_targets(&Target::of(&budgets, &FULL)).unwrap();
        assert_eq!(stops.shares, [0.14, 0.06, 0.02]);
        assert_eq!(stops.last(), 2);
        for (stop, at_most) in [1400, 600, 200].into_iter().enumerate() {
            let bounds = stops.bounds(stop, &FULL);
            assert_eq!(bounds.at_most, at_most);
            assert!(bounds.at_least < at_most && bounds.at_least > at_most * 9 / 10);
            let of = |params| Size { params, ..FULL };
            assert!(stops.is_met(stop, &of(at_most), &FULL));
            assert!(!stops.is_met(stop, &of(at_most + 1), &FULL));
        }
        assert_eq!(Stops::of_targets(&[]), None);
        assert_eq!(Stops::new(Metric::Macs, Vec::new()).shares, [1.0]);
    }
}
