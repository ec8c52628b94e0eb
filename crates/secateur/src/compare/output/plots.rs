//! Pareto plots: quality against size, and against cost.

use crate::compare::summary::{Comparison, Line};
use crate::report::ReportError;
use crate::report::plots::{Frame, Points, bounds, points};

/// What quality is drawn against.
#[derive(Debug, Clone, Copy)]
pub(super) enum Against {
    /// Share of the parameters that remains.
    Params,
    /// Share of the multiply-adds.
    Macs,
    /// Cost of the search.
    Cost,
}

impl Against {
    pub const ALL: [Self; 3] = [Self::Params, Self::Macs, Self::Cost];

    pub fn words(self) -> &'static str {
        match self {
            Self::Params => "parameters that remain, %",
            Self::Macs => "multiply-adds that remain, %",
            Self::Cost => "cost, share of the initial training",
        }
    }

    fn of(self, line: &Line) -> f64 {
        match self {
            Self::Params => 100.0 * line.params,
            Self::Macs => 100.0 * line.macs,
            Self::Cost => line.cost,
        }
    }
}

/// The contenders' means for a network, each joined from the smallest to the largest; a dashed line
/// where the given network is.
///
/// # Errors
/// [`ReportError::Plot`].
pub(super) fn pareto(
    comparison: &Comparison,
    network: &str,
    against: Against,
) -> Result<String, ReportError> {
    let groups: Vec<_> = comparison
        .groups
        .iter()
        .filter(|g| g.network == network)
        .collect();
    let of = |policy: &str| -> Vec<(f64, f64)> {
        let lines = groups.iter().flat_map(|group| &group.lines);
        let own = lines.filter(|line| line.policy == policy);
        let mut values: Vec<_> = own
            .map(|line| (against.of(line), 100.0 * line.quality))
            .collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        values
    };
    let all: Vec<Points> = comparison
        .policies
        .iter()
        .enumerate()
        .map(|(class, policy)| Points {
            class,
            values: of(policy),
        })
        .collect();
    let given = groups.first().map(|group| 100.0 * group.given);
    let values = || all.iter().flat_map(|points| &points.values);
    let frame = Frame {
        name: "pareto",
        x_label: against.words(),
        y_label: &format!("{}, %", comparison.quality_name),
        x: bounds(values().map(|value| value.0)),
        y: bounds(values().map(|value| value.1).chain(given)),
        level: given,
    };
    points(&frame, &all)
}
