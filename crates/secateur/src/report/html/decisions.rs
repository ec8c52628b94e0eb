//! How much of the result was the policy's own: of what was switched, what it had wished, and how far
//! the layers lie from where rules would have left them.

use maud::{Markup, html};
use secateur_search::record::{EpochRecord, Stage};

use crate::report::{RunReport, Shape};

/// Switches of some pruning epochs.
#[derive(Default)]
struct Switches {
    epochs: usize,
    switched: usize,
    wished: usize,
    held_back: usize,
    taken_back: usize,
}

impl Switches {
    fn of<'r>(records: impl Iterator<Item = &'r EpochRecord>) -> Self {
        let mut all = Self::default();
        for record in records {
            let switched = record.turned_off.len() + record.reactivated.len();
            // The given network, before any action.
            if switched == 0 && record.held_back == 0 {
                continue;
            }
            all.epochs += 1;
            all.switched += switched;
            all.wished += record.wished;
            all.held_back += record.held_back;
            all.taken_back += usize::from(record.taken_back);
        }
        all
    }
}

/// Nothing for a policy that has no Q-values.
pub(super) fn decisions(report: &RunReport, history: &[EpochRecord]) -> Markup {
    if history.iter().all(|record| record.q_advantage.is_empty()) {
        return html! {};
    }
    let of = |stage: Stage, cuts: bool| {
        let of_stage = history.iter().filter(move |r| r.stage == stage);
        Switches::of(of_stage.filter(move |r| is_cut(r) == cuts))
    };
    let all_of = |stage: Stage| Switches::of(history.iter().filter(move |r| r.stage == stage));
    let rows = [
        ("cuts, exploring", of(Stage::Explore, true)),
        ("exchanges, exploring", of(Stage::Explore, false)),
        ("cuts, exploiting", of(Stage::Exploit, true)),
        ("exchanges, exploiting", of(Stage::Exploit, false)),
        ("sizes of recoveries, by rule", all_of(Stage::Recover)),
        (
            "sizes solved without training, by rule",
            all_of(Stage::Solve),
        ),
    ];
    html! {
        h2 { "How much was the agent's own" }
        p {
            "The widths of the layers and the budget say how many kernels go, the agent which. Of the kernels that were switched, "
            "those that it had wished so (by its Q-values, or by chance while it explores) are its own; the others it gave up as the ones that it would miss least. "
            "What later grows or shrinks to another size does so by rule: none of it is the agent's. "
            "Wishes that the limits did not allow were held back; exchanges that did not lower the loss were taken back."
        }
        div.scroll {
            table {
                thead { tr { th { "pruning epochs" } th { "number" } th { "kernels switched" } th { "wished so" } th { "wishes held back" } th { "taken back" } } }
                tbody {
                    @for (name, all) in rows.iter().filter(|(_, all)| all.epochs > 0) {
                        tr {
                            td { (name) }
                            td { (all.epochs) }
                            td { (all.switched) }
                            td { (all.wished) @if all.switched > 0 { small { (format!("{:.0} %", 100.0 * all.wished as f64 / all.switched as f64)) } } }
                            td { (all.held_back) }
                            td { (all.taken_back) }
                        }
                    }
                }
            }
        }
        @if let Some(shape) = &report.shape { (distances(report, shape)) }
    }
}

/// A cut only turns kernels off.
fn is_cut(record: &EpochRecord) -> bool {
    record.reactivated.is_empty() && !record.turned_off.is_empty() && !record.taken_back
}

/// How far the layers lie from those of rules.
fn distances(report: &RunReport, shape: &Shape) -> Markup {
    let kept: Vec<usize> = report
        .layers
        .iter()
        .filter_map(|l| l.kept.get(shape.output))
        .copied()
        .collect();
    let far = |rule: &[usize]| {
        let moved: usize = kept
            .iter()
            .zip(rule)
            .map(|(&kept, &rule)| kept.abs_diff(rule))
            .sum();
        format!(
            "{:.0} %",
            100.0 * moved as f64 / kept.iter().sum::<usize>().max(1) as f64
        )
    };
    html! {
        p {
            "How far the widths of " (shape.label) " lie from those that rules give (under Layers), as the sum of the differences over its kernels: "
            (far(&shape.even)) " from even layers, "
            (far(&shape.by_errors)) " from the rule of errors that the search goes by."
        }
    }
}
