//! `secateur quantise`.

use anyhow::Result;

use super::{open_data, print_json, print_notes};
use crate::cli::args::QuantiseArgs;
use crate::cli::exit_code;
use crate::cli::progress::CheckProgress;
use crate::cli::settings::data_config;
use crate::quantise::{QuantiseError, QuantiseJob, Quantiser};
use secateur_search::config::RuntimeConfig;

/// Runs the command.
pub fn run(args: &QuantiseArgs, command: String, quantiser: Option<&dyn Quantiser>) -> Result<u8> {
    let quantiser = quantiser.ok_or(QuantiseError::NoQuantiser)?;
    let config = data_config(args.config.as_deref(), &args.settings)?;
    let source = open_data(&args.data, &config, args.json)?;
    let job = QuantiseJob {
        model: &args.model,
        output: &args.output,
        source: &source,
        data: &config,
        runtime: &args.runtime.over(RuntimeConfig::default()),
        calibration_images: args.calibration_images,
        run_dir: args.run_dir.as_deref(),
        command,
    };
    let mut progress = CheckProgress::new();
    let outcome = job.run(quantiser, &mut progress);
    progress.finish();
    let outcome = outcome?;
    print_notes(&outcome.quantised.notes);
    if args.json {
        print_json(&outcome.quantised)?;
    } else {
        say_part!("{}", outcome.quantised);
        say!("wrote {}", args.output.display());
        say!("report: {}", outcome.page.display());
    }
    Ok(exit_code::SUCCESS)
}
