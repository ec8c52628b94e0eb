//! `secateur report`.

use anyhow::Result;
use secateur::report::{ReportError, read_json, rewrite};

use super::print_json;
use crate::cli::args::ReportArgs;
use crate::cli::exit_code;

/// Runs the command.
pub fn run(args: &ReportArgs) -> Result<u8> {
    if args.json {
        let path = args.run_dir.join("report.json");
        if !path.exists() {
            return Err(ReportError::NotFinished {
                path: args.run_dir.clone(),
            }
            .into());
        }
        print_json(&read_json(&path)?)?;
    } else {
        say!("wrote {}", rewrite(&args.run_dir)?.display());
    }
    Ok(exit_code::SUCCESS)
}
