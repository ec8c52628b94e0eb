//! `secateur bench`.

use secateur_onnx::text::counted;
use std::path::Path;

use crate::bench::{Bench, Latency, bench};
use crate::runtime::Engines;
use crate::table::Align;
use anyhow::Result;
use secateur_onnx::model::Model;
use secateur_search::config::RuntimeConfig;
use serde::Serialize;

use super::{print_json, print_notes, say_table};
use crate::cli::args::BenchArgs;
use crate::cli::exit_code;

#[derive(Serialize)]
struct File<'a> {
    model: &'a Path,
    bytes: u64,
    latency: &'a [Latency],
}

/// Runs the command.
pub fn run(args: &BenchArgs) -> Result<u8> {
    if args.batch.contains(&0) || args.rounds == 0 {
        anyhow::bail!("cannot time: batch sizes and rounds must be 1 or more");
    }
    let read = |path| -> Result<Model> {
        let mut model = Model::read(path)?;
        model.give_input_shapes(&args.shapes.input_shape)?;
        Ok(model)
    };
    let models = args.models.iter().map(read).collect::<Result<Vec<_>>>()?;
    let files: Vec<(&Path, &Model)> = args
        .models
        .iter()
        .map(std::path::PathBuf::as_path)
        .zip(&models)
        .collect();
    let engines = Engines::of(&args.runtime.over(RuntimeConfig::default()))?;
    let Bench { rows, notes } = bench(&files, &args.batch, args.rounds, &engines)?;
    if args.json {
        let result: Vec<File<'_>> = files
            .iter()
            .zip(&rows)
            .map(|((path, _), latency)| File {
                model: path,
                bytes: fs_err::metadata(path).map_or(0, |m| m.len()),
                latency,
            })
            .collect();
        print_json(&result)?;
    } else {
        print(args, &rows);
    }
    print_notes(&notes);
    Ok(exit_code::SUCCESS)
}

fn print(args: &BenchArgs, rows: &[Vec<Latency>]) {
    let first = rows.first().and_then(|row| row.first());
    say!(
        "latency in {}, milliseconds, of {} in turn",
        first.map_or("no engine", |latency| &latency.engine),
        counted(args.rounds, "run")
    );
    let head = ["batch", "model", "least", "median", "speed-up", "inputs"].map(str::to_string);
    let files = || args.models.iter().zip(rows);
    let n_batches = rows.first().map_or(0, Vec::len);
    let times = (0..n_batches).flat_map(|index| {
        files().map(move |(path, row)| {
            let (first, latency) = (&rows[0][index], &row[index]);
            [
                latency.batch.to_string(),
                path.display().to_string(),
                format!("{:.3}", latency.min_ms),
                format!("{:.3}", latency.median_ms),
                format!("{:.2}x", first.median_ms / latency.median_ms.max(1e-9)),
                latency.inputs.clone(),
            ]
        })
    });
    say_table(
        &[Align::Right, Align::Left, Align::Right],
        std::iter::once(head).chain(times),
    );
}
