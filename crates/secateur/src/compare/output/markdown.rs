//! `table.md`.

use std::fmt::Write;

use super::cells;
use crate::compare::summary::Comparison;

pub(super) fn text(comparison: &Comparison) -> String {
    let mut text = format!("# {}\n\n", comparison.name);
    if !comparison.about.is_empty() {
        let _ = writeln!(text, "{}\n", comparison.about);
    }
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | ").replace('\n', " "));
    for group in &comparison.groups {
        let _ = writeln!(text, "## {}\n", cells::title(group));
        let heads = cells::heads(comparison, group.is_floor);
        let _ = write!(text, "{}|{}\n", row([vec!["policy".into()], heads.clone()].concat()), "---|".repeat(heads.len() + 1));
        for line in &group.lines {
            text += &row([vec![line.policy.clone()], cells::cells(group, line)].concat());
        }
        text.push('\n');
    }
    if !comparison.overall.is_empty() && !comparison.groups.is_empty() {
        let heads = cells::overall_heads(comparison);
        let _ = write!(text, "## All rows together\n\n{}|{}\n", row([vec!["policy".into()], heads.clone()].concat()), "---|".repeat(heads.len() + 1));
        for line in &comparison.overall {
            text += &row([vec![line.policy.clone()], cells::overall_cells(line)].concat());
        }
        text.push('\n');
    }
    for note in cells::notes(comparison) {
        let _ = writeln!(text, "{note}\n");
    }
    for line in cells::left_out(comparison) {
        let _ = writeln!(text, "- {line}");
    }
    text
}
