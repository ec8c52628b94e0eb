//! `secateur prune`.

use std::path::Path;

use anyhow::Result;
use secateur::default_run_dir;
use secateur::onnx::graph::Graph;
use secateur::onnx::model::Model;
use secateur::prune::{Job, prune};
use secateur::report::{RunReport, terminal_table};
use secateur::search::config::PruneConfig;

use super::{check_writable, open_data, print_json};
use crate::cli::args::PruneArgs;
use crate::cli::exit_code;
use crate::cli::progress::{PruneProgress, stop_flag};
use crate::cli::settings::prune_config;

/// Runs the command.
pub fn run(args: &PruneArgs) -> Result<u8> {
    let run_dir = args
        .run_dir
        .clone()
        .unwrap_or_else(|| default_run_dir(&args.output));
    let config = prune_config(args, &run_dir)?;
    check_writable(&args.output)?;
    let source = open_data(&args.data, &config.data, args.json)?;
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
    words.join(" ")
}

fn show(args: &PruneArgs, config: &PruneConfig, report: &RunReport, run_dir: &Path) -> Result<()> {
    if args.json {
        return print_json(report);
    }
    println!("{}", report.mode);
    print!("{}", terminal_table(report));
    for network in &report.after {
        println!(
            "wrote {}",
            args.output.with_file_name(&network.file).display()
        );
    }
    println!(
        "report: {} (seed {})",
        run_dir.join("report.html").display(),
        config.seed
    );
    Ok(())
}
