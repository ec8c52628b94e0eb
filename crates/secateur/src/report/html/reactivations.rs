//! Kernels that were turned on again.

use maud::{Markup, html};
use secateur_search::record::{EpochRecord, ReactivatedBy, RunHeader};

use super::percent;
use crate::report::RunReport;

pub(super) fn reactivations(
    report: &RunReport,
    header: &RunHeader,
    history: &[EpochRecord],
) -> Markup {
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
            p { "When kernels came back, by whom, how healthy they looked (the estimated fall of the loss), and what " (report.quality_name) " did in that pruning epoch." }
            div.scroll {
                table {
                    thead { tr { th { "epoch" } th { "kernels" } th { "by" } th { "layers" } th { "best health" } th.wrap { (report.quality_name) " before" } th { "after" } } }
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
                                td { @if let Some(before) = before { (percent(before.quality)) } }
                                td { (percent(record.quality)) }
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
