//! What happened to kernels, and which mattered.

use maud::{Markup, PreEscaped, html};
use secateur_onnx::text::counted;
use secateur_search::record::{EpochRecord, RunHeader};

use super::legend;
use crate::report::kernel_map::map;
use crate::report::{Effectiveness, NetworkFigures, RunReport};

/// `result keeps 13 of 32`, and what the last column shows where that is no result.
fn kept(report: &RunReport, last: &str, group: usize, width: usize) -> String {
    let last = last.bytes().filter(|b| *b == b'1').count();
    let layer = report.layers.get(group);
    let kept: Vec<usize> = layer
        .map(|layer| {
            layer
                .kept
                .iter()
                .take(report.after.len())
                .copied()
                .collect()
        })
        .unwrap_or_default();
    let Some(&smallest) = kept.last() else {
        return format!("last column {last} of {width}");
    };
    let results = if kept.len() == 1 {
        "result keeps"
    } else {
        "results keep"
    };
    let list: Vec<String> = kept.iter().map(usize::to_string).collect();
    let text = format!("{results} {} of {width}", list.join(", "));
    if smallest == last {
        text
    } else {
        format!("last column {last}, {text}")
    }
}

/// Which columns the results are, in words.
fn columns(report: &RunReport) -> String {
    let one = |network: &NetworkFigures| match network.record {
        Some(record) => format!("{} is that of pruning epoch {record}", network.file),
        None => format!("{} is the given network", network.file),
    };
    let all: Vec<String> = report.after.iter().map(one).collect();
    all.join(", ")
}

pub(super) fn maps(report: &RunReport, header: &RunHeader, history: &[EpochRecord]) -> Markup {
    let entries = [
        ("on", "on"),
        ("off", "off"),
        ("back", "turned on again"),
        ("explore", "exploring"),
        ("exploit", "exploiting"),
        ("solve", "solving without training"),
        ("recover", "recovering"),
    ];
    html! {
        h2 { "Kernels over pruning epochs" }
        p { "A row a kernel, those that stayed longest on top; a column a pruning epoch. The band above shows the stage. The last column is the network tried last, not always a result: " (columns(report)) "." }
        (legend(&entries))
        div.maps {
            @for (g, group) in header.groups.iter().enumerate().filter(|(_, group)| group.switchable) {
                @let last = history.last().and_then(|r| r.masks.get(g)).map_or("", String::as_str);
                div.layer {
                    h3 { (group.name) }
                    small { (kept(report, last, g, group.width)) }
                    (PreEscaped(map(g, group.width, history)))
                }
            }
        }
    }
}

/// Bars that a layer is drawn with at most.
const MOST_BARS: usize = 64;

/// Kernels a bar.
fn kernels_a_bar(kernels: usize) -> usize {
    kernels.div_ceil(MOST_BARS).max(1)
}

/// Bars of at most [`MOST_BARS`] columns; wider layers show the mean of neighbours in rank order.
fn bars(values: &[f32], order: &[usize], class: &str) -> Markup {
    let sorted: Vec<f32> = order
        .iter()
        .filter_map(|&k| values.get(k).copied())
        .collect();
    let columns: Vec<f32> = sorted
        .chunks(kernels_a_bar(sorted.len()))
        .map(|c| c.iter().sum::<f32>() / c.len() as f32)
        .collect();
    let low = columns
        .iter()
        .copied()
        .fold(f32::INFINITY, f32::min)
        .min(0.0);
    let high = columns.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = (high - low).max(1e-12);
    html! {
        div class=(format!("bars {class}")) aria-hidden="true" {
            @for value in &columns {
                i style=(format!("height:{:.0}%", 4.0 + 96.0 * (value - low) / range)) {}
            }
        }
    }
}

/// `64 kernels`, `24 of 960 kernels`, or `128 kernels, a bar the mean of 2`.
fn looked_at(e: &Effectiveness, header: &RunHeader) -> String {
    let width = header.groups.get(e.group).map_or(0, |g| g.width);
    let mut text = match e.ablation.len() {
        all if all == width => counted(all, "kernel"),
        some => format!("{some} of {}", counted(width, "kernel")),
    };
    let each = kernels_a_bar(e.ablation.len());
    if each > 1 {
        text.push_str(&format!(", a bar the mean of {each}"));
    }
    text
}

fn rho(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), |v| format!("{v:+.2}"))
}

pub(super) fn effectiveness(report: &RunReport, header: &RunHeader) -> Markup {
    if report.effectiveness.is_empty() {
        return html! {};
    }
    let order = |e: &Effectiveness| -> Vec<usize> {
        let mut order: Vec<usize> = (0..e.ablation.len()).collect();
        order.sort_by(|&a, &b| e.ablation[b].total_cmp(&e.ablation[a]));
        order
    };
    html! {
        h2 { "Which kernels mattered" }
        p {
            "Three measures by layer: ablation (how much the loss of the given network rises when one kernel alone is taken out), the agent's advantage Q(on) - Q(off), and the rank of Taylor significance. "
            "Only ablation is independent of the other two: Q contains what significance and the norm of the weights say as its known part, and the agent learns the rest. "
            "Kernels stand in the order of ablation, the most important on the left; where the lower bars fall the same way, they agree with it. "
            "The numbers are Spearman's rank correlations with ablation."
        }
        div.maps {
            @for e in &report.effectiveness {
                @let order = order(e);
                div.layer {
                    h3 { (header.groups.get(e.group).map_or("", |g| g.name.as_str())) }
                    small { (looked_at(e, header)) }
                    small { "ablation" }
                    (bars(&e.ablation, &order, "a"))
                    small { "agent, exploiting (" (rho(e.agreement[1])) "; exploring " (rho(e.agreement[0])) ")" }
                    (bars(&e.q_exploit, &order, "q"))
                    small { "significance, exploiting (" (rho(e.agreement[3])) "; exploring " (rho(e.agreement[2])) ")" }
                    (bars(&e.significance_exploit, &order, "s"))
                }
            }
        }
    }
}
