//! Maps of kernels over pruning epochs: a row a kernel, a column an epoch.
//!
//! Runs of equal state along an epoch become one rectangle, which keeps hundreds
//! of kernels over dozens of epochs small.

use std::fmt::Write;

use secateur_search::run_dir::record::{EpochRecord, KernelId, Stage};

/// Width of an epoch and height of a kernel, in the picture's own units.
const COLUMN: usize = 12;
const BAND: usize = 6;

/// One layer's map; kernels that stay longest are on top.
pub(super) fn map(group: usize, width: usize, history: &[EpochRecord]) -> String {
    let row = (120 / width.max(1)).clamp(1, 6);
    let state = |record: &EpochRecord, kernel: usize| -> u8 {
        let on = record
            .masks
            .get(group)
            .and_then(|m| m.as_bytes().get(kernel))
            == Some(&b'1');
        let id = KernelId {
            group,
            index: kernel,
        };
        match on {
            false => 0,
            true if record.reactivated.iter().any(|r| r.kernel == id) => 2,
            true => 1,
        }
    };
    let mut order: Vec<usize> = (0..width).collect();
    let lifetime = |k: usize| history.iter().filter(|record| state(record, k) > 0).count();
    order.sort_by_key(|&k| (std::cmp::Reverse(lifetime(k)), k));

    let (w, h) = (history.len() * COLUMN, BAND + 2 + width * row);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {w} {h}\" preserveAspectRatio=\"none\" class=\"map\" \
         style=\"height:{}px\" role=\"img\" aria-label=\"kernels over pruning epochs\">",
        h.clamp(60, 180)
    );
    for (column, record) in history.iter().enumerate() {
        let stage = match record.stage {
            Stage::Explore => "explore",
            Stage::Exploit => "exploit",
            Stage::Recover => "recover",
        };
        let x = column * COLUMN;
        let _ = write!(
            svg,
            "<rect class=\"{stage}\" x=\"{x}\" y=\"0\" width=\"{COLUMN}\" height=\"{BAND}\"/>"
        );
        let mut start = 0;
        while start < width {
            let now = state(record, order[start]);
            let mut end = start + 1;
            while end < width && state(record, order[end]) == now {
                end += 1;
            }
            if now > 0 {
                let class = if now == 1 { "on" } else { "back" };
                let (y, height) = (BAND + 2 + start * row, (end - start) * row);
                let _ = write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{height}\"/>",
                    COLUMN - 1
                );
            }
            start = end;
        }
    }
    svg.push_str("</svg>");
    svg
}
