//! `secateur verify`.

use crate::runtime::Engines;
use crate::verify::verify_where_possible;
use anyhow::{Result, bail};
use secateur_onnx::model::Model;
use secateur_search::config::RuntimeConfig;

use super::print_json;
use crate::cli::args::VerifyArgs;
use crate::cli::exit_code;
use crate::cli::progress::CheckProgress;

/// Runs the command.
pub fn run(args: &VerifyArgs) -> Result<u8> {
    let (mut original, mut small) = (Model::read(&args.original)?, Model::read(&args.small)?);
    for model in [&mut original, &mut small] {
        model.give_input_shapes(&args.shapes.input_shape)?;
    }
    let pair = ((&*args.original, &original), (&*args.small, &small));
    let engines = Engines::of(&args.runtime.over(RuntimeConfig::default()))?;
    let mut progress = CheckProgress::new();
    let result = verify_where_possible(pair.0, pair.1, &engines, &mut progress);
    progress.finish();
    let (verdict, not_run) = result?;
    if args.json {
        print_json(&verdict)?;
    } else {
        for check in &verdict.checks {
            let mark = if check.passed { "ok    " } else { "FAILED" };
            say!("{mark} {}: {}", check.name, check.detail);
        }
    }
    if let Some(reason) = not_run.filter(|_| verdict.passed()) {
        bail!("cannot verify the outputs: {reason}");
    }
    Ok(if verdict.passed() {
        exit_code::SUCCESS
    } else {
        exit_code::NOT_VERIFIED
    })
}
