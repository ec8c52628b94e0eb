//! The page's sections in words, tables and plots.

use std::path::Path;

use maud::{Markup, PreEscaped, html};
use secateur_search::run_dir::record::{EpochRecord, RunHeader, Stage};

use crate::report::command::anew;
use crate::report::plots::{Frame, Line, bounds, lines};
use crate::report::stats::PairedDifference;
use crate::report::terminal::grouped;
use crate::report::{NetworkFigures, ReportError, RunReport};

fn percent(value: f64) -> String {
    format!("{:.2} %", 100.0 * value)
}

fn gone(after: u64, before: u64) -> String {
    format!(
        "{:.1} %",
        100.0 - 100.0 * after as f64 / before.max(1) as f64
    )
}

fn points(difference: &PairedDifference) -> String {
    format!(
        "{:+.2} points ({:+.2} to {:+.2})",
        100.0 * difference.difference,
        100.0 * difference.low,
        100.0 * difference.high
    )
}

fn cost_share(report: &RunReport) -> f64 {
    report.search_sample_macs / report.training_sample_macs.max(1.0)
}

/// The figures that a reader looks for first.
fn figures(best: &NetworkFigures, report: &RunReport) -> Markup {
    let before = &report.before;
    html! {
        div.figures {
            div.figure { b { (gone(best.size.params, before.size.params)) } span { "parameters gone" } }
            div.figure { b { (gone(best.size.macs, before.size.macs)) } span { "multiply-adds gone" } }
            div.figure { b { (gone(best.size.kernels, before.size.kernels)) } span { "kernels gone" } }
            @if let Some(d) = &best.test_difference {
                div.figure { b.loss[d.difference < 0.0] { (format!("{:+.2}", 100.0 * d.difference)) } span { "points of test accuracy" } }
            }
            div.figure { b { (format!("{:.0} %", 100.0 * cost_share(report))) } span { "of the initial training's cost" } }
        }
    }
}

/// What became of the network, in words.
fn verdict(best: &NetworkFigures, report: &RunReport) -> Markup {
    let before = &report.before;
    html! {
        p.lead {
            (best.file) " keeps " (grouped(best.size.params)) " of " (grouped(before.size.params))
            " parameters. "
            @match (best.test_accuracy, before.test_accuracy, &best.test_difference) {
                (Some(after), Some(first), Some(d)) => {
                    "On test images that nothing was chosen by, it is right on " (percent(after))
                    ", the given network on " (percent(first)) ": " (points(d))
                    ", 95 % interval; " (d.gained) " images gained, " (d.lost) " lost. "
                    @if d.low <= 0.0 && d.high >= 0.0 {
                        "The interval holds zero: these images do not tell the two apart."
                    } @else if d.difference > 0.0 {
                        "The smaller network is better by more than chance explains."
                    } @else {
                        "The smaller network is worse by more than chance explains."
                    }
                }
                _ => "There are no test images, so nothing is said of unseen data beyond validation.",
            }
        }
    }
}

pub(super) fn summary(report: &RunReport) -> Markup {
    let best = report.after.last().unwrap_or(&report.before);
    let before = &report.before;
    let unchanged = best.record.is_none();
    html! {
        h1 {
            (before.file)
            @if unchanged { " could not be made smaller" } @else { " made smaller" }
        }
        p.muted { (report.mode) ". secateur " (report.version) ", seed " (report.seed) "." }
        @if unchanged {
            p.lead {
                (best.file) " is the given network: no smaller one kept what the run promised. "
                "What was tried is below; "
                code { "--max-drop" } " says how many points may go."
            }
        } @else {
            (figures(best, report))
            (verdict(best, report))
        }
        @for warning in &report.warnings {
            p.note { (warning) }
        }
    }
}

fn cell(value: u64, before: u64, is_before: bool) -> Markup {
    html! {
        td {
            (grouped(value))
            @if !is_before { small { (format!("{:.1} %", 100.0 * value as f64 / before.max(1) as f64)) } }
        }
    }
}

fn difference(difference: Option<&PairedDifference>) -> Markup {
    html! {
        td {
            @if let Some(d) = difference {
                (format!("{:+.2}", 100.0 * d.difference))
                small.below { (format!("{:+.2} to {:+.2}", 100.0 * d.low, 100.0 * d.high)) }
            }
        }
    }
}

