//! The networks side by side: quality, size, latency, and the kernels of each layer.

use maud::{Markup, html};
use secateur_net::task::Figure;

use super::percent;
use crate::report::measure::against;
use crate::report::stats::{Disagreement, PairedDifference};
use crate::report::terminal::grouped;
use crate::report::{NetworkFigures, RunReport};

pub(super) fn before_after(report: &RunReport) -> Markup {
    let before = &report.before;
    let mut networks: Vec<&NetworkFigures> = vec![before];
    networks.extend(&report.after);
    networks.extend(&report.front);
    let batches: Vec<usize> = before.latency.iter().map(|l| l.batch).collect();
    let quality = |value: Option<f64>| value.map_or_else(|| "-".to_string(), percent);
    html! {
        h2 { "Before and after" }
        p.muted { "Shares are what remains. Differences are in points, paired, with 95 % intervals (Agresti and Min 2005 where " @if report.is_against_original { "a decision is the same or another" } @else { "an answer is right or wrong" } "). The search never saw the confirming and the test " (report.noun()) "s." }
        div.scroll {
            table {
                thead { tr { th { } @for n in &networks { th scope="col" { (n.label) } } } }
                tbody {
                    tr { td { "test " (report.quality_name) } @for n in &networks { td { (quality(n.test_quality)) } } }
                    tr { td { "against before" } @for n in &networks { (difference(n.test_difference.as_ref())) } }
                    (disagreement("decides otherwise", &networks, |n| n.test_disagreement))
                    (test_figures(&networks))
                    tr { td { "validation, search part" } @for n in &networks { td { (percent(n.search_quality)) } } }
                    tr { td { "validation, confirming" } @for n in &networks { td { (percent(n.confirm_quality)) } } }
                    tr { td { "against before" } @for n in &networks { (difference(n.confirm_difference.as_ref())) } }
                    (disagreement("decides otherwise", &networks, |n| n.confirm_disagreement))
                    @if let Some(measure) = &report.measure {
                        tr { td { "measure" } @for n in &networks { td { @if let Some(number) = n.measure { (against(number, measure.given)) } } } }
                    }
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
        @if batches.is_empty() {
            p.muted { "Latencies were not measured." }
        } @else {
            @let engine = before.latency.first().map_or("", |latency| &latency.engine);
            @let inputs: Vec<&str> = before.latency.iter().map(|l| l.inputs.as_str()).collect();
            p.muted { "Latency: median in " (engine) ", the files in turn, on " (report.machine) "; inputs " (inputs.join("; ")) "." }
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

/// Decisions that differ from the given network's, with the largest share that they leave open;
/// nothing where no network has such a figure.
fn disagreement(
    name: &str,
    networks: &[&NetworkFigures],
    of: fn(&NetworkFigures) -> Option<Disagreement>,
) -> Markup {
    if networks.iter().all(|n| of(n).is_none()) {
        return html! {};
    }
    html! {
        tr {
            td { (name) }
            @for n in networks {
                td {
                    @if let Some(d) = of(n) {
                        (percent(d.found as f64 / d.samples.max(1) as f64))
                        small.below { "at most " (percent(d.at_most)) " (95 %)" }
                    }
                }
            }
        }
    }
}

/// What else the task tells of the test data, a row a figure.
fn test_figures(networks: &[&NetworkFigures]) -> Markup {
    let titles = networks.first().map(|n| n.test_figures.iter());
    html! {
        @for (at, figure) in titles.into_iter().flatten().enumerate() {
            tr {
                td.wrap { "test " (figure.title()) }
                @for n in networks {
                    td { (n.test_figures.get(at).map_or_else(|| "-".to_string(), Figure::text)) }
                }
            }
        }
    }
}

pub(super) fn layers(report: &RunReport) -> Markup {
    let networks: Vec<&NetworkFigures> = report.after.iter().chain(&report.front).collect();
    html! {
        h2 { "Layers" }
        p.muted {
            "Kernels (or features) a layer."
            @if let Some(shape) = &report.shape {
                " On the right what rules would keep at the size of " (shape.label) ": the same share of every layer, and the widths that the search goes by: the least sum of the errors that layers make with fewer kernels, measured in the given network, and of what multiply-adds cost the recoveries (such a network may be smaller than asked for)."
            }
        }
        div.scroll {
            table {
                thead { tr { th { "layer" } th { "before" } @for n in &networks { th { (n.label) } } @if report.shape.is_some() { th { "even" } th { "by errors" } } } }
                tbody {
                    @for (index, layer) in report.layers.iter().enumerate() {
                        tr {
                            td { (layer.name) }
                            td { (layer.width) }
                            @for kept in &layer.kept { td { (kept) small { (format!("{:.0} %", 100.0 * *kept as f64 / layer.width.max(1) as f64)) } } }
                            @if let Some(shape) = &report.shape {
                                @for rule in [&shape.even, &shape.by_errors] { td { (rule.get(index).copied().unwrap_or_default()) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
