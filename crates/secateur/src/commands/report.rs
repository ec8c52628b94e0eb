//! `secateur report`.

use anyhow::{Result, anyhow};
use secateur::report::{ReportError, read_report, rewrite};

use super::print_json;
use crate::cli::args::ReportArgs;
use crate::cli::exit_code;

/// Runs the command.
pub fn run(args: &ReportArgs) -> Result<u8> {
    if args.json {
        print_json(&read_report(&args.run_dir).map_err(with_hint)?)?;
    } else {
        let page = rewrite(&args.run_dir).map_err(with_hint)?;
        say!("wrote {}", page.display());
    }
    Ok(exit_code::SUCCESS)
}

fn with_hint(error: ReportError) -> anyhow::Error {
    let hint = match &error {
        ReportError::NoRun { .. } => {
            "name the folder that `prune` wrote beside its output, such as `small.onnx.run`"
        }
        ReportError::NotFinished { .. } => {
            "run the `prune` that began it again with `--resume`: it ends with the report"
        }
        _ => return error.into(),
    };
    anyhow!("{error}\n\nhint: {hint}")
}
