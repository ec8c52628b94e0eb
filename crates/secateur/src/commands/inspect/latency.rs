//! Times of layers by their widths.

use std::path::Path;

use anyhow::Result;
use secateur::latency::{LatencyTable, LayerTimes};
use secateur::runtime::Engines;
use secateur::table::Align;
use secateur::verify::CheckObserver;
use secateur_onnx::cost::Timing;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_search::config::{LatencyConfig, RuntimeConfig};
use secateur_search::space::Space;

use super::say_table;
use crate::cli::args::InspectArgs;
use crate::cli::progress::CheckProgress;

pub(super) fn measure(path: &Path, model: &Model, args: &InspectArgs) -> Result<LatencyTable> {
    let timing = args.timing.over(LatencyConfig::default());
    let engines = Engines::of(&args.runtime.over(RuntimeConfig::default()))?;
    let engines = engines.with_threads(timing.threads);
    let space = Space::survey(&Graph::outline(model)?, &[])?;
    let mut progress = CheckProgress::new();
    let table = LatencyTable::measure(
        (path, model),
        &space,
        &engines,
        (timing.batch, args.latency_checks),
        &mut |engine, done, of| progress.timing(engine, done, of),
    );
    progress.finish();
    Ok(table?)
}

pub(super) fn print(table: &LatencyTable) {
    say!(
        "\nlatency in {}, batch {}: {:.3} ms, {:.3} ms by the layers' times",
        table.engine,
        table.batch,
        table.given_ms,
        table.given_by_table_ms
    );
    if let Some((worst, middle)) = table.errors() {
        say!(
            "  networks of other widths, not fitted to: off by {:.1} % in the middle, {:.1} % at most",
            100.0 * middle,
            100.0 * worst
        );
    }
    match &table.block {
        Some(block) if block.size > 1 => say!(
            "  channels are computed in blocks of {}, as {} shows",
            block.size,
            block.layer
        ),
        Some(block) => say!("  no blocks of channels are seen in {}", block.layer),
        None => say!("  no layer is wide enough to show blocks of channels"),
    }
    let head = ["layer", "operator", "all", "half in", "half out", "both"].map(str::to_string);
    let rows = table.layers.iter().filter_map(row);
    say!("\nmicroseconds of layers at all and at half of their channels");
    say_table(
        &[Align::Left, Align::Left, Align::Right],
        std::iter::once(head).chain(rows),
    );
    if !table.not_timed.is_empty() {
        say!("  not timed by themselves: {}", table.not_timed.join(", "));
    }
}

/// A layer's times at the widest and at the middle of what was measured.
fn row(layer: &LayerTimes) -> Option<[String; 6]> {
    let channels = |of: fn(&Timing) -> u64| {
        let mut all: Vec<u64> = layer.times.iter().map(of).collect();
        all.sort_unstable();
        all.dedup();
        let most = *all.last()?;
        let half = all.iter().min_by_key(|&&n| (2 * n).abs_diff(most))?;
        Some((most, *half))
    };
    let ((x, half_x), (y, half_y)) = (channels(|t| t.x)?, channels(|t| t.y)?);
    let at = |x: u64, y: u64| {
        let time = layer.times.iter().find(|time| (time.x, time.y) == (x, y));
        time.map_or_else(|| "-".to_string(), |time| format!("{:.1}", time.ns / 1e3))
    };
    let cells = [at(x, y), at(half_x, y), at(x, half_y), at(half_x, half_y)];
    let [all, less_in, less_out, both] = cells;
    Some([
        layer.node.clone(),
        layer.op_type.clone(),
        all,
        less_in,
        less_out,
        both,
    ])
}
