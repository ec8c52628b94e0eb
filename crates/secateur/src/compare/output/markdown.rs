//! `table.md`.

use std::fmt::Write;

use super::cells;
use crate::compare::summary::Comparison;

pub(super) fn text(comparison: &Comparison) -> String {
    let mut text = format!("# {}\n\n", comparison.name);
    if !comparison.about.is_empty() {
        let _ = writeln!(text, "{}\n", comparison.about);
    }
    let mut add = |title: &str, heads: Vec<String>, rows: Vec<(&str, Vec<String>)>| {
        let rule = "---|".repeat(heads.len() + 1);
        let _ = write!(text, "## {title}\n\n{}|{rule}\n", row("policy", heads));
        for (policy, cells) in rows {
            text += &row(policy, cells);
        }
        text.push('\n');
    };
    for group in &comparison.groups {
        let lines = group.lines.iter();
        let rows = lines.map(|line| (line.policy.as_str(), cells::cells(group, line)));
        let heads = cells::heads(comparison, group.is_floor);
        add(&cells::title(group), heads, rows.collect());
    }
    if !comparison.overall.is_empty() && !comparison.groups.is_empty() {
        let lines = comparison.overall.iter();
        let rows = lines.map(|line| (line.policy.as_str(), cells::overall_cells(comparison, line)));
        let heads = cells::overall_heads(comparison);
        add("All rows together", heads, rows.collect());
    }
    for note in cells::notes(comparison) {
        let _ = writeln!(text, "{note}\n");
    }
    for line in cells::left_out(comparison) {
        let _ = writeln!(text, "- {line}");
    }
    text
}

fn row(first: &str, rest: Vec<String>) -> String {
    let cells = std::iter::once(first.to_string()).chain(rest);
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}
