//! `secateur bench`.

use std::path::Path;

use anyhow::Result;
use secateur::bench::{Latency, bench};
use secateur::onnx::model::Model;
use serde::Serialize;

use super::print_json;
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
            .map(|((path, _), latency)| {
                let bytes = fs_err::metadata(path).map_or(0, |m| m.len());
                File {
                    model: path,
                    bytes,
                    latency,
                }
            })
            .collect();
        print_json(&result)?;
        return Ok(exit_code::SUCCESS);
    }
    say!(
        "latency in tract, milliseconds (least / median of {} runs in turn)",
        args.rounds
    );
    let width = files
        .iter()
        .map(|(p, _)| p.display().to_string().len())
        .max()
        .unwrap_or(0);
    for (index, batch) in args.batch.iter().enumerate() {
        for ((path, _), row) in files.iter().zip(&rows) {
            let (first, latency) = (&rows[0][index], &row[index]);
            say!(
                "  batch {batch:>4}  {:<width$}  {:9.3} / {:9.3}  {:5.2}x",
                path.display(),
                latency.min_ms,
                latency.median_ms,
                first.median_ms / latency.median_ms.max(1e-9)
            );
        }
    }
    Ok(exit_code::SUCCESS)
}
