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

fn by_x(values: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    values
}

/// The points of which no other has a higher y at the same or a lower x.
fn front(values: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut best = f64::NEG_INFINITY;
    let mut kept = by_x(values);
    kept.retain(|value| {
        let is_better = value.1 > best;
        best = best.max(value.1);
        is_better
    });
    kept
}

#[cfg(test)]
mod tests {
    use super::front;

    #[test]
    fn the_front_is_what_no_other_beats() {
        let values = [
            (3.0, 9.0),
            (1.0, 5.0),
            (2.0, 4.0),
            (1.0, 6.0),
            (2.0, 8.0),
            (4.0, 9.0),
        ];
        let found = front(values.into_iter());
        assert_eq!(found, [(1.0, 6.0), (2.0, 8.0), (3.0, 9.0)]);
    }
}
