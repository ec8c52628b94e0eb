//! Quality, size and reward over pruning epochs.

use maud::{Markup, PreEscaped, html};
use secateur_onnx::cost::Size;
use secateur_search::record::{EpochRecord, RewardParts, RunHeader, Stage};

use super::legend;
use crate::report::plots::{Frame, Line, bounds, lines};
use crate::report::{ReportError, RunReport};

/// Points below the dashed line down to which the axis of quality reaches at least.
const SHOWN_BELOW: f64 = 6.0;

/// Quality and size after each pruning epoch.
///
/// # Errors
/// [`ReportError::Plot`].
pub(super) fn progress(
    report: &RunReport,
    header: &RunHeader,
    history: &[EpochRecord],
) -> Result<Markup, ReportError> {
    let (quality, below) = quality_plot(report, history)?;
    let remaining = remaining(header, history);
    let sizes = lines(
        &Frame {
            name: "size",
            x_label: "pruning epoch",
            y_label: "remains, %",
            x: epochs(history),
            y: (0.0, 103.0),
            level: None,
        },
        &remaining,
    )?;
    let name = &report.quality_name;
    Ok(html! {
        h2 { "The run" }
        p {
            "On the validation " (report.noun()) "s that guide the search, " (name) " after each pruning epoch; the dashed line is "
            @if report.floor.is_some() { "its floor" } @else { "the given network" }
            ". Every episode starts from the given network."
        }
        div.plot { (PreEscaped(quality)) }
        @if let Some(below) = below { p.muted { (below) } }
        div.plot { (PreEscaped(sizes)) }
        (line_legend(&remaining))
    })
}

fn epochs(history: &[EpochRecord]) -> (f64, f64) {
    (0.0, history.len().saturating_sub(1).max(1) as f64)
}

/// The plot of quality, and what to say of values below its axis.
fn quality_plot(
    report: &RunReport,
    history: &[EpochRecord],
) -> Result<(String, Option<String>), ReportError> {
    let name = &report.quality_name;
    let quality: Vec<(f64, f64)> = history
        .iter()
        .map(|r| (r.epoch as f64, 100.0 * r.quality))
        .collect();
    let level = history.last().map(|r| 100.0 * r.floor);
    let (least, top) = bounds(quality.iter().map(|p| p.1).chain(level));
    // A collapse right after a cut would flatten everything else: the axis ends a little below
    // the level, but shows three quarters of the epochs in any case.
    let mut sorted: Vec<f64> = quality.iter().map(|p| p.1).collect();
    sorted.sort_by(f64::total_cmp);
    let quartile = sorted.get(sorted.len() / 4).copied().unwrap_or(100.0);
    let low = least.max(quartile.min(level.unwrap_or(100.0) - SHOWN_BELOW));
    let clipped = quality.iter().map(|&(e, q)| (e, q.max(low))).collect();
    let frame = Frame {
        name: "quality",
        x_label: "pruning epoch",
        y_label: &format!("{name}, %"),
        x: epochs(history),
        y: (low, top),
        level,
    };
    let line = Line {
        name,
        class: 0,
        values: clipped,
    };
    Ok((lines(&frame, &[line])?, below_axis(name, &quality, low)))
}

/// What remains of parameters, multiply-adds and kernels, in percent.
fn remaining(header: &RunHeader, history: &[EpochRecord]) -> [Line<'static>; 3] {
    let line = |name, class, count: fn(&Size) -> u64| Line {
        name,
        class,
        values: history
            .iter()
            .map(|r| {
                let share = count(&r.size) as f64 / count(&header.size).max(1) as f64;
                (r.epoch as f64, 100.0 * share)
            })
            .collect(),
    };
    [
        line("parameters", 0, |size| size.params),
        line("multiply-adds", 1, |size| size.macs),
        line("kernels", 2, |size| size.kernels),
    ]
}

fn line_legend(lines: &[Line<'_>]) -> Markup {
    let colors = ["s0", "s1", "s2", "s3"];
    let entries: Vec<_> = lines.iter().map(|l| (colors[l.class], l.name)).collect();
    legend(&entries)
}

/// Says of values that lie below a plot's axis.
fn below_axis(name: &str, values: &[(f64, f64)], low: f64) -> Option<String> {
    let below: Vec<f64> = values.iter().map(|v| v.1).filter(|&v| v < low).collect();
    let least = below.iter().copied().fold(f64::INFINITY, f64::min);
    match below.len() {
        0 => None,
        1 => Some(format!(
            "In one pruning epoch {name} lies below the axis, at {least:.2} %: it is drawn at \
             the foot."
        )),
        n => Some(format!(
            "In {n} pruning epochs {name} lies below the axis, down to {least:.2} %: they are \
             drawn at the foot."
        )),
    }
}

/// The parts of the reward; nothing for a run of fewer than two epochs that earned one.
///
/// # Errors
/// [`ReportError::Plot`].
pub(super) fn reward(history: &[EpochRecord]) -> Result<Markup, ReportError> {
    let rows: Vec<&EpochRecord> = history
        .iter()
        .filter(|r| matches!(r.stage, Stage::Explore | Stage::Exploit))
        .collect();
    if rows.len() < 2 {
        return Ok(html! {});
    }
    let line = |name, class, part: fn(&RewardParts) -> f32| Line {
        name,
        class,
        values: rows
            .iter()
            .map(|r| (r.epoch as f64, f64::from(part(&r.reward))))
            .collect(),
    };
    let parts = [
        line("fall of the loss", 0, |r| r.quality),
        line("compression", 1, |r| r.compression),
        line("convergence", 2, |r| r.convergence),
        line("kernels' own share, mean", 3, |r| r.dense),
    ];
    let plot = lines(
        &Frame {
            name: "reward",
            x_label: "pruning epoch",
            y_label: "reward",
            x: (0.0, rows.last().map_or(1.0, |r| r.epoch as f64).max(1.0)),
            y: bounds(parts.iter().flat_map(|l| l.values.iter().map(|p| p.1))),
            level: Some(0.0),
        },
        &parts,
    )?;
    Ok(html! {
        h2 { "What the agent earned" }
        p { "The parts of the reward by pruning epoch. Each kernel receives the first three, and its own share of the fourth." }
        div.plot { (PreEscaped(plot)) }
        (line_legend(&parts))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_the_axis_is_said() {
        let values = [(0.0, 99.0), (1.0, 41.5), (2.0, 70.25)];
        let text = |low| below_axis("accuracy", &values, low).unwrap_or_default();
        assert_eq!(text(40.0), "");
        assert!(text(60.0).contains("one pruning epoch") && text(60.0).contains("41.50 %"));
        assert!(text(90.0).contains("2 pruning epochs") && text(90.0).contains("41.50 %"));
    }
}
