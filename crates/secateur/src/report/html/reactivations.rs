//! Kernels that were turned on again.

use maud::{Markup, html};
use secateur_search::record::{EpochRecord, ReactivatedBy, RunHeader};

pub(super) fn reactivations(header: &RunHeader, history: &[EpochRecord]) -> Markup {
    let rows = with_before(history);
    html! {
        h2 { "Turned on again" }
        @if rows.is_empty() {
            p { "No kernel was turned on again in this run." }
        } @else {
            p { "When kernels came back, by whom, how healthy they looked (the most that the loss could fall, to first order), and what the loss on the search part did in that pruning epoch. What did not lower it was taken back." }
            div.scroll {
                table {
                    thead { tr { th { "epoch" } th { "kernels" } th { "by" } th { "layers" } th { "best health" } th { "loss before" } th { "after" } th { "kept" } } }
                    tbody {
                        @for (record, before) in rows {
                            @let rule = record.reactivated.iter().filter(|r| matches!(r.by, ReactivatedBy::Rule)).count();
                            @let best = record.reactivated.iter().map(|r| r.health).fold(f32::NEG_INFINITY, f32::max);
                            tr {
                                td { (record.epoch) }
                                td { (record.reactivated.len()) }
                                td { @if rule == 0 { "agent" } @else if rule == record.reactivated.len() { "rule" } @else { "agent and rule" } }
                                td.wrap { (layer_counts(header, record)) }
                                td { (format!("{best:.2e}")) }
                                td { (format!("{:.4}", before.loss)) }
                                td { (format!("{:.4}", record.loss)) }
                                td { @if record.taken_back { "taken back" } @else { "yes" } }
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

/// The pruning epochs in which kernels came back, each with the record of the network that it began
/// with.
fn with_before(history: &[EpochRecord]) -> Vec<(&EpochRecord, &EpochRecord)> {
    let mut rows = Vec::new();
    let mut before = history.first();
    for record in history {
        if let Some(before) = before.filter(|_| !record.reactivated.is_empty()) {
            rows.push((record, before));
        }
        if !record.taken_back {
            before = Some(record);
        }
    }
    rows
}
