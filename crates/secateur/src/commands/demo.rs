//! `secateur demo`: the whole way on the data shipped with the sources.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use secateur::data::{self, DataConfig};
use secateur::onnx::arch::{VggConfig, vgg_like};
use secateur::prune::{Job, prune};
use secateur::report::terminal_table;
use secateur::search::config::{Budget, Metric, Mode, PruneConfig};
use secateur::train::{TrainConfig, train};

use super::prune::count_params;
use crate::cli::args::DemoArgs;
use crate::cli::exit_code;
use crate::cli::progress::{PruneProgress, TrainProgress, stop_flag};

/// Points: what two equal networks differ by on 5,000 images by chance. A network trained as
/// briefly as here often has lucky validation images, which nothing smaller reaches.
const AEC_DROP: f64 = 0.1;

/// Runs the command.
pub fn run(args: &DemoArgs) -> Result<u8> {
    let started = Instant::now();
    let source = data::open(&args.data, &DataConfig::default())?;
    clear(&args.output)?;
    fs_err::create_dir_all(&args.output)?;
    let stop = stop_flag("slice")?;

    say!(
        "1. training a VGG-like network on {} ({} epochs)",
        args.data.display(),
        args.epochs
    );
    let [h, w, c] = source.train.image_shape();
    let model = vgg_like(
        &VggConfig::new([c, h, w], source.train.n_classes()),
        args.seed,
    )?;
    let config = TrainConfig {
        epochs: args.epochs,
        seed: args.seed,
        ..TrainConfig::default()
    };
    let mut progress = TrainProgress::new("training", config.batch_size, stop.clone());
    let trained = train(&model, &source, &config, &mut progress)?;
    progress.finish();
    let net = args.output.join("net.onnx");
    trained.model.write(&net)?;
    say!(
        "   validation accuracy {:.2} %, {:.0} s, wrote {}",
        100.0 * trained.validation.accuracy,
        trained.seconds,
        net.display()
    );
    if trained.stopped {
        return Ok(exit_code::INTERRUPTED);
    }

    let budget = Budget {
        metric: Metric::Params,
        remaining: 0.06,
    };
    let runs = [
        (
            "aec",
            format!("at most {AEC_DROP} points below the original accuracy"),
            Mode::Aec { max_drop: AEC_DROP },
        ),
        (
            "ceca",
            "6 % of the parameters, as accurate as it can".to_string(),
            Mode::Ceca {
                budgets: vec![budget],
                max_drop: 0.0,
            },
        ),
    ];
    for (index, (name, promise, mode)) in runs.into_iter().enumerate() {
        say!("\n{}. Auto-{}: {promise}", index + 2, name.to_uppercase());
        let output = args.output.join(format!("{name}.onnx"));
        let run_dir = args.output.join(name);
        let job = Job {
            model: &net,
            output: &output,
            run_dir: &run_dir,
            agent: None,
            resume: false,
            command: format!(
                "secateur demo --epochs {} --seed {}",
                args.epochs, args.seed
            ),
        };
        let config = PruneConfig {
            seed: args.seed,
            ..PruneConfig::new(mode)
        };
        let mut progress = PruneProgress::new("pruning", count_params(&net)?, stop.clone());
        let result = prune(&job, &source, &config, &mut progress);
        progress.finish();
        let report = result?;
        say_part!("{}", terminal_table(&report));
        say!("wrote {} (verified in tract)", output.display());
        say!("report: {}", run_dir.join("report.html").display());
    }
    say!("\ndone in {:.0} s", started.elapsed().as_secs_f64());
    Ok(exit_code::SUCCESS)
}

/// Removes what an earlier demo wrote, and nothing else.
fn clear(folder: &Path) -> Result<()> {
    for name in ["net.onnx", "aec.onnx", "ceca.onnx"] {
        let path = folder.join(name);
        if path.is_file() {
            fs_err::remove_file(&path)?;
        }
    }
    for name in ["aec", "ceca"] {
        let path = folder.join(name);
        if path.join("header.json").is_file() {
            fs_err::remove_dir_all(&path).context("cannot clear the earlier demo")?;
        }
    }
    Ok(())
}
