//! `secateur prune`.

use std::path::Path;

use crate::calibrate::Calibration;
use crate::one_shot::{OneShotJob, prune_one_shot};
use crate::report::{RunReport, terminal_table};
use crate::runtime::Engines;
use crate::tensorboard::TensorBoard;
use crate::{Files, Pruner};
use anyhow::{Result, bail};
use secateur_onnx::OnnxError;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_search::config::PruneConfig;

use super::{check_writable, open_data, print_json, print_notes};
use crate::cli::Call;
use crate::cli::args::PruneArgs;
use crate::cli::exit_code;
use crate::cli::progress::{CheckProgress, PruneProgress, stop_flag};
use crate::cli::settings::{parse_budgets, prune_config};
use crate::layered::ModeName;

/// Runs the command.
pub fn run(args: &PruneArgs, call: &Call) -> Result<u8> {
    if args.no_train {
        check_writable(&args.output)?;
        return without_training(args);
    }
    let files = files(args);
    if files.run_dir == args.output {
        bail!(
            "cannot use `{}` as the run's folder: it is the file to write",
            args.output.display()
        );
    }
    let config = prune_config(args, &files.run_dir)?;
    check_writable(&args.output)?;
    let Some(folder) = &args.data else {
        bail!("cannot prune: no data; give `--data`, or `--no-train` to do without");
    };
    let source = open_data(folder, &config.data, args.json)?;
    if let Some(note) = config.least_cost_note().filter(|_| !args.resume) {
        eprintln!("note: {note}");
    }
    let n_params = count_params(&args.model)?;
    let mut progress = PruneProgress::new("pruning", n_params, stop_flag("when the run is saved")?);
    let pruner = Pruner::with_config(config)
        .agent(args.agent.as_deref())
        .learn_into(args.learn_into.as_deref())
        .command(call.text());
    let result = match &args.tensorboard {
        None => pruner.run_files(&files, &source, &mut progress),
        Some(folder) => {
            let mut board = TensorBoard::new(folder, &files.run_dir, &mut progress)?;
            pruner.run_files(&files, &source, &mut board)
        }
    };
    progress.finish();
    show(args, &result?, &files.run_dir)?;
    Ok(exit_code::SUCCESS)
}

/// The files that the arguments name.
fn files(args: &PruneArgs) -> Files {
    let mut files = Files::new(&args.model, &args.output);
    files.resume = args.resume;
    if let Some(run_dir) = &args.run_dir {
        files.run_dir.clone_from(run_dir);
    }
    files
}

/// `--no-train`.
fn without_training(args: &PruneArgs) -> Result<u8> {
    if args.mode == Some(ModeName::Aec) {
        bail!(
            "cannot use `--no-train` with `--mode aec`: accuracy cannot be promised without data\n\n\
             hint: leave `--mode` out, or give `--data`"
        );
    }
    let Some(budget) = &args.budget else {
        bail!("cannot use `--no-train` without `--budget`");
    };
    if args.settings.has("measure.command") {
        bail!(
            "cannot use `--metric` with `--no-train`: it cuts once, and chooses nothing by a \
             measure\n\nhint: leave `--metric` out, and run the command on the written file"
        );
    }
    if args.agent.is_some() || args.learn_into.is_some() {
        bail!(
            "cannot use an agent with `--no-train`: nothing is searched\n\n\
             hint: leave `--agent` and `--learn-into` out"
        );
    }
    let config = args.settings.over(PruneConfig::default());
    if args.data.is_some() && !args.calibrate {
        bail!(
            "cannot use `--data` with `--no-train`: kernels are ranked by their weights alone\n\n\
             hint: add `--calibrate` to solve the weights that are left on the data"
        );
    }
    let source = match &args.data {
        Some(folder) => Some(open_data(folder, &config.data, args.json)?),
        None => None,
    };
    let engines = Engines::of(&config.runtime)?;
    let names_policy = args.settings.has("search.policy");
    let ranking = OneShotJob::ranking_of(&config, names_policy, args.calibrate)?;
    let budgets = parse_budgets(budget, &args.model, &config)?;
    let calibration = source.as_ref().map(|source| Calibration {
        source,
        data: &config.data,
        inputs: args.calibration_images,
    });
    let files = (&*args.model, &*args.output);
    let job = OneShotJob::of_config(&config, ranking, files, &budgets, calibration, &engines);
    let mut progress = CheckProgress::new();
    let report = prune_one_shot(&job, &mut progress);
    progress.finish();
    let report = report?;
    if args.json {
        print_json(&report)?;
        return Ok(exit_code::SUCCESS);
    }
    say!("{}, without training", report.ranking);
    say_part!("{}", report.table());
    for file in &report.after {
        say!("wrote {}", file.figures.file.display());
        match &file.not_run {
            None => {
                // Outputs are compared last.
                if let Some(check) = file.checks.last() {
                    say!("  {}: {}", check.name, check.detail);
                }
            }
            Some(reason) => say!("  outputs were not compared: {reason}"),
        }
        for mixed in &file.mixed {
            say!("  {mixed}");
        }
        if let Some(timed) = &file.timed {
            say!("  it {}", timed.text());
        }
        if let Some(calibrated) = &file.calibrated {
            for line in calibrated.lines() {
                say!("  {line}");
            }
            for line in calibrated.table().lines() {
                tracing::info!("{line}");
            }
        }
    }
    print_notes(&report.notes);
    if !args.calibrate {
        say!("quality was not measured: train the file further, or evaluate it (`secateur eval`)");
    }
    Ok(exit_code::SUCCESS)
}

/// Number of float values that a model stores, for the progress bar.
pub fn count_params(model: &Path) -> Result<u64, OnnxError> {
    let graph = Graph::from_model(&Model::read(model)?)?;
    let floats = graph.initializers.values().filter(|t| t.as_f32().is_some());
    Ok(floats.map(|t| t.len() as u64).sum())
}

fn show(args: &PruneArgs, report: &RunReport, run_dir: &Path) -> Result<()> {
    if args.json {
        return print_json(report);
    }
    say!("{}", report.mode);
    say_part!("{}", terminal_table(report));
    for network in &report.after {
        say!(
            "wrote {}",
            args.output.with_file_name(&network.file).display()
        );
    }
    say!(
        "report: {} (seed {})",
        run_dir.join("report.html").display(),
        report.seed
    );
    Ok(())
}
