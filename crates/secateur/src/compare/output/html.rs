//! `compare.html`: one self-contained page.

use maud::{Markup, PreEscaped, html};

use super::cells;
use super::plots::{Against, pareto};
use crate::compare::summary::Comparison;
use crate::report::ReportError;
use crate::report::html::{legend, page as whole_page};
use crate::report::plots::{colour, mark};

/// The page; `experiment` is the text of the experiment's file, `command` what made it.
///
/// # Errors
/// [`ReportError::Plot`].
pub(super) fn page(
    comparison: &Comparison,
    experiment: &str,
    command: &str,
) -> Result<String, ReportError> {
    let body = html! {
        h1 { (comparison.name) }
        @if !comparison.about.is_empty() { p.lead { (comparison.about) } }
        @for note in cells::notes(comparison) { p.muted { (note.replace('`', "")) } }
        @for line in cells::left_out(comparison) { p.note { (line) } }
        @if comparison.groups.is_empty() { p { "There are no results yet." } }
        (overall(comparison))
        @for network in networks(comparison) {
            h2 { (network) }
            (plots(comparison, network)?)
            (groups(comparison, network))
        }
        h2 { "How to make it again" }
        pre { (command) }
        details { summary { "The experiment" } pre { (experiment) } }
        (machines(comparison))
    };
    Ok(whole_page(&format!("Comparison: {}", comparison.name), body).into_string())
}

/// Networks that have results, in their order.
fn networks(comparison: &Comparison) -> Vec<&str> {
    let mut names: Vec<&str> = comparison
        .groups
        .iter()
        .map(|g| g.network.as_str())
        .collect();
    names.dedup();
    names
}

fn table(heads: Vec<String>, rows: Vec<(String, Vec<String>)>) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { th { "policy" } @for head in heads { th.wrap { (head) } } } }
                tbody {
                    @for (name, cells) in rows {
                        tr { td { (name) } @for cell in cells { td { (cell) } } }
                    }
                }
            }
        }
    }
}

fn overall(comparison: &Comparison) -> Markup {
    let rows = comparison.overall.iter();
    let rows = rows.map(|line| (line.policy.clone(), cells::overall_cells(comparison, line)));
    html! {
        @if !comparison.overall.is_empty() && !comparison.groups.is_empty() {
            h2 { "All rows together" }
            (table(cells::overall_heads(comparison), rows.collect()))
        }
    }
}

fn groups(comparison: &Comparison, network: &str) -> Markup {
    let own = comparison
        .groups
        .iter()
        .filter(|group| group.network == network);
    html! {
        @for group in own {
            h3 { (cells::title(group)) }
            @let rows = group.lines.iter().map(|line| (line.policy.clone(), cells::cells(group, line)));
            (table(cells::heads(comparison, group.is_floor), rows.collect()))
        }
    }
}

fn plots(comparison: &Comparison, network: &str) -> Result<Markup, ReportError> {
    let named: Vec<(String, String)> = (0..)
        .zip(&comparison.policies)
        .map(|(class, name)| (colour(class), format!("{}{name}", mark(class))))
        .collect();
    let entries: Vec<(&str, &str)> = named
        .iter()
        .map(|(c, n)| (c.as_str(), n.as_str()))
        .collect();
    Ok(html! {
        p {
            "Means over seeds, each policy's joined by size. Dashed: the given network. The thin grey line \
             goes through the means that none beats in both."
        }
        @for against in Against::ALL {
            div.plot { (PreEscaped(pareto(comparison, network, against)?)) }
        }
        (legend(&entries))
    })
}

/// The machines that the runs were made on.
fn machines(comparison: &Comparison) -> Markup {
    let mut machines: Vec<&str> = comparison
        .rows
        .iter()
        .map(|row| row.machine.as_str())
        .collect();
    machines.sort_unstable();
    machines.dedup();
    html! {
        @if !machines.is_empty() { p.muted { "Machine: " (machines.join("; ")) } }
    }
}
