//! What the run cost.

use maud::{Markup, html};
use secateur_search::record::{EpochRecord, Stage};

use crate::report::RunReport;

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
        ("solving without training", Stage::Solve),
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
            "the " (report.training_name()) "."
            @if report.search_work > 0.0 {
                " Narrow networks take longer than their multiply-adds say: by what layers compute and by the values that they move, the search takes as long as "
                b { (share(report.search_work)) } " of it on the same machine. " code { "max_cost" } " bounds both; what is begun is finished, so that short bounds are passed."
            }
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
                thead { tr { th { "stage" } th { "share of the " (report.training_name()) } th { "seconds" } } }
                tbody {
                    // Less is rounding.
                    @if before > 1e-6 * report.search_sample_macs {
                        tr { td { "the teacher's scores, before the first epoch" } td { (share(before)) } td { "not measured" } }
                    }
                    @for (name, stage) in stages.into_iter().filter(|(_, stage)| history.iter().any(|r| r.stage == *stage)) {
                        @let (macs, seconds) = by_stage(stage);
                        tr { td { (name) } td { (share(macs)) } td { (format!("{seconds:.1}")) } }
                    }
                    tr { td { "all" } td { (share(report.search_sample_macs)) } td { (format!("{seconds:.1}")) } }
                }
            }
        }
    }
}
