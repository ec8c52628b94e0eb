//! Boxes of both networks over the input.

use std::fmt::Write;

use maud::{Markup, Render, html};

use super::panel::Input;
use crate::examples::NamedBox;

/// Boxes that are named for those who do not see the picture.
const MOST_NAMED: usize = 8;

/// The input, then the boxes of both.
pub(super) fn body(
    input: &Input<'_>,
    [original, result]: [&[NamedBox]; 2],
    network: &str,
) -> Markup {
    let size = input.size().unwrap_or_else(|| extent(original, result));
    let panel = |name: &str, boxes: &[NamedBox]| {
        let found = boxes.iter().filter(|b| b.is_matched).count();
        let title = match boxes.len() {
            0 => format!("{name}: no box"),
            1 => format!("{name}: 1 box, {found} found by both"),
            n => format!("{name}: {n} boxes, {found} found by both"),
        };
        input.under(&title, &in_words(name, boxes), size, &drawn(boxes, size))
    };
    html! {
        (input.row(&[input.panel(), panel("given network", original), panel(network, result)]))
        div.legend {
            span { (line("both")) "found by both" }
            span { (line("one")) "found by this one alone" }
        }
    }
}

/// A piece of a line as the boxes have it.
fn line(class: &str) -> Markup {
    html! {
        svg.key viewBox="0 0 28 10" aria-hidden="true" { path class=(class) d="M1 5H27" {} }
    }
}

/// Room for all boxes where there is no picture below them.
fn extent(original: &[NamedBox], result: &[NamedBox]) -> [usize; 2] {
    let side = |at: usize| {
        let ends = original.iter().chain(result).map(|b| b.corners[at]);
        ends.fold(1.0f32, f32::max).ceil() as usize
    };
    [side(2), side(3)]
}

fn in_words(name: &str, boxes: &[NamedBox]) -> String {
    let named = boxes.iter().take(MOST_NAMED).map(|b| {
        let alone = if b.is_matched {
            ""
        } else {
            ", not found by the other"
        };
        let [left, top, right, bottom] = b.corners;
        format!(
            "{} {:.2} at {left:.0}, {top:.0} to {right:.0}, {bottom:.0}{alone}",
            b.class, b.score
        )
    });
    let mut words: Vec<String> = named.collect();
    if boxes.len() > MOST_NAMED {
        words.push(format!("{} more", boxes.len() - MOST_NAMED));
    }
    match words.is_empty() {
        true => format!("{name}: no box"),
        false => format!("{name}: {}", words.join("; ")),
    }
}

/// The boxes that the other network does not find lie on top.
fn drawn(boxes: &[NamedBox], [width, height]: [usize; 2]) -> String {
    let mut svg = String::new();
    let text = (width.max(height) as f32) / 18.0;
    let (mut order, alone): (Vec<_>, Vec<_>) = boxes.iter().partition(|b| b.is_matched);
    order.extend(alone);
    for shown in order {
        let class = if shown.is_matched { "both" } else { "one" };
        let [left, top, right, bottom] = shown.corners;
        let (w, h) = ((right - left).max(0.0), (bottom - top).max(0.0));
        // Above the box, or inside where the picture ends.
        let y = if top > text {
            top - 0.2 * text
        } else {
            top + text
        };
        let x = left.clamp(0.0, (width as f32 - text).max(0.0));
        let name = shown.class.render().into_string();
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{w:.1}\" height=\"{h:.1}\"/>\
             <text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{text:.1}\">{name} {:.2}</text>",
            shown.score
        );
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(class: &str, corners: [f32; 4], is_matched: bool) -> NamedBox {
        NamedBox {
            class: class.to_string(),
            score: 0.875,
            corners,
            is_matched,
        }
    }

    #[test]
    fn boxes_of_one_network_differ_by_colour_and_line() {
        let boxes = [
            found("a<b", [1.0, 2.0, 11.0, 32.0], false),
            found("cat", [50.0, 60.0, 70.0, 90.0], true),
        ];
        let svg = drawn(&boxes, [100, 100]);
        let expected = "<rect class=\"both\" x=\"50.0\" y=\"60.0\" width=\"20.0\" height=\"30.0\"/>\
                        <text x=\"50.0\" y=\"58.9\" font-size=\"5.6\">cat 0.88</text>\
                        <rect class=\"one\" x=\"1.0\" y=\"2.0\" width=\"10.0\" height=\"30.0\"/>\
                        <text x=\"1.0\" y=\"7.6\" font-size=\"5.6\">a&lt;b 0.88</text>";
        assert_eq!(svg, expected);
        let words = in_words("x", &boxes);
        assert_eq!(
            words,
            "x: a<b 0.88 at 1, 2 to 11, 32, not found by the other; cat 0.88 at 50, 60 to 70, 90"
        );
        assert_eq!(in_words("x", &[]), "x: no box");
        assert_eq!(extent(&boxes, &[]), [70, 90]);
    }
}
