//! Times of layers by their widths.

use std::fmt;
use std::path::Path;

use secateur_onnx::cost::Timing;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_search::config::{LatencyConfig, RuntimeConfig};
use secateur_search::space::Space;

use crate::NetworkError;
use crate::latency::{LatencyTable, LayerTimes};
use crate::runtime::Engines;
use crate::table::{Align, write_table};
use crate::verify::CheckObserver;

/// Measures the layers of a model in the engine that the settings ask for, and holds what that says of
/// so many other networks against their times.
pub(super) fn measure(
    path: &Path,
    model: &Model,
    (runtime, timing): (&RuntimeConfig, &LatencyConfig),
    checks: usize,
    observer: &mut dyn CheckObserver,
) -> Result<LatencyTable, NetworkError> {
    let engines = Engines::of(runtime)?.with_threads(timing.threads);
    let space = Space::survey(&Graph::outline(model)?, &[])?;
    Ok(LatencyTable::measure(
        (path, model),
        &space,
        &engines,
        (timing.batch, checks),
        &mut |engine, done, of| observer.timing(engine, done, of),
    )?)
}

pub(super) fn write(f: &mut fmt::Formatter<'_>, table: &LatencyTable) -> fmt::Result {
    writeln!(
        f,
        "\nlatency in {}, batch {}: {:.3} ms, {:.3} ms by the layers' times",
        table.engine, table.batch, table.given_ms, table.given_by_table_ms
    )?;
    if let Some((worst, middle)) = table.errors() {
        writeln!(
            f,
            "  networks of other widths, not fitted to: off by {:.1} % in the middle, {:.1} % at most",
            100.0 * middle,
            100.0 * worst
        )?;
    }
    match &table.block {
        Some(block) if block.size > 1 => writeln!(
            f,
            "  channels are computed in blocks of {}, as {} shows",
            block.size, block.layer
        ),
        Some(block) => writeln!(f, "  no blocks of channels are seen in {}", block.layer),
        None => writeln!(f, "  no layer is wide enough to show blocks of channels"),
    }?;
    let head = ["layer", "operator", "all", "half in", "half out", "both"].map(str::to_string);
    let rows = table.layers.iter().filter_map(row);
    writeln!(
        f,
        "\nmicroseconds of layers at all and at half of their channels"
    )?;
    write_table(
        f,
        &[Align::Left, Align::Left, Align::Right],
        std::iter::once(head).chain(rows),
    )?;
    match table.not_timed.as_slice() {
        [] => Ok(()),
        others => writeln!(f, "  not timed by themselves: {}", others.join(", ")),
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
