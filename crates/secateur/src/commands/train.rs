//! `secateur train`.

use std::path::Path;

use anyhow::{Result, bail};
use secateur::data::DataConfig;
use secateur::net::train::{OptimizerConfig, OptimizerKind, ScheduleKind};
use secateur::onnx::arch::{DEFAULT_WIDTHS, VggConfig, vgg_like};
use secateur::onnx::model::Model;
use secateur::train::{TrainConfig, Trained, train};
use serde::Serialize;

use super::{check_writable, open_data, print_json, print_notes, skipped_text};
use crate::cli::args::{OptimizerName, ScheduleName, TrainArgs};
use crate::cli::exit_code;
use crate::cli::progress::{TrainProgress, stop_flag};
use crate::cli::settings::data_config;

#[derive(Serialize)]
struct Summary<'a> {
    output: &'a Path,
    validation_accuracy: f64,
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
    let data_config = DataConfig {
        image_size: args.image_size,
        ..data_config(&args.data.options, DataConfig::default())
    };
    let source = open_data(&args.data.data, &data_config, args.json)?;
    let model = match &args.init {
        Some(path) => Model::read(path)?.unshared(),
        None => {
            let [h, w, c] = source.own_shape()?;
            let stages = VggConfig::parse_stages(args.widths.as_deref().unwrap_or(DEFAULT_WIDTHS))?;
            let config = VggConfig {
                input: [c, h, w],
                stages,
                hidden: args.hidden.clone(),
                classes: source.train.n_classes(),
            };
            vgg_like(&config, args.seed)?
        }
    };
    let config = TrainConfig {
        epochs: args.epochs,
        batch_size: args.batch_size,
        lr: args.lr,
        schedule: match args.schedule {
            ScheduleName::OneCycle => ScheduleKind::OneCycle,
            ScheduleName::Cosine => ScheduleKind::Cosine,
            ScheduleName::Constant => ScheduleKind::Constant,
        },
        optimizer: OptimizerConfig {
            kind: match args.optimizer {
                OptimizerName::Sgd => OptimizerKind::Sgd,
                OptimizerName::Adamw => OptimizerKind::Adamw,
            },
            weight_decay: args.weight_decay,
            ..OptimizerConfig::default()
        },
        smoothing: args.smoothing,
        max_shift: args.max_shift,
        max_rotation: args.max_rotation,
        max_zoom: args.max_zoom,
        flip: args.flip,
        data: data_config,
        seed: args.seed,
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
            error.hint().unwrap_or_default()
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
            validation_accuracy: validation.accuracy,
            validation_loss: validation.loss,
            validation_images: validation.correct.len(),
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
        "wrote {}{stopped}: validation accuracy {:.2} % ({} images), {:.0} s{}",
        args.output.display(),
        100.0 * validation.accuracy,
        validation.correct.len(),
        trained.seconds,
        skipped_text(trained.skipped.len())
    );
    Ok(())
}