pub(super) fn before_after(report: &RunReport) -> Markup {
    let before = &report.before;
    let mut networks: Vec<&NetworkFigures> = vec![before];
    networks.extend(&report.after);
    networks.extend(&report.front);
    let batches: Vec<usize> = before.latency.iter().map(|l| l.batch).collect();
    let accuracy = |value: Option<f64>| value.map_or_else(|| "-".to_string(), percent);
    html! {
        h2 { "Before and after" }
        p.muted { "Shares are what remains. Differences are in points, paired, with 95 % intervals (Agresti and Min 2005). The search never saw the confirming and the test images." }
        div.scroll {
            table {
                thead { tr { th { } @for n in &networks { th scope="col" { (n.label) } } } }
                tbody {
                    tr { td { "test accuracy" } @for n in &networks { td { (accuracy(n.test_accuracy)) } } }
                    tr { td { "against before" } @for n in &networks { (difference(n.test_difference.as_ref())) } }
                    tr { td { "validation, search part" } @for n in &networks { td { (percent(n.search_accuracy)) } } }
                    tr { td { "validation, confirming" } @for n in &networks { td { (percent(n.confirm_accuracy)) } } }
                    tr { td { "against before" } @for n in &networks { (difference(n.confirm_difference.as_ref())) } }
                    tr { td { "kernels" } @for (i, n) in networks.iter().enumerate() { (cell(n.size.kernels, before.size.kernels, i == 0)) } }
                    tr { td { "conv parameters" } @for (i, n) in networks.iter().enumerate() { (cell(n.size.conv_params, before.size.conv_params, i == 0)) } }
                    tr { td { "all parameters" } @for (i, n) in networks.iter().enumerate() { (cell(n.size.params, before.size.params, i == 0)) } }
                    tr { td { "multiply-adds" } @for (i, n) in networks.iter().enumerate() { (cell(n.size.macs, before.size.macs, i == 0)) } }
                    tr { td { "bytes" } @for (i, n) in networks.iter().enumerate() { (cell(n.bytes, before.bytes, i == 0)) } }
                    @for (index, batch) in batches.iter().enumerate() {
                        tr {
                            td { "latency, batch " (batch) }
                            @for n in &networks {
                                td {
                                    @if let (Some(own), Some(first)) = (n.latency.get(index), before.latency.get(index)) {
                                        (format!("{:.3} ms", own.median_ms))
                                        small { (format!("{:.1}x", first.median_ms / own.median_ms.max(1e-9))) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        p.muted { "Latency: median in tract, the files in turn, on " (report.machine) "." }
    }
}

fn legend(entries: &[(&str, &str)]) -> Markup {
    html! {
        div.legend {
            @for (color, name) in entries {
                span { i style=(format!("background:var(--{color})")) {} (name) }
            }
        }
    }
}

pub(super) fn progress(
    report: &RunReport,
    header: &RunHeader,
    history: &[EpochRecord],
) -> Result<Markup, ReportError> {
    let x = (0.0, history.len().saturating_sub(1).max(1) as f64);
    let series = |get: &dyn Fn(&EpochRecord) -> f64| -> Vec<(f64, f64)> {
        history.iter().map(|r| (r.epoch as f64, get(r))).collect()
    };
    let accuracy = series(&|r| 100.0 * r.accuracy);
    let level = history.last().map(|r| 100.0 * r.floor);
    // A collapse right after a cut would flatten everything else: the axis ends 6 points below
    // the level, but shows three quarters of the epochs in any case.
    let top = bounds(accuracy.iter().map(|p| p.1).chain(level));
    let mut sorted: Vec<f64> = accuracy.iter().map(|p| p.1).collect();
    sorted.sort_by(f64::total_cmp);
    let quartile = sorted.get(sorted.len() / 4).copied().unwrap_or(100.0);
    let low = top.0.max(quartile.min(level.unwrap_or(100.0) - 6.0));
    let clipped = accuracy.iter().map(|&(e, a)| (e, a.max(low))).collect();
    let below = below_axis(&accuracy, low);
    let plot = lines(
        &Frame {
            name: "accuracy",
            y_label: "accuracy, %",
            x,
            y: (low, top.1),
            level,
        },
        &[Line {
            name: "accuracy",
            class: 0,
            values: clipped,
        }],
    )?;
    let share = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
    let remaining = [
        Line {
            name: "parameters",
            class: 0,
            values: series(&|r| share(r.size.params, header.size.params)),
        },
        Line {
            name: "multiply-adds",
            class: 1,
            values: series(&|r| share(r.size.macs, header.size.macs)),
        },
        Line {
            name: "kernels",
            class: 2,
            values: series(&|r| share(r.size.kernels, header.size.kernels)),
        },
    ];
    let sizes = lines(
        &Frame {
            name: "size",
            y_label: "remains, %",
            x,
            y: (0.0, 103.0),
            level: None,
        },
        &remaining,
    )?;
    let floor = if report.floor.is_some() {
        "the accuracy floor"
    } else {
        "the given network"
    };
    Ok(html! {
        h2 { "The run" }
        p { "Accuracy on the validation images that guide the search, after each pruning epoch; the dashed line is " (floor) ". Every episode starts from the given network." }
        div.plot { (PreEscaped(plot)) }
        @if let Some(below) = below { p.muted { (below) } }
        div.plot { (PreEscaped(sizes)) }
        (legend(&remaining.iter().map(|l| (["s0", "s1", "s2", "s3"][l.class], l.name)).collect::<Vec<_>>()))
    })
}

/// Says of values that lie below a plot's axis.
fn below_axis(values: &[(f64, f64)], low: f64) -> Option<String> {
    let below: Vec<f64> = values.iter().map(|v| v.1).filter(|&v| v < low).collect();
    let least = below.iter().copied().fold(f64::INFINITY, f64::min);
    match below.len() {
        0 => None,
        1 => Some(format!(
            "In one pruning epoch accuracy lies below the axis, at {least:.2} %: it is drawn at \
             the foot."
        )),
        n => Some(format!(
            "In {n} pruning epochs accuracy lies below the axis, down to {least:.2} %: they are \
             drawn at the foot."
        )),
    }
}

pub(super) fn reward(history: &[EpochRecord]) -> Result<Markup, ReportError> {
    let rows: Vec<&EpochRecord> = history
        .iter()
        .filter(|r| r.stage != Stage::Recover)
        .collect();
    if rows.len() < 2 {
        return Ok(html! {});
    }
    let series = |get: &dyn Fn(&EpochRecord) -> f32| -> Vec<(f64, f64)> {
        rows.iter()
            .map(|r| (r.epoch as f64, f64::from(get(r))))
            .collect()
    };
    let parts = [
        Line {
            name: "accuracy",
            class: 0,
            values: series(&|r| r.reward.accuracy),
        },
        Line {
            name: "compression",
            class: 1,
            values: series(&|r| r.reward.compression),
        },
        Line {
            name: "convergence",
            class: 2,
            values: series(&|r| r.reward.convergence),
        },
        Line {
            name: "kernels' own share, mean",
            class: 3,
            values: series(&|r| r.reward.dense),
        },
    ];
    let y = bounds(parts.iter().flat_map(|l| l.values.iter().map(|p| p.1)));
    let x = (0.0, rows.last().map_or(1.0, |r| r.epoch as f64).max(1.0));
    let plot = lines(
        &Frame {
            name: "reward",
            y_label: "reward",
            x,
            y,
            level: Some(0.0),
        },
        &parts,
    )?;
    Ok(html! {
        h2 { "What the agent earned" }
        p { "The parts of the reward by pruning epoch. Each kernel receives the first three, and its own share of the fourth." }
        div.plot { (PreEscaped(plot)) }
        (legend(&parts.iter().map(|l| (["s0", "s1", "s2", "s3"][l.class], l.name)).collect::<Vec<_>>()))
    })
}

pub(super) fn reactivations(header: &RunHeader, history: &[EpochRecord]) -> Markup {
    let rows: Vec<(&EpochRecord, Option<&EpochRecord>)> = history
        .iter()
        .enumerate()
        .filter(|(_, r)| !r.reactivated.is_empty())
        .map(|(i, r)| (r, i.checked_sub(1).and_then(|before| history.get(before))))
        .collect();
    html! {
        h2 { "Turned on again" }
        @if rows.is_empty() {
            p { "No kernel was turned on again in this run." }
        } @else {
            p { "When kernels came back, by whom, how healthy they looked (the estimated fall of the loss), and what accuracy did in that pruning epoch." }
            div.scroll {
                table {
                    thead { tr { th { "epoch" } th { "kernels" } th { "by" } th { "layers" } th { "best health" } th.wrap { "accuracy before" } th { "after" } } }
                    tbody {
                        @for (record, before) in rows {
                            @let rule = record.reactivated.iter().filter(|r| matches!(r.by, secateur_search::run_dir::record::ReactivatedBy::Rule)).count();
                            @let best = record.reactivated.iter().map(|r| r.health).fold(f32::NEG_INFINITY, f32::max);
                            tr {
                                td { (record.epoch) }
                                td { (record.reactivated.len()) }
                                td { @if rule == 0 { "agent" } @else if rule == record.reactivated.len() { "rule" } @else { "agent and rule" } }
                                td.wrap { (layer_counts(header, record)) }
                                td { (format!("{best:.2e}")) }
                                td { @if let Some(before) = before { (percent(before.accuracy)) } }
                                td { (percent(record.accuracy)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn layer_counts(header: &RunHeader, record: &EpochRecord) -> String {
    let mut parts = Vec::new();
    for (g, group) in header.groups.iter().enumerate() {
        let n = record
            .reactivated
            .iter()
            .filter(|r| r.kernel.group == g)
            .count();
        if n > 0 {
            parts.push(format!("{} {n}", group.name));
        }
    }
    parts.join(", ")
}

pub(super) fn layers(report: &RunReport) -> Markup {
    let networks: Vec<&NetworkFigures> = report.after.iter().chain(&report.front).collect();
    html! {
        h2 { "Layers" }
        p.muted { "Kernels (or features) a layer." }
        div.scroll {
            table {
                thead { tr { th { "layer" } th { "before" } @for n in &networks { th { (n.label) } } } }
                tbody {
                    @for layer in &report.layers {
                        tr {
                            td { (layer.name) }
                            td { (layer.width) }
                            @for kept in &layer.kept { td { (kept) small { (format!("{:.0} %", 100.0 * *kept as f64 / layer.width.max(1) as f64)) } } }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn cost(report: &RunReport, history: &[EpochRecord]) -> Markup {
    let by_stage = |stage: Stage| -> (f64, f64) {
        history
            .iter()
            .filter(|r| r.stage == stage)
            .fold((0.0, 0.0), |(c, s), r| {
                (c + r.cost_sample_macs, s + r.seconds)
            })
    };
    let share = |macs: f64| {
        format!(
            "{:.1} %",
            100.0 * macs / report.training_sample_macs.max(1.0)
        )
    };
    let stages = [
        ("exploring", Stage::Explore),
        ("exploiting", Stage::Exploit),
        ("recovering", Stage::Recover),
    ];
    let recorded: f64 = history.iter().map(|r| r.cost_sample_macs).sum();
    let before = report.search_sample_macs - recorded;
    let seconds: f64 = history.iter().map(|r| r.seconds).sum();
    html! {
        h2 { "What it cost" }
        p {
            "In sample-MACs (forward 1, backward 2; training, evaluation, probes and the teacher's scores all counted) the search took "
            b { (share(report.search_sample_macs)) } " of "
            @if report.training_is_measured { "the initial training" } @else { "the reference training of the config" }
            "."
        }
        p {
            "Its pruning epochs took " (format!("{:.0} s", report.search_seconds)) " of wall-clock time"
            @if let Some(seconds) = report.training_seconds {
                ", the initial training " (format!("{seconds:.0} s"))
            }
            ". Not in it: reading the data, the teacher's scores, epochs that were cut short and begun again, and what follows the search: confirming, writing and verifying the results, and the measurements for this page."
        }
        div.scroll {
            table {
                thead { tr { th { "stage" } th { "share of the initial training" } th { "seconds" } } }
                tbody {
                    // Less is rounding.
                    @if before > 1e-6 * report.search_sample_macs {
                        tr { td { "the teacher's scores, before the first epoch" } td { (share(before)) } td { "not measured" } }
                    }
                    @for (name, stage) in stages {
                        @let (macs, seconds) = by_stage(stage);
                        tr { td { (name) } td { (share(macs)) } td { (format!("{seconds:.1}")) } }
                    }
                    tr { td { "all" } td { (share(report.search_sample_macs)) } td { (format!("{seconds:.1}")) } }
                }
            }
        }
    }
}

pub(super) fn reproduce(report: &RunReport, page: &Path) -> Markup {
    let run_dir = page.parent().unwrap_or(Path::new("")).display().to_string();
    html! {
        h2 { "How to reproduce it" }
        @match anew(&report.command, &run_dir) {
            Some(command) => {
                pre { (command) }
                p {
                    "The run was stopped and gone on with, last by "
                    code { (report.command) }
                    ". The command above begins it anew by the settings that its folder keeps, which are those of its end: where they were changed on the way, or where it began with "
                    code { "--agent" } ", which they do not hold, it is another run."
                }
            }
            None => {
                pre { (report.command) }
                p.muted { "In a run folder that holds no run yet." }
            }
        }
        p.muted { "On " (report.machine) ". The same seed and number of threads give the same decisions." }
        details {
            summary { "Settings" }
            pre { (report.config) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_the_axis_is_said() {
        let values = [(0.0, 99.0), (1.0, 41.5), (2.0, 70.25)];
        let text = |low| below_axis(&values, low).unwrap_or_default();
        assert_eq!(text(40.0), "");
        assert!(text(60.0).contains("one pruning epoch") && text(60.0).contains("41.50 %"));
        assert!(text(90.0).contains("2 pruning epochs") && text(90.0).contains("41.50 %"));
    }
}
