//! `secateur train`.

use secateur_onnx::text::counted;
use std::path::Path;

use anyhow::{Result, bail};
use secateur::data::Source;
use secateur::train::{TrainConfig, Trained, train};
use secateur_onnx::arch::{DEFAULT_WIDTHS, VggConfig, vgg_like};
use secateur_onnx::model::Model;
use serde::Serialize;

use super::{check_writable, open_data, print_json, print_notes, skipped_text};
use crate::cli::args::TrainArgs;
use crate::cli::errors::net_hint;
use crate::cli::exit_code;
use crate::cli::progress::{TrainProgress, stop_flag};

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
    let config = args.settings.over(TrainConfig::default());
    let source = open_data(&args.data, &config.data, args.json)?;
    let model = match &args.init {
        Some(path) => Model::read(path)?.prepared(),
        None => new_model(args, &source, config.seed)?,
    };
    let mut progress = TrainProgress::new("training", config.batch_size, stop_flag("step")?);
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

/// A new network for the data's images and classes.
fn new_model(args: &TrainArgs, source: &Source, seed: u64) -> Result<Model> {
    source.check_labelled("train")?;
    let [h, w, c] = source.own_shape()?;
    let config = VggConfig {
        input: [c, h, w],
        stages: VggConfig::parse_stages(args.widths.as_deref().unwrap_or(DEFAULT_WIDTHS))?,
        hidden: args.hidden.clone(),
        classes: source.train.n_classes(),
    };
    Ok(vgg_like(&config, seed)?)
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
