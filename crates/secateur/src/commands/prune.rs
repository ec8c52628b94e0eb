//! `secateur prune`.

use std::path::Path;

use anyhow::{Result, bail};
use secateur::default_run_dir;
use secateur::one_shot::{OneShotJob, prune_one_shot};
use secateur::onnx::graph::Graph;
use secateur::onnx::model::Model;
use secateur::prune::{Job, prune};
use secateur::report::{RunReport, command_text, terminal_table};
use secateur::search::config::PruneConfig;

use super::{check_writable, open_data, print_json, print_notes};
use crate::cli::args::{ModeName, PruneArgs};
use crate::cli::exit_code;
use crate::cli::progress::{PruneProgress, stop_flag};
use crate::cli::settings::{parse_budgets, prune_config};

/// Runs the command.
pub fn run(args: &PruneArgs) -> Result<u8> {
    if args.no_train {
        check_writable(&args.output)?;
        return without_training(args);
    }
    let run_dir = args
        .run_dir
        .clone()
        .unwrap_or_else(|| default_run_dir(&args.output));
    if run_dir == args.output {
        bail!(
            "cannot use `{}` as the run's folder: it is the file to write",
            run_dir.display()
        );
    }
    let config = prune_config(args, &run_dir)?;
    check_writable(&args.output)?;
    let Some(folder) = &args.data else {
        bail!("cannot prune: no data; give `--data`, or `--no-train` to do without");
    };
    let source = open_data(folder, &config.data, args.json)?;
    let n_params = count_params(&args.model)?;
    let mut progress = PruneProgress::new("pruning", n_params, stop_flag("slice")?);
    let job = Job {
        model: &args.model,
        output: &args.output,
        run_dir: &run_dir,
        agent: args.agent.as_deref(),
        resume: args.resume,
        command: command_line(),
    };
    let result = prune(&job, &source, &config, &mut progress);
    progress.finish();
    let report = result?;
    show(args, &config, &report, &run_dir)?;
    Ok(exit_code::SUCCESS)
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
    let job = OneShotJob {
        model: &args.model,
        output: &args.output,
        policy: args.policy.as_deref().unwrap_or("l2").parse()?,
        budgets: &parse_budgets(budget)?,
        ignore: &args.ignore,
        round_to: args.round_to.unwrap_or(1),
        seed: args.seed.unwrap_or(0),
    };
    let report = prune_one_shot(&job)?;
    if args.json {
        print_json(&report)?;
        return Ok(exit_code::SUCCESS);
    }
    say!("{}, without training", report.policy);
    say_part!("{}", report.table());
    for file in &report.after {
        say!("wrote {}", file.figures.file.display());
        match &file.not_run {
            None => say!("  outputs agree with the masked original (tract)"),
            Some(reason) => say!("  outputs were not compared: {reason}"),
        }
    }
    print_notes(&report.notes);
    say!("accuracy was not measured: train the file further, or evaluate it");
    Ok(exit_code::SUCCESS)
}

/// Number of float values that a model stores, for the progress bar.
pub fn count_params(model: &Path) -> Result<u64> {
    let graph = Graph::from_model(&Model::read(model)?)?;
    let floats = graph.initializers.values().filter(|t| t.as_f32().is_some());
    Ok(floats.map(|t| t.len() as u64).sum())
}

/// The command as typed, with the program's plain name.
fn command_line() -> String {
    let mut words = vec!["secateur".to_string()];
    words.extend(std::env::args().skip(1));
    command_text(words)
}

fn show(args: &PruneArgs, config: &PruneConfig, report: &RunReport, run_dir: &Path) -> Result<()> {
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
        config.seed
    );
    Ok(())
}
