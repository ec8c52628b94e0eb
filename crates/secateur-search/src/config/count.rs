//! What the size of a network is counted in: one metric, or several that must all hold.

use secateur_onnx::cost::Size;

use super::{Budget, Metric};

/// The count of joined budgets at which the tightest of them is just met.
const MET: f64 = 1e9;

/// A count of sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Count {
    /// In one metric.
    Of(Metric),
    /// By the budget that is furthest from being met: the largest of `weight · count`, one weight a
    /// metric.
    Joined([f64; Metric::ALL.len()]),
}

impl From<Metric> for Count {
    fn from(metric: Metric) -> Self {
        Self::Of(metric)
    }
}

impl Count {
    /// That count of a size.
    pub fn of(&self, size: &Size) -> u64 {
        match self {
            Self::Of(metric) => metric.of(size),
            Self::Joined(weights) => {
                let parts = Metric::ALL.iter().zip(weights);
                let parts = parts.map(|(metric, weight)| weight * metric.of(size) as f64);
                (MET * parts.fold(0.0, f64::max)).ceil() as u64
            }
        }
    }

    /// A share of a size's count. Rounded down: a budget of 0.14 is met by 0.13999, not by 0.14001.
    pub fn count(&self, share: f64, of: &Size) -> u64 {
        (share * self.of(of) as f64).floor() as u64
    }

    /// About the share of the multiply-adds where a share of this count remains.
    pub fn share_of_macs(&self, share: f64) -> f64 {
        match self {
            // Half of the kernels in every layer are a quarter of the connections.
            Self::Of(Metric::Kernels) => share * share,
            _ => share,
        }
    }
}

/// What one network of a run is made for.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// `params=0.14`, or `latency=0.5+params=0.3`.
    pub label: String,
    /// What its size is counted in.
    pub count: Count,
    /// Share of that count which may remain.
    pub share: f64,
    /// The budgets that it meets.
    pub budgets: Vec<Budget>,
}

impl Target {
    /// The networks that budgets ask for, against the given network's size: one for each budget; of
    /// several metrics, one that meets them all.
    pub fn of(budgets: &[Budget], full: &Size) -> Vec<Self> {
        let single = |budget: &Budget| Self {
            label: budget.label(),
            count: budget.metric.into(),
            share: budget.remaining,
            budgets: vec![*budget],
        };
        if !are_joined(budgets) {
            return budgets.iter().map(single).collect();
        }
        let mut weights = [0.0; Metric::ALL.len()];
        for (metric, weight) in Metric::ALL.iter().zip(&mut weights) {
            let budget = budgets.iter().find(|budget| budget.metric == *metric);
            *weight = budget.map_or(0.0, |budget| {
                1.0 / (budget.remaining * metric.of(full).max(1) as f64)
            });
        }
        let shares = budgets.iter().map(|budget| budget.remaining);
        vec![Self {
            label: Self::labels(budgets).remove(0),
            count: Count::Joined(weights),
            share: shares.fold(f64::INFINITY, f64::min),
            budgets: budgets.to_vec(),
        }]
    }

    /// What the networks are called, without any size.
    pub fn labels(budgets: &[Budget]) -> Vec<String> {
        let labels: Vec<String> = budgets.iter().map(Budget::label).collect();
        match are_joined(budgets) {
            true => vec![labels.join("+")],
            false => labels,
        }
    }

    /// Share of the given network's time that it may take, where that is asked for.
    pub fn latency(&self) -> Option<f64> {
        let mut budgets = self.budgets.iter();
        let budget = budgets.find(|budget| budget.metric == Metric::Latency)?;
        Some(budget.remaining)
    }
}

/// Are they budgets of several metrics, which one network meets?
pub(super) fn are_joined(budgets: &[Budget]) -> bool {
    budgets
        .first()
        .is_some_and(|first| budgets.iter().any(|budget| budget.metric != first.metric))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Size = Size {
        kernels: 100,
        conv_params: 8000,
        params: 10_000,
        macs: 1_000_000,
        latency: 0,
    };

    fn budget(metric: Metric, remaining: f64) -> Budget {
        Budget { metric, remaining }
    }

    #[test]
    fn joined_budgets_are_met_where_all_are() {
        let budgets = [budget(Metric::Macs, 0.5), budget(Metric::Params, 0.3)];
        let targets = Target::of(&budgets, &FULL);
        let [target] = &targets[..] else {
            panic!("{targets:?}")
        };
        assert_eq!(target.label, "macs=0.5+params=0.3");
        let at_most = target.count.count(target.share, &FULL);
        for (params, macs, is_met) in [
            (3000, 500_000, true),
            (3001, 400_000, false),
            (2000, 500_001, false),
            (10, 10, true),
            (10_000, 1_000_000, false),
        ] {
            let size = Size {
                params,
                macs,
                ..FULL
            };
            assert_eq!(target.count.of(&size) <= at_most + 1, is_met, "{size:?}");
        }
    }

    #[test]
    fn budgets_of_one_metric_are_networks_of_their_own() {
        let budgets = [0.4, 0.1].map(|share| budget(Metric::Params, share));
        let targets = Target::of(&budgets, &FULL);
        assert_eq!(targets.len(), 2);
        assert_eq!(targets[1].count.count(targets[1].share, &FULL), 1000);
        assert_eq!(Target::labels(&budgets), ["params=0.4", "params=0.1"]);
        assert!(Target::of(&[], &FULL).is_empty());
    }
}
