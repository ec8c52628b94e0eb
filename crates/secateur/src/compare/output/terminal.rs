//! The table for a terminal.

use std::fmt::Write;

use super::cells;
use crate::compare::summary::Comparison;
use crate::table::{Align, table};

/// Group by group, then all together, then what is not in it.
pub fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    let row = |first: &str, rest: Vec<String>| -> Vec<String> {
        std::iter::once(first.to_string()).chain(rest).collect()
    };
    let mut add = |title: &str, rows: Vec<Vec<String>>| {
        let _ = write!(
            text,
            "{title}\n{}\n",
            table(&[Align::Left, Align::Right], rows)
        );
    };
    for group in &comparison.groups {
        let head = row("", cells::heads(comparison, group.is_floor));
        let lines = group.lines.iter();
        let lines = lines.map(|line| row(&line.policy, cells::cells(group, line)));
        add(
            &cells::title(group),
            std::iter::once(head).chain(lines).collect(),
        );
    }
    if !comparison.overall.is_empty() && !comparison.groups.is_empty() {
        let head = row("", cells::overall_heads(comparison));
        let lines = comparison.overall.iter();
        let lines = lines.map(|line| row(&line.policy, cells::overall_cells(comparison, line)));
        add(
            "all rows together",
            std::iter::once(head).chain(lines).collect(),
        );
    }
    for line in cells::notes(comparison)
        .iter()
        .chain(&cells::left_out(comparison))
    {
        let _ = writeln!(text, "{line}");
    }
    text
}
