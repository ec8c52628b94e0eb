//! `secateur eval`.

use anyhow::Result;
use secateur_onnx::model::Model;

use super::{open_data, print_json, print_notes};
use crate::cli::args::EvalArgs;
use crate::cli::exit_code;
use crate::cli::settings::data_config;
use crate::eval::EvalJob;

/// Runs the command.
pub fn run(args: &EvalArgs) -> Result<u8> {
    let model = Model::read(&args.model)?;
    let config = data_config(args.config.as_deref(), &args.settings)?;
    let source = open_data(&args.data, &config, args.json)?;
    let original = args.original.as_ref().map(Model::read).transpose()?;
    let job = EvalJob {
        model: (&args.model.to_string_lossy(), &model),
        original: original.as_ref(),
        source: &source,
        config: &config,
        part: args.split,
    };
    let result = job.run()?;
    print_notes(&result.notes);
    if args.json {
        print_json(&result)?;
    } else {
        say_part!("{result}");
    }
    Ok(exit_code::SUCCESS)
}
