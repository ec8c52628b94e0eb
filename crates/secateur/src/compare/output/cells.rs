//! What stands in the cells of a table, whatever its format.

use crate::compare::summary::{Comparison, Difference, Group, Line, Overall};

/// Heads of the columns behind the contender's name.
pub(super) fn heads(comparison: &Comparison, is_floor: bool) -> Vec<String> {
    let of = if is_floor {
        "parameters"
    } else {
        &comparison.quality_name
    };
    vec![
        "seeds".to_string(),
        format!(
            "{} {}, %",
            comparison.figure.name(),
            comparison.quality_name
        ),
        "parameters, %".to_string(),
        "MACs, %".to_string(),
        "cost".to_string(),
        "by the clock".to_string(),
        format!("{} ahead by, points of {of}", comparison.against),
    ]
}

/// The cells of a contender.
pub(super) fn cells(group: &Group, line: &Line) -> Vec<String> {
    let unchanged = match line.unchanged {
        0 => String::new(),
        n => format!(" ({n} unchanged)"),
    };
    let deviation = line
        .deviation
        .map_or_else(String::new, |d| format!(" ± {:.2}", 100.0 * d));
    let ahead = if group.is_floor {
        line.size_ahead
    } else {
        line.quality_ahead
    };
    vec![
        format!("{}{unchanged}", line.runs),
        format!("{:.2}{deviation}", 100.0 * line.quality),
        format!("{:.2}", 100.0 * line.params),
        format!("{:.2}", 100.0 * line.macs),
        format!("{:.3}", line.cost),
        line.clock.map_or_else(
            || format!("{:.0} s", line.seconds),
            |clock| format!("{clock:.2}"),
        ),
        ahead.map_or_else(String::new, difference),
    ]
}

/// Heads of the table over all networks and promises, behind the contender's name: budgets and floors,
/// as far as there are some.
pub(super) fn overall_heads(comparison: &Comparison) -> Vec<String> {
    let of = |kind: &str, unit: &str| {
        let ahead = format!("{kind}: {} ahead by, points of {unit}", comparison.against);
        [ahead, "pairs".to_string()]
    };
    let [budgets, floors] = kinds(comparison);
    let mut heads = Vec::new();
    heads.extend(
        budgets
            .then(|| of("all budgets", &comparison.quality_name))
            .into_iter()
            .flatten(),
    );
    heads.extend(
        floors
            .then(|| of("all floors", "parameters"))
            .into_iter()
            .flatten(),
    );
    heads
}

/// Are there budgets, are there floors?
fn kinds(comparison: &Comparison) -> [bool; 2] {
    [false, true].map(|is_floor| {
        comparison
            .groups
            .iter()
            .any(|group| group.is_floor == is_floor)
    })
}

pub(super) fn overall_cells(comparison: &Comparison, overall: &Overall) -> Vec<String> {
    let found = [overall.budgets, overall.floors]
        .into_iter()
        .zip(kinds(comparison));
    let shown = found.filter(|(_, is_there)| *is_there);
    shown
        .flat_map(|(found, _)| {
            let text = found.map_or_else(String::new, difference);
            [
                text,
                found.map_or_else(String::new, |d| d.pairs.to_string()),
            ]
        })
        .collect()
}

/// A mean with its interval.
pub(super) fn difference(found: Difference) -> String {
    match found.interval {
        Some((low, high)) => format!("{:+.2} ({low:+.2} to {high:+.2})", found.mean),
        None => format!("{:+.2}", found.mean),
    }
}

/// What a group is called.
pub(super) fn title(group: &Group) -> String {
    format!(
        "{}, {} (given: {:.2} %)",
        group.network,
        group.promise,
        100.0 * group.given
    )
}

/// What figures are, below a table.
pub(super) fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes = vec![format!(
        "Quality on {} data, means over seeds; shares are what remains. Cost: of the search, in \
         sample-MACs and by the clock, as share of the given network's training; of new weights what \
         their training took beyond that.",
        comparison.figure.name()
    )];
    notes.push(format!(
        "`{}` ahead: mean of the differences by network, promise and seed, 95 % bootstrap interval of \
         the mean.",
        comparison.against
    ));
    notes
}

/// Runs that are not in the table, a line each.
pub(super) fn left_out(comparison: &Comparison) -> Vec<String> {
    let failed = comparison.failures.iter().map(|failure| {
        let error = failure.error.lines().next().unwrap_or_default();
        format!(
            "failed: {}: {}",
            failure.run,
            error.trim_start_matches("error: ")
        )
    });
    let missing = match comparison.missing.len() {
        0 => None,
        n => Some(format!(
            "not done: {n} of the runs, the first {}",
            comparison.missing[0]
        )),
    };
    failed.chain(missing).collect()
}
