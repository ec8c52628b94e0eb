//! Quality by size: every network of the run, and those that no other beats in both.

use maud::{Markup, PreEscaped, html};
use secateur_onnx::cost::Size;
use secateur_search::config::{Metric, Mode, PruneConfig};
use secateur_search::record::{EpochRecord, RunHeader, Stage};

use super::legend;
use crate::report::plots::{Frame, Points, bounds, colour, front, points};
use crate::report::{NetworkFigures, ReportError, RunReport};

/// Points below the given network, or the worst result, down to which the axis reaches.
const SHOWN_BELOW: f64 = 4.0;

/// Classes of points, by their colours.
const GIVEN: usize = 0;
const LOOKS: usize = 1;
const RESULTS: usize = 2;
const RECOVERED: usize = 4;

/// Nothing for a run that tried no smaller network.
///
/// # Errors
/// [`ReportError::Plot`].
pub(super) fn quality_by_size(
    report: &RunReport,
    header: &RunHeader,
    history: &[EpochRecord],
) -> Result<Markup, ReportError> {
    let metric = metric(report);
    let share = |size: &Size| {
        let full = metric.of(&header.size).max(1);
        100.0 * metric.of(size) as f64 / full as f64
    };
    let given = vec![(share(&header.size), 100.0 * report.before.search_quality)];
    let of_epoch = |record: &&EpochRecord| (share(&record.size), 100.0 * record.quality);
    let smaller = |record: &&EpochRecord| metric.of(&record.size) < metric.of(&header.size);
    let tried = |is_recovery: bool| -> Vec<(f64, f64)> {
        let kind = history
            .iter()
            .filter(|r| (r.stage == Stage::Recover) == is_recovery);
        kind.filter(smaller).map(|r| of_epoch(&r)).collect()
    };
    let networks = report.after.iter().chain(&report.front);
    let of_network = |n: &NetworkFigures| (share(&n.size), 100.0 * n.search_quality);
    let results: Vec<_> = networks
        .filter(|n| n.record.is_some())
        .map(of_network)
        .collect();
    let mut all = [tried(false), tried(true), results, given];
    if all[0].is_empty() && all[1].is_empty() {
        return Ok(html! {});
    }
    let level = 100.0 * report.before.search_quality;
    let worst = all[2].iter().map(|point| point.1).fold(level, f64::min);
    let low = worst - SHOWN_BELOW;
    let below = all.iter().flatten().filter(|point| point.1 < low).count();
    all.iter_mut()
        .for_each(|points| points.retain(|point| point.1 >= low));
    let values = || all.iter().flatten().copied();
    let words = metric.words();
    let frame = Frame {
        name: "quality by size",
        x_label: &format!("{words} that remain, %"),
        y_label: &format!("{}, %", report.quality_name),
        x: bounds(values().map(|value| value.0).chain([0.0])),
        y: bounds(values().map(|value| value.1).chain([level])),
        level: Some(level),
    };
    // Looks without the given network: what size alone costs, before anything trains again.
    let falls = Points {
        class: LOOKS,
        values: front(all[0].iter().copied()),
        is_joined: true,
    };
    let front = front(values());
    // Results lie on top of the networks that they came from.
    let classes = [LOOKS, RECOVERED, RESULTS, GIVEN].into_iter();
    let series = classes.zip(all).map(|(class, values)| Points {
        class,
        values,
        is_joined: false,
    });
    let series: Vec<Points> = std::iter::once(falls).chain(series).collect();
    let plot = points(&frame, &series, &front)?;
    Ok(html! {
        h2 { "Quality by size" }
        p {
            "Every network that the run looked at, on the validation " (report.noun()) "s that guide the search. "
            "The coloured line joins the looks, at networks with solved weights, that no other look beats in both; the "
            "thin one does so for all of them, after training too. Dashed is the given network. Looks see fewer "
            (report.noun()) "s than results do, and chance lifts the best of many."
        }
        div.plot { (PreEscaped(plot)) }
        (legend(&[
            (&colour(GIVEN), "given network"),
            (&colour(RESULTS), "results"),
            (&colour(RECOVERED), "trained"),
            (&colour(LOOKS), "looks"),
        ]))
        @if below > 0 { p.muted { (below) " of them lie below the axis." } }
    })
}

/// What sizes are counted in: as the first budget does, where it is no time.
fn metric(report: &RunReport) -> Metric {
    let config = toml::from_str::<PruneConfig>(&report.config);
    let metric = match config.map(|config| config.mode) {
        Ok(Mode::Ceca { budgets, .. }) => budgets.first().map(|budget| budget.metric),
        _ => None,
    };
    match metric {
        Some(Metric::Latency) => Metric::Macs,
        other => other.unwrap_or(Metric::Params),
    }
}
