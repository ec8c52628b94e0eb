//! `secateur report`.

use crate::report::{read_report, rewrite};
use anyhow::Result;

use super::print_json;
use crate::cli::args::ReportArgs;
use crate::cli::exit_code;

/// Runs the command.
pub fn run(args: &ReportArgs) -> Result<u8> {
    if args.json {
        print_json(&read_report(&args.run_dir)?)?;
    } else {
        let page = rewrite(&args.run_dir)?;
        say!("wrote {}", page.display());
    }
    Ok(exit_code::SUCCESS)
}
