//! `secateur inspect`.

use std::fmt::Display;
use std::path::Path;

use anyhow::Result;
use secateur_onnx::model::Model;
use secateur_search::config::{LatencyConfig, RuntimeConfig};
use serde::Serialize;

use super::{print_json, print_notes};
use crate::cli::args::InspectArgs;
use crate::cli::exit_code;
use crate::cli::progress::CheckProgress;
use crate::data::{self, DataConfig};
use crate::inspect::{DataInspection, Inspection};

/// Runs the command.
pub fn run(args: &InspectArgs) -> Result<u8> {
    let config = args.settings.over(DataConfig::default());
    if let Some(folder) = &args.data {
        return of_data(folder, args, &config);
    }
    // Without data the arguments hold a model.
    let path = args.model.as_deref().unwrap_or(Path::new(""));
    let model = Model::read(path)?.prepared();
    let mut model = model.with_mixing(args.allow_mixing);
    model.give_input_shapes(&config.input_shapes)?;
    let mut found = Inspection::new(path, &model, args.plan, config.task)?;
    if args.latency {
        let mut progress = CheckProgress::new();
        let runtime = args.runtime.over(RuntimeConfig::default());
        let timing = args.timing.over(LatencyConfig::default());
        let checks = args.latency_checks;
        let timed = found.with_latency(&model, &runtime, &timing, checks, &mut progress);
        progress.finish();
        found = timed?;
    }
    show(&found, &found.notes, args.json)
}

/// `--data`.
fn of_data(folder: &Path, args: &InspectArgs, config: &DataConfig) -> Result<u8> {
    let source = data::open(folder, config)?;
    let model = args.model.as_ref().map(Model::read).transpose()?;
    let found = DataInspection::new(&source, model.as_ref(), config)?;
    show(&found, &found.notes, args.json)
}

fn show(found: &(impl Display + Serialize), notes: &[String], json: bool) -> Result<u8> {
    if json {
        print_json(found)?;
    } else {
        say_part!("{found}");
        print_notes(notes);
    }
    Ok(exit_code::SUCCESS)
}
