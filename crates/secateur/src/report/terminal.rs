//! The table at the end of a run.

use std::fmt::Write;

use super::{NetworkFigures, RunReport};

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

type Row = (&'static str, fn(&NetworkFigures, &NetworkFigures) -> String);

/// Before and after, a column a network.
pub fn terminal_table(report: &RunReport) -> String {
    let mut networks = vec![&report.before];
    networks.extend(&report.after);
    networks.extend(&report.front);
    let rows: [Row; 9] = [
        ("", |n, _| n.label.clone()),
        ("test accuracy", |n, _| points(n.test_accuracy)),
        ("  against before", |n, _| {
            n.test_difference.map_or_else(String::new, |d| {
                format!(
                    "{:+.2} ({:+.2} to {:+.2})",
                    100.0 * d.difference,
                    100.0 * d.low,
                    100.0 * d.high
                )
            })
        }),
        ("kernels", |n, b| {
            share(n.size.kernels, b.size.kernels, n, b)
        }),
        ("conv parameters", |n, b| {
            share(n.size.conv_params, b.size.conv_params, n, b)
        }),
        ("parameters", |n, b| {
            share(n.size.params, b.size.params, n, b)
        }),
        ("MACs", |n, b| share(n.size.macs, b.size.macs, n, b)),
        ("bytes", |n, b| share(n.bytes, b.bytes, n, b)),
        ("latency, batch 1", |n, _| {
            n.latency
                .first()
                .map_or_else(String::new, |l| format!("{:.3} ms", l.median_ms))
        }),
    ];
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, cell)| {
            let mut row = vec![(*name).to_string()];
            row.extend(networks.iter().map(|n| cell(n, &report.before)));
            row
        })
        .collect();
    let columns = networks.len() + 1;
    let widths: Vec<usize> = (0..columns)
        .map(|c| {
            cells
                .iter()
                .map(|row| row[c].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &cells {
        for (column, cell) in row.iter().enumerate() {
            let pad = widths[column] - cell.chars().count();
            let spaces = " ".repeat(pad);
            let _ = if column == 0 {
                write!(text, "{cell}{spaces}")
            } else {
                write!(text, "   {spaces}{cell}")
            };
        }
        text.push('\n');
    }
    let share = 100.0 * report.search_sample_macs / report.training_sample_macs.max(1.0);
    let _ = write!(
        text,
        "search cost       {share:.1} % of the initial training in sample-MACs"
    );
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

fn share(value: u64, of: u64, network: &NetworkFigures, before: &NetworkFigures) -> String {
    if std::ptr::eq(network, before) {
        grouped(value)
    } else {
        format!("{} ({})", grouped(value), percent(value, of))
    }
}
