//! Removes every second kernel of every group that can be pruned, and tells what it took.
//!
//! `cargo run --release -p secateur-onnx --example halve -- net.onnx small.onnx
//! [zeroed.onnx copy.onnx]` (with `--allow-mixing` before: also channels that nodes mix) writes the small network; `zeroed.onnx` is the original with
//! the consumers' weights of the removed kernels set to zero (both must give the same
//! outputs), `copy.onnx` the original, read and written. Prints JSON: sizes, groups,
//! seconds of each step, peak memory of the process until the small file was written.

use std::time::Instant;

use secateur_onnx::cost::{CostModel, Size};
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::surgery;
use serde_json::json;

/// Largest resident size of this process so far, in bytes; `None` where the system does
/// not tell.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

fn every_second(groups: &ChannelGroups) -> Masks {
    let of_group = |width: usize, pinned: bool| (0..width).map(|k| pinned || k % 2 == 0).collect();
    let groups = groups.groups.iter();
    Masks(
        groups
            .map(|g| of_group(g.width, g.pinned.is_some()))
            .collect(),
    )
}

fn size(size: &Size) -> serde_json::Value {
    json!({ "params": size.params, "macs": size.macs, "kernels": size.kernels })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (options, paths): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|arg| arg.starts_with("--"));
    let (path, small, others) = match paths.as_slice() {
        [path, small, others @ ..] if matches!(others.len(), 0 | 2) => (path, small, others),
        _ => return Err("usage: halve MODEL SMALL [ZEROED COPY]".into()),
    };
    let mut seconds = serde_json::Map::new();
    let mut lap = Instant::now();
    let mut time = |name: &str| {
        seconds.insert(name.to_string(), lap.elapsed().as_secs_f64().into());
        lap = Instant::now();
    };
    let mixing = options.iter().any(|option| option == "--allow-mixing");
    let given = Model::read(path)?;
    time("read");
    let model = given.prepared().with_mixing(mixing);
    time("prepare");
    let graph = Graph::outline(&model)?;
    time("graph");
    let groups = ChannelGroups::find(&graph)?;
    time("groups");
    let masks = every_second(&groups);
    let cost = CostModel::new(&graph, &groups)?;
    let (before, after) = (cost.count(&Masks::all_active(&groups)), cost.count(&masks));
    time("cost");
    let removed = surgery::remove(&model, &groups, &masks)?;
    time("remove");
    removed.write(small)?;
    time("write");
    drop(removed);
    let peak = peak_bytes();
    if let [zeroed, copy] = others {
        surgery::zero_inputs(&model, &groups, &masks)?.write(zeroed)?;
        given.write(copy)?;
    }
    let free = |g: &&secateur_onnx::coupling::ChannelGroup| g.pinned.is_none();
    let mut pins: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for group in &groups.groups {
        if let Some(pinned) = &group.pinned {
            *pins.entry(pinned.reason.clone()).or_default() += group.width;
        }
    }
    let report = json!({
        "before": size(&before),
        "after": size(&after),
        "groups": groups.groups.iter().filter(free).count(),
        "channels": groups.groups.iter().map(|g| g.width).sum::<usize>(),
        "free_channels": groups.groups.iter().filter(free).map(|g| g.width).sum::<usize>(),
        "removed_channels": masks.0.iter().flatten().filter(|&&on| !on).count(),
        "pinned": pins,
        "seconds": seconds,
        "peak_bytes": peak,
    });
    println!("{report}");
    Ok(())
}
