//! The table at the end of a run.

use std::fmt::Write;

use secateur_net::task::Figure;
use secateur_search::measure::number_text;

use super::measure::against;
use super::{NetworkFigures, RunReport};
use crate::table::{Align, table};

fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}

fn points(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), |v| format!("{:.2} %", 100.0 * v))
}

/// Numbers with thousands apart.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Before and after, a column a network, with the cost of the search and the notes below.
pub fn terminal_table(report: &RunReport) -> String {
    let mut text = networks(report);
    if let Some(latency) = report.before.latency.first() {
        let (engine, inputs) = (&latency.engine, &latency.inputs);
        let _ = writeln!(text, "latency in {engine}; inputs {inputs}");
    }
    let share = 100.0 * report.search_sample_macs / report.training_sample_macs.max(1.0);
    let _ = write!(
        text,
        "search cost       {share:.1} % of the {} in sample-MACs",
        report.training_name()
    );
    if report.search_work > 0.0 {
        let share = 100.0 * report.search_work / report.training_sample_macs.max(1.0);
        let _ = write!(text, ", about {share:.0} % of its time");
    }
    if let Some(seconds) = report.training_seconds {
        let _ = write!(
            text,
            "; pruning epochs {:.0} s, initial training {seconds:.0} s ({:.1} %)",
            report.search_seconds,
            100.0 * report.search_seconds / seconds.max(1e-9)
        );
    }
    text.push('\n');
    for warning in &report.warnings {
        let _ = writeln!(text, "note: {warning}");
    }
    text
}

fn networks(report: &RunReport) -> String {
    let before = &report.before;
    let networks: Vec<&NetworkFigures> = std::iter::once(before)
        .chain(&report.after)
        .chain(&report.front)
        .collect();
    let row = |name: &str, cell: &dyn Fn(&NetworkFigures) -> String| -> Vec<String> {
        let cells = networks.iter().map(|network| cell(network));
        std::iter::once(name.to_string()).chain(cells).collect()
    };
    let share = |of: fn(&NetworkFigures) -> u64| {
        move |network: &NetworkFigures| {
            if std::ptr::eq(network, before) {
                grouped(of(network))
            } else {
                let remaining = percent(of(network), of(before));
                format!("{} ({remaining})", grouped(of(network)))
            }
        }
    };
    let mut rows = vec![
        row("", &|n| n.label.clone()),
        row(&format!("test {}", report.quality_name), &|n| {
            points(n.test_quality)
        }),
        row("  against before", &difference),
    ];
    for (at, figure) in before.test_figures.iter().enumerate() {
        rows.push(row(&format!("  {}", figure.title()), &|n| {
            let figure = n.test_figures.get(at);
            figure.map_or_else(|| "-".to_string(), Figure::text)
        }));
    }
    if let Some(measure) = &report.measure {
        rows.push(row("measure", &|n| match n.measure {
            Some(number) if !std::ptr::eq(n, before) => against(number, measure.given),
            number => number.map_or_else(|| "-".to_string(), number_text),
        }));
    }
    rows.extend([
        row("kernels", &share(|n| n.size.kernels)),
        row("conv parameters", &share(|n| n.size.conv_params)),
        row("parameters", &share(|n| n.size.params)),
        row("MACs", &share(|n| n.size.macs)),
        row("bytes", &share(|n| n.bytes)),
    ]);
    let decided = row("  decides otherwise", &disagreement);
    if decided.iter().skip(1).any(|cell| !cell.is_empty()) {
        rows.insert(3, decided);
    }
    if !before.latency.is_empty() {
        let batch = before.latency[0].batch;
        rows.push(row(&format!("latency, batch {batch}"), &|n| {
            let first = n.latency.first();
            first.map_or_else(String::new, |l| format!("{:.3} ms", l.median_ms))
        }));
    }
    table(&[Align::Left, Align::Right], rows)
}

/// Decisions that differ from the given network's, and how many there may be at most.
fn disagreement(network: &NetworkFigures) -> String {
    let found = network.test_disagreement.or(network.confirm_disagreement);
    found.map_or_else(String::new, |d| {
        let share = 100.0 * d.found as f64 / d.samples as f64;
        format!("{share:.2} % (at most {:.2} %)", 100.0 * d.at_most)
    })
}

fn difference(network: &NetworkFigures) -> String {
    network.test_difference.map_or_else(String::new, |d| {
        format!(
            "{:+.2} ({:+.2} to {:+.2})",
            100.0 * d.difference,
            100.0 * d.low,
            100.0 * d.high
        )
    })
}
