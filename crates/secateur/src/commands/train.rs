//! `secateur train`.

use secateur_onnx::text::counted;
use std::path::Path;

use crate::new_network::NewNetwork;
use crate::train::{Trained, train, with_new_weights};
use anyhow::{Result, bail};
use secateur_onnx::model::Model;
use serde::Serialize;

use super::{check_writable, open_data, print_json, print_notes};
use crate::cli::args::TrainArgs;
use crate::cli::errors::net_hint;
use crate::cli::exit_code;
use crate::cli::progress::{TrainProgress, stop_flag};
use crate::cli::settings::train_config;
use crate::eval::skipped_text;

#[derive(Serialize)]
struct Summary<'a> {
    output: &'a Path,
    quality_name: &'a str,
    validation_quality: f64,
    validation_loss: f64,
    validation_images: usize,
    sample_macs: f64,
    seconds: f64,
    /// Ended by Ctrl-C before its last step.
    stopped: bool,
    skipped_images: usize,
}

/// Runs the command.
pub fn run(args: &TrainArgs) -> Result<u8> {
    check_writable(&args.output)?;
    let config = train_config(args)?;
    let source = open_data(&args.data, &config.data, args.json)?;
    let model = match &args.init {
        Some(path) => {
            let model = Model::read(path)?.prepared();
            match args.fresh {
                true => with_new_weights(&model, config.seed)?,
                false => model,
            }
        }
        None => NewNetwork {
            arch: args.arch,
            widths: args.widths.clone(),
            hidden: args.hidden.clone(),
        }
        .build(&source, config.seed)?,
    };
    let mut progress =
        TrainProgress::new("training", config.batch_size, stop_flag("after this step")?);
    let trained = train(&model, &source, &config, &mut progress)?;
    progress.finish();
    print_notes(&trained.notes);
    trained.model.write(&args.output)?;
    report(args, &trained)?;
    if let Some(error) = trained.diverged {
        bail!(
            "{error}; `{}` holds the weights after the last whole pass before\n\nhint: {}",
            args.output.display(),
            net_hint(&error).unwrap_or_default()
        );
    }
    if !trained.stopped {
        return Ok(exit_code::SUCCESS);
    }
    eprintln!(
        "\nhint: to train on from there, add `--init {}`",
        args.output.display()
    );
    Ok(exit_code::INTERRUPTED)
}

fn report(args: &TrainArgs, trained: &Trained) -> Result<()> {
    let validation = &trained.validation;
    if args.json {
        return print_json(&Summary {
            output: &args.output,
            quality_name: trained.quality_name,
            validation_quality: validation.quality,
            validation_loss: validation.loss,
            validation_images: validation.samples.len(),
            sample_macs: trained.sample_macs,
            seconds: trained.seconds,
            stopped: trained.stopped,
            skipped_images: trained.skipped.len(),
        });
    }
    let stopped = if trained.stopped {
        " (stopped early)"
    } else {
        ""
    };
    say!(
        "wrote {}{stopped}: validation {} {:.2} % ({}), {:.0} s{}",
        args.output.display(),
        trained.quality_name,
        100.0 * validation.quality,
        counted(validation.samples.len(), "image"),
        trained.seconds,
        skipped_text(trained.skipped.len())
    );
    Ok(())
}
