//! `secateur train`.

use secateur_onnx::text::counted;
use std::path::Path;

use anyhow::{Result, bail};
use secateur::data::Source;
use secateur::train::{Trained, train, with_new_weights};
use secateur_onnx::arch::{
    DEFAULT_WIDTHS, LeNetConfig, MobileNetConfig, ResNetConfig, VggConfig, lenet5, mobilenet_v2,
    resnet, vgg_like,
};
use secateur_onnx::model::Model;
use serde::Serialize;

use super::{check_writable, open_data, print_json, print_notes, skipped_text};
use crate::cli::args::{Arch, TrainArgs};
use crate::cli::errors::net_hint;
use crate::cli::exit_code;
use crate::cli::progress::{TrainProgress, stop_flag};
use crate::cli::settings::train_config;

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
    let (input, classes) = ([c, h, w], source.train.n_classes());
    let shaped = [
        ("--widths", args.widths.is_some()),
        ("--hidden", args.hidden.is_some()),
    ];
    if args.arch != Arch::VggLike
        && let Some((option, _)) = shaped.iter().find(|(_, is_given)| *is_given)
    {
        bail!(
            "cannot use `{option}`: the widths of this architecture are given\n\n\
               hint: leave it out, or build a `vgg-like`"
        );
    }
    Ok(match args.arch {
        Arch::VggLike => {
            let config = VggConfig {
                input,
                stages: VggConfig::parse_stages(args.widths.as_deref().unwrap_or(DEFAULT_WIDTHS))?,
                hidden: args.hidden.clone().unwrap_or_else(|| vec![128]),
                classes,
            };
            vgg_like(&config, seed)?
        }
        Arch::LeNet5 => lenet5(&LeNetConfig::new(input, classes), seed)?,
        Arch::ResNet20 => resnet(&ResNetConfig::new(input, classes), seed)?,
        Arch::MobileNetV2 => mobilenet_v2(&MobileNetConfig::new(input, classes), seed)?,
    })
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
