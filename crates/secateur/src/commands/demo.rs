//! `secateur demo`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::Result;
use secateur_search::error::SearchError;

use super::prune::count_params;
use crate::PruneError;
use crate::cli::args::DemoArgs;
use crate::cli::exit_code;
use crate::cli::progress::{PruneProgress, TrainProgress, stop_flag};
use crate::demo::{Demo, DemoConfig, DemoError, DemoRun, runs};
use crate::report::{command_text, terminal_table};
use crate::train::TrainConfig;

/// Runs the command.
pub fn run(args: &DemoArgs) -> Result<u8> {
    let started = Instant::now();
    let settings = args.settings.over(DemoConfig::default());
    let command = command(args, &settings);
    let demo = Demo::begin(&args.data, &args.output, settings.clone(), command)?;
    let stop = stop_flag("when the run is saved")?;

    say!(
        "1. training a VGG-like network on {} ({} epochs)",
        args.data.display(),
        settings.epochs
    );
    if train(&demo, stop.clone())? {
        return Ok(interrupted("interrupted in the training"));
    }
    for (index, run) in runs().iter().enumerate() {
        let (mode, promise) = (run.name.to_uppercase(), &run.promise);
        say!("\n{}. Auto-{mode}: {promise}", index + 2);
        match prune(&demo, run, stop.clone()) {
            Err(DemoError::Prune(PruneError::Search(SearchError::Interrupted {
                epochs, ..
            }))) => {
                let plural = if epochs == 1 { "" } else { "s" };
                let what = format!("interrupted after {epochs} pruning epoch{plural}");
                return Ok(interrupted(&what));
            }
            other => other?,
        }
    }
    say!("\ndone in {:.0} s", started.elapsed().as_secs_f64());
    Ok(exit_code::SUCCESS)
}

/// True if it was stopped.
fn train(demo: &Demo, stop: Arc<AtomicBool>) -> Result<bool, DemoError> {
    let batch_size = TrainConfig::default().batch_size;
    let mut progress = TrainProgress::new("training", batch_size, stop);
    let trained = demo.train(&mut progress)?;
    progress.finish();
    say!(
        "   validation accuracy {:.2} %, {:.0} s, wrote {}",
        100.0 * trained.validation.quality,
        trained.seconds,
        demo.net().display()
    );
    Ok(trained.stopped)
}

/// Prunes and says what came of it.
fn prune(demo: &Demo, run: &DemoRun, stop: Arc<AtomicBool>) -> Result<(), DemoError> {
    let mut progress = PruneProgress::new("pruning", count_params(&demo.net())?, stop);
    let result = demo.prune(run, &mut progress);
    progress.finish();
    say_part!("{}", terminal_table(&result?));
    let checked = if cfg!(feature = "verify") {
        " (verified)"
    } else {
        ""
    };
    let files = demo.files(run);
    say!("wrote {}{checked}", files.output.display());
    say!("report: {}", files.run_dir.join("report.html").display());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::errors::hint;

    #[test]
    fn hints_name_only_options_of_the_demo() {
        let error = DemoError::Prune(PruneError::Search(SearchError::AlreadyBegun {
            path: "runs/demo/aec".into(),
        }));
        let text = hint(&error.into()).unwrap();
        assert!(text.contains("`-o`") && !text.contains("--"), "{text}");
    }
}
