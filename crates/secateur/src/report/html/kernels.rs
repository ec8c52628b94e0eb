//! What happened to kernels, and which mattered.

use maud::{Markup, PreEscaped, html};
use secateur_search::run_dir::record::{EpochRecord, RunHeader};

use crate::report::kernel_map::map;
use crate::report::{Effectiveness, RunReport};

pub(super) fn maps(header: &RunHeader, history: &[EpochRecord]) -> Markup {
    let entries = [
        ("on", "on"),
        ("off", "off"),
        ("back", "turned on again"),
        ("explore", "exploring"),
        ("exploit", "exploiting"),
        ("recover", "recovering"),
    ];
    html! {
        h2 { "Kernels over pruning epochs" }
        p { "A row a kernel, those that stayed longest on top; a column a pruning epoch. The band above shows the stage." }
        div.legend {
            @for (color, name) in entries {
                span { i style=(format!("background:var(--{color})")) {} (name) }
            }
        }
        div.maps {
            @for (g, group) in header.groups.iter().enumerate().filter(|(_, group)| group.switchable) {
                @let last = history.last().and_then(|r| r.masks.get(g)).map_or(0, |m| m.bytes().filter(|b| *b == b'1').count());
                div.layer {
                    h3 { (group.name) span { (last) " of " (group.width) } }
                    (PreEscaped(map(g, group.width, history)))
                }
            }
        }
    }
}

/// Bars of at most 64 columns; wider layers show the mean of neighbours in rank order.
fn bars(values: &[f32], order: &[usize], class: &str) -> Markup {
    let sorted: Vec<f32> = order
        .iter()
        .filter_map(|&k| values.get(k).copied())
        .collect();
    let step = sorted.len().div_ceil(64).max(1);
    let columns: Vec<f32> = sorted
        .chunks(step)
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

/// `64 kernels`, or `24 of 960 kernels`.
fn looked_at(e: &Effectiveness, header: &RunHeader) -> String {
    let width = header.groups.get(e.group).map_or(0, |g| g.width);
    match e.ablation.len() {
        all if all == width => format!("{all} kernels"),
        some => format!("{some} of {width} kernels"),
    }
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
            "Three independent opinions by layer: ablation (how much the loss of the given network rises when one kernel alone is taken out), the agent's advantage Q(on) - Q(off), and the rank of Taylor significance. "
            "Kernels stand in the order of ablation, the most important on the left; where the lower bars fall the same way, the opinions agree. "
            "The numbers are Spearman's rank correlations with ablation."
        }
        div.maps {
            @for e in &report.effectiveness {
                @let order = order(e);
                div.layer {
                    h3 { (header.groups.get(e.group).map_or("", |g| g.name.as_str())) span { (looked_at(e, header)) } }
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
