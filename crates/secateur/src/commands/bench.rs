//! `secateur bench`.

use std::path::Path;

use anyhow::Result;
use secateur::bench::{Latency, bench};
use secateur::table::Align;
use secateur_onnx::model::Model;
use serde::Serialize;

use super::{print_json, say_table};
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
    let models = args
        .models
        .iter()
        .map(Model::read)
        .collect::<Result<Vec<_>, _>>()?;
    let files: Vec<(&Path, &Model)> = args
        .models
        .iter()
        .map(std::path::PathBuf::as_path)
        .zip(&models)
        .collect();
    let rows = bench(&files, &args.batch, args.rounds)?;
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
    Ok(exit_code::SUCCESS)
}

fn print(args: &BenchArgs, rows: &[Vec<Latency>]) {
    say!(
        "latency in tract, milliseconds, of {} runs in turn",
        args.rounds
    );
    let head = ["batch", "model", "least", "median", "speed-up"].map(str::to_string);
    let files = || args.models.iter().zip(rows);
    let times = (0..args.batch.len()).flat_map(|index| {
        files().map(move |(path, row)| {
            let (first, latency) = (&rows[0][index], &row[index]);
            [
                latency.batch.to_string(),
                path.display().to_string(),
                format!("{:.3}", latency.min_ms),
                format!("{:.3}", latency.median_ms),
                format!("{:.2}x", first.median_ms / latency.median_ms.max(1e-9)),
            ]
        })
    });
    say_table(
        &[Align::Right, Align::Left, Align::Right],
        std::iter::once(head).chain(times),
    );
}
