//! Maps of kernels over pruning epochs: a row a kernel, a column an epoch.
//!
//! Runs of equal state along an epoch become one rectangle, which keeps hundreds
//! of kernels over dozens of epochs small.

use std::fmt::Write;

use secateur_search::record::{EpochRecord, KernelId, Stage};

/// Width of an epoch and height of a kernel, in the picture's own units.
const COLUMN: usize = 12;
const BAND: usize = 6;

/// What a kernel was in a pruning epoch.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Off,
    On,
    TurnedOnAgain,
}

fn state(record: &EpochRecord, kernel: KernelId) -> State {
    let mask = record.masks.get(kernel.group).map(|mask| mask.as_bytes());
    let on = mask.and_then(|mask| mask.get(kernel.index)) == Some(&b'1');
    match on {
        false => State::Off,
        true if record.reactivated.iter().any(|r| r.kernel == kernel) => State::TurnedOnAgain,
        true => State::On,
    }
}

/// One layer's map; kernels that stay longest are on top.
pub(super) fn map(group: usize, width: usize, history: &[EpochRecord]) -> String {
    let row = (120 / width.max(1)).clamp(1, 6);
    let state = |record: &EpochRecord, index: usize| state(record, KernelId { group, index });
    let mut order: Vec<usize> = (0..width).collect();
    let lifetime = |k: usize| {
        let on = |record: &&EpochRecord| state(record, k) != State::Off;
        history.iter().filter(on).count()
    };
    order.sort_by_key(|&k| (std::cmp::Reverse(lifetime(k)), k));

    let (w, h) = (history.len() * COLUMN, BAND + 2 + width * row);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {w} {h}\" preserveAspectRatio=\"none\" class=\"map\" \
         style=\"height:{}px\" role=\"img\" aria-label=\"kernels over pruning epochs\">",
        h.clamp(60, 180)
    );
    for (column, record) in history.iter().enumerate() {
        let x = column * COLUMN;
        let stage = match record.stage {
            Stage::Explore => "explore",
            Stage::Exploit => "exploit",
            Stage::Solve => "solve",
            Stage::Recover => "recover",
        };
        rectangle(&mut svg, stage, [x, 0, COLUMN, BAND]);
        let states: Vec<State> = order.iter().map(|&k| state(record, k)).collect();
        let mut start = 0;
        for run in states.chunk_by(|a, b| a == b) {
            let class = match run[0] {
                State::Off => None,
                State::On => Some("on"),
                State::TurnedOnAgain => Some("back"),
            };
            if let Some(class) = class {
                let y = BAND + 2 + start * row;
                rectangle(&mut svg, class, [x, y, COLUMN - 1, run.len() * row]);
            }
            start += run.len();
        }
    }
    svg.push_str("</svg>");
    svg
}

fn rectangle(svg: &mut String, class: &str, [x, y, width, height]: [usize; 4]) {
    let _ = write!(
        svg,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
    );
}
