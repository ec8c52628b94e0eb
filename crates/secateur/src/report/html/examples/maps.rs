//! Maps of both networks over the input.

use maud::{Markup, html};

use super::panel::{Input, stretched};
use super::percent;
use crate::examples::{DrawnMap, Picture};

/// The input, then for each map what both say and where they differ.
pub(super) fn body(input: &Input<'_>, maps: &[DrawnMap], network: &str) -> Markup {
    html! {
        @for (place, map) in maps.iter().enumerate() {
            (one(input, map, network, maps.len() > 1, place == 0))
        }
    }
}

fn one(input: &Input<'_>, map: &DrawnMap, network: &str, is_named: bool, is_first: bool) -> Markup {
    let agreement = percent(map.agreement);
    let size = input.size().unwrap_or(map.original.size);
    let panel = |title: &str, alt: &str, picture: &Picture| {
        input.under(title, alt, size, &stretched(picture, size))
    };
    let what = if map.is_mask {
        "the mask"
    } else {
        "the classes"
    };
    let mut panels = vec![
        panel(
            "given network",
            &format!("{what} of the given network"),
            &map.original,
        ),
        panel(network, &format!("{what} of {network}"), &map.result),
        panel(
            "difference",
            &format!("where they differ: {agreement} of the positions agree"),
            &map.difference,
        ),
    ];
    if is_first {
        panels.insert(0, input.panel());
    }
    html! {
        p.muted {
            @if is_named { code { (map.name) } ": IoU " (percent(map.mean_iou)) ", " }
            (agreement) " of the positions agree"
            @if let Some([layer, depth]) = map.layer { "; layer " (layer + 1) " of " (depth) ", where most differs" }
            "."
        }
        (input.row(&panels))
        div.legend {
            @for (name, colour) in &map.legend {
                span { i style=(format!("background:{colour}")) {} (name) }
            }
            span { "difference: " i.lost {} "given network alone" }
            span { i.new {} (network) @if !map.is_mask { ", or another class" } }
        }
    }
}
