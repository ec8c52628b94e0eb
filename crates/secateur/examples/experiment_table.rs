//! The reports of several runs as one Markdown table.
//!
//! `cargo run --release --example experiment_table -- out/*.run/report.json`

use std::path::Path;

use secateur::report::{NetworkFigures, RunReport, read_json};

fn gone(small: u64, full: u64) -> String {
    format!("{:.1}", 100.0 - 100.0 * small as f64 / full.max(1) as f64)
}

fn row(run: &str, report: &RunReport, after: &NetworkFigures) -> String {
    let before = &report.before;
    let percent = |accuracy: Option<f64>| {
        accuracy.map_or_else(|| "-".to_string(), |a| format!("{:.2}", 100.0 * a))
    };
    let difference = after.test_difference.map_or_else(
        || {
            if after.record.is_none() {
                "unchanged"
            } else {
                "-"
            }
            .to_string()
        },
        |d| {
            format!(
                "{:+.2} ({:+.2} to {:+.2})",
                100.0 * d.difference,
                100.0 * d.low,
                100.0 * d.high
            )
        },
    );
    let cost = report.search_sample_macs / report.training_sample_macs.max(1.0);
    let seconds = report.training_seconds.map_or_else(
        || "-".to_string(),
        |s| format!("{:.2}", report.search_seconds / s.max(1e-9)),
    );
    let (small, full) = (&after.size, &before.size);
    [
        run.to_string(),
        after.label.clone(),
        percent(before.test_quality),
        percent(after.test_quality),
        difference,
        gone(small.kernels, full.kernels),
        gone(small.conv_params, full.conv_params),
        gone(small.params, full.params),
        gone(small.macs, full.macs),
        format!("{cost:.2}"),
        seconds,
    ]
    .join(" | ")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "| run | output | test before | test after | difference, points | kernels gone, % | conv \
         params gone, % | params gone, % | MACs gone, % | cost, of training | wall-clock, of \
         training |"
    );
    println!("|{}", "---|".repeat(11));
    for path in std::env::args().skip(1) {
        let path = Path::new(&path);
        let report = read_json(path)?;
        let run = path
            .parent()
            .and_then(Path::file_stem)
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        for after in report.after.iter().chain(&report.front) {
            println!("| {} |", row(&run, &report, after));
        }
    }
    Ok(())
}
