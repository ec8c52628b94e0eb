//! `secateur demo`: the whole way on the data shipped with the sources.

mod folder;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::data::{self, DataConfig, Source};
use crate::report::{command_text, terminal_table};
use crate::train::{TrainConfig, train};
use crate::{Files, PruneError, Pruner};
use anyhow::{Result, anyhow};
use secateur_onnx::arch::{VggConfig, vgg_like};
use secateur_search::config::{Budget, Metric, Mode, PruneConfig};
use secateur_search::error::SearchError;

use self::folder::{claim, clear};
use super::prune::count_params;
use crate::cli::args::{DemoArgs, DemoConfig};
use crate::cli::errors;
use crate::cli::exit_code;
use crate::cli::progress::{PruneProgress, TrainProgress, stop_flag};

/// Points: what two equal networks differ by on 5,000 images by chance. A network trained as
/// briefly as here often has lucky validation images, which nothing smaller reaches.
const AEC_DROP: f64 = 0.1;

/// Runs the command.
pub fn run(args: &DemoArgs) -> Result<u8> {
    let started = Instant::now();
    let settings = args.settings.over(DemoConfig::default());
    let source = data::open(&args.data, &DataConfig::default())?;
    // Held to the end.
    let _marker = claim(&args.output)?;
    clear(&args.output)?;
    let stop = stop_flag("pruning epoch")?;

    let net = args.output.join("net.onnx");
    if train_network(args, &settings, &source, &net, stop.clone())? {
        return Ok(interrupted("interrupted in the training"));
    }
    for (index, demo_run) in demo_runs().into_iter().enumerate() {
        let DemoRun { name, promise, .. } = &demo_run;
        say!("\n{}. Auto-{}: {promise}", index + 2, name.to_uppercase());
        if let Err(error) = prune_network(args, &settings, &source, &net, demo_run, stop.clone()) {
            let PruneError::Search(SearchError::Interrupted { epochs, .. }) = error else {
                return Err(without_options(error));
            };
            let plural = if epochs == 1 { "" } else { "s" };
            return Ok(interrupted(&format!(
                "interrupted after {epochs} pruning epoch{plural}"
            )));
        }
    }
    say!("\ndone in {:.0} s", started.elapsed().as_secs_f64());
    Ok(exit_code::SUCCESS)
}

/// Trains the network that is pruned and writes it to `net`; true if it was stopped.
fn train_network(
    args: &DemoArgs,
    settings: &DemoConfig,
    source: &Source,
    net: &Path,
    stop: Arc<AtomicBool>,
) -> Result<bool> {
    say!(
        "1. training a VGG-like network on {} ({} epochs)",
        args.data.display(),
        settings.epochs
    );
    source.check_labelled("train")?;
    let [h, w, c] = source.train.image_shape();
    let architecture = VggConfig::new([c, h, w], source.train.n_classes());
    let model = vgg_like(&architecture, settings.seed)?;
    let config = TrainConfig {
        epochs: settings.epochs,
        seed: settings.seed,
        ..TrainConfig::default()
    };
    let mut progress = TrainProgress::new("training", config.batch_size, stop);
    let trained = train(&model, source, &config, &mut progress)?;
    progress.finish();
    trained.model.write(net)?;
    say!(
        "   validation accuracy {:.2} %, {:.0} s, wrote {}",
        100.0 * trained.validation.quality,
        trained.seconds,
        net.display()
    );
    Ok(trained.stopped)
}

/// One of the two pruning runs.
struct DemoRun {
    /// Stem of its output, and its folder.
    name: &'static str,
    /// The mode in words.
    promise: String,
    mode: Mode,
}

fn demo_runs() -> [DemoRun; 2] {
    let budget = Budget {
        metric: Metric::Params,
        remaining: 0.06,
    };
    [
        DemoRun {
            name: "aec",
            promise: format!("at most {AEC_DROP} points below the original accuracy"),
            mode: Mode::Aec { max_drop: AEC_DROP },
        },
        DemoRun {
            name: "ceca",
            promise: "6 % of the parameters, as accurate as it can".to_string(),
            mode: Mode::Ceca {
                budgets: vec![budget],
                max_drop: 0.0,
            },
        },
    ]
}

/// Prunes `net` and says what came of it.
fn prune_network(
    args: &DemoArgs,
    settings: &DemoConfig,
    source: &Source,
    net: &Path,
    demo_run: DemoRun,
    stop: Arc<AtomicBool>,
) -> Result<(), PruneError> {
    let output = args.output.join(format!("{}.onnx", demo_run.name));
    let run_dir = args.output.join(demo_run.name);
    let files = Files {
        run_dir: run_dir.clone(),
        ..Files::new(net, &output)
    };
    let config = PruneConfig {
        seed: settings.seed,
        ..PruneConfig::new(demo_run.mode)
    };
    let pruner = Pruner::with_config(config).command(command(args, settings));
    let mut progress = PruneProgress::new("pruning", count_params(net)?, stop);
    let result = pruner.run_files(&files, source, &mut progress);
    progress.finish();
    say_part!("{}", terminal_table(&result?));
    let checked = if cfg!(feature = "verify") {
        " (verified)"
    } else {
        ""
    };
    say!("wrote {}{checked}", output.display());
    say!("report: {}", run_dir.join("report.html").display());
    Ok(())
}

/// Says how to go on; returns the exit code.
fn interrupted(what: &str) -> u8 {
    eprintln!("{what}\n\nhint: run the demo again; it begins anew");
    exit_code::INTERRUPTED
}

/// The command, for the report.
fn command(args: &DemoArgs, settings: &DemoConfig) -> String {
    let mut words = vec!["secateur".to_string(), "demo".to_string()];
    let folders = [("--data", &args.data), ("-o", &args.output)];
    for (option, folder) in folders {
        words.extend([option.to_string(), folder.display().to_string()]);
    }
    words.extend(["--epochs".to_string(), settings.epochs.to_string()]);
    words.extend(["--seed".to_string(), settings.seed.to_string()]);
    command_text(words)
}

/// An error whose hint, if it names options that this command lacks, says what helps here.
fn without_options(error: PruneError) -> anyhow::Error {
    let error = anyhow::Error::from(error);
    match errors::hint(&error) {
        Some(hint) if hint.contains("`--") => anyhow!(
            "{error}\n\nhint: run the demo again, or name another folder with `-o`; `prune` with \
             the demo's `net.onnx` has more options"
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_only_options_of_the_demo() {
        let error = PruneError::Search(SearchError::AlreadyBegun {
            path: "runs/demo/aec".into(),
        });
        let text = without_options(error).to_string();
        assert!(text.contains("`-o`") && !text.contains("--"), "{text}");
    }
}
