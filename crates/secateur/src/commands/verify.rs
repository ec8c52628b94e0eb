//! `secateur verify`.

use anyhow::Result;
use secateur::onnx::model::Model;
use secateur::verify::verify;

use super::print_json;
use crate::cli::args::VerifyArgs;
use crate::cli::exit_code;

/// Runs the command.
pub fn run(args: &VerifyArgs) -> Result<u8> {
    let (original, small) = (Model::read(&args.original)?, Model::read(&args.small)?);
    let verdict = verify((&args.original, &original), (&args.small, &small))?;
    if args.json {
        print_json(&verdict)?;
    } else {
        for check in &verdict.checks {
            let mark = if check.passed { "ok    " } else { "FAILED" };
            say!("{mark} {}: {}", check.name, check.detail);
        }
    }
    Ok(if verdict.passed() {
        exit_code::SUCCESS
    } else {
        exit_code::NOT_VERIFIED
    })
}
