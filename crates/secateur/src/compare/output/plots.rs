//! Pareto plots: quality against size, and against cost.

use crate::compare::summary::{Comparison, Line};
use crate::report::ReportError;
use crate::report::plots::{Frame, Points, bounds, by_x, front, points};

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

/// The contenders' means for a network; a dashed line where the given network is, a thin one through the
/// means that none of the others beats in both.
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
        .filter(|group| group.network == network)
        .collect();
    let of = |policy: &str| {
        let lines = groups.iter().flat_map(|group| &group.lines);
        let own = lines.filter(|line| line.policy == policy);
        by_x(own.map(|line| (against.of(line), 100.0 * line.quality)))
    };
    let all: Vec<Points> = (0..)
        .zip(&comparison.policies)
        .map(|(class, policy)| Points {
            class,
            values: of(policy),
            // Sizes are steps of one descent; costs have no order.
            is_joined: !matches!(against, Against::Cost),
        })
        .collect();
    let given = groups.first().map(|group| 100.0 * group.given);
    let values = || all.iter().flat_map(|points| points.values.iter().copied());
    let frame = Frame {
        name: "pareto",
        x_label: against.words(),
        y_label: &format!("{}, %", comparison.quality_name),
        x: bounds(values().map(|value| value.0)),
        y: bounds(values().map(|value| value.1).chain(given)),
        level: given,
    };
    points(&frame, &all, &front(values()))
}
