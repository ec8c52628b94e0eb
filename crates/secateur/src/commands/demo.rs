//! `secateur demo`: the whole way on the data shipped with the sources.

use std::fs::TryLockError;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use secateur::data::{self, DataConfig};
use secateur::onnx::arch::{VggConfig, vgg_like};
use secateur::prune::{Job, JobError, prune};
use secateur::report::{command_text, terminal_table};
use secateur::search::config::{Budget, Metric, Mode, PruneConfig};
use secateur::search::pruner::PruneError;
use secateur::search::run_dir::{RunDir, RunDirError};
use secateur::train::{TrainConfig, train};

use super::prune::count_params;
use crate::cli::args::DemoArgs;
use crate::cli::exit_code;
use crate::cli::progress::{PruneProgress, TrainProgress, stop_flag};

/// Points: what two equal networks differ by on 5,000 images by chance. A network trained as
/// briefly as here often has lucky validation images, which nothing smaller reaches.
const AEC_DROP: f64 = 0.1;

/// The file by which a demo knows a folder as a demo's, locked while one is running.
const MARKER: &str = "secateur-demo.txt";
const MARKER_TEXT: &str = "This folder belongs to `secateur demo`: the next demo that is given it \
                           replaces net.onnx, aec.onnx,\nceca.onnx and the folders aec and ceca.\n";
const NETWORKS: [&str; 3] = ["net.onnx", "aec.onnx", "ceca.onnx"];
const RUNS: [&str; 2] = ["aec", "ceca"];

/// Runs the command.
pub fn run(args: &DemoArgs) -> Result<u8> {
    let started = Instant::now();
    let source = data::open(&args.data, &DataConfig::default())?;
    // Held to the end.
    let _marker = claim(&args.output)?;
    clear(&args.output)?;
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
        return Ok(interrupted("interrupted in the training"));
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
            command: command(args),
        };
        let config = PruneConfig {
            seed: args.seed,
            ..PruneConfig::new(mode)
        };
        let mut progress = PruneProgress::new("pruning", count_params(&net)?, stop.clone());
        let result = prune(&job, &source, &config, &mut progress);
        progress.finish();
        let report = match result {
            Ok(report) => report,
            Err(JobError::Prune(PruneError::Interrupted { epochs, .. })) => {
                let plural = if epochs == 1 { "" } else { "s" };
                return Ok(interrupted(&format!(
                    "interrupted after {epochs} pruning epoch{plural}"
                )));
            }
            Err(error) => return Err(without_options(error)),
        };
        say_part!("{}", terminal_table(&report));
        say!("wrote {} (verified in tract)", output.display());
        say!("report: {}", run_dir.join("report.html").display());
    }
    say!("\ndone in {:.0} s", started.elapsed().as_secs_f64());
    Ok(exit_code::SUCCESS)
}

/// Says how to go on; returns the exit code.
fn interrupted(what: &str) -> u8 {
    eprintln!("{what}\n\nhint: run the demo again; it begins anew");
    exit_code::INTERRUPTED
}

/// The command, for the report.
fn command(args: &DemoArgs) -> String {
    let mut words = vec!["secateur".to_string(), "demo".to_string()];
    let folders = [("--data", &args.data), ("-o", &args.output)];
    for (option, folder) in folders {
        words.extend([option.to_string(), folder.display().to_string()]);
    }
    words.extend(["--epochs".to_string(), args.epochs.to_string()]);
    words.extend(["--seed".to_string(), args.seed.to_string()]);
    command_text(words)
}

/// An error whose hint, if it names options that this command lacks, says what helps here.
fn without_options(error: JobError) -> anyhow::Error {
    match error.hint() {
        Some(hint) if hint.contains("`--") => anyhow!(
            "{error}\n\nhint: run the demo again, or name another folder with `-o`; `prune` with \
             the demo's `net.onnx` has more options"
        ),
        _ => error.into(),
    }
}

/// Makes the folder a demo's, if it is new, empty or one already, and locks it.
fn claim(folder: &Path) -> Result<fs_err::File> {
    let marker = folder.join(MARKER);
    if !marker.is_file() && folder.exists() {
        if !folder.is_dir() {
            bail!(
                "cannot write to `{}`: it is no folder\n\nhint: name another with `-o`",
                folder.display()
            );
        }
        if let Some(first) = fs_err::read_dir(folder)?.next() {
            bail!(
                "cannot use `{}` for the demo: it holds files that are not a demo's, such as \
                 `{}`\n\nhint: name a new folder with `-o`, or empty this one",
                folder.display(),
                first?.file_name().display()
            );
        }
    }
    fs_err::create_dir_all(folder)?;
    let mut file = fs_err::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&marker)?;
    match file.file().try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(busy(folder)),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    // Also without a demo one of its runs can be at work, gone on with by `prune`.
    for name in RUNS {
        let path = folder.join(name);
        if path.is_dir() {
            RunDir::open(&path).map_err(|error| match error {
                RunDirError::Busy { .. } => busy(folder),
                other => other.into(),
            })?;
        }
    }
    file.set_len(0)?;
    file.write_all(MARKER_TEXT.as_bytes())?;
    Ok(file)
}

fn busy(folder: &Path) -> anyhow::Error {
    anyhow!(
        "cannot use `{}` for the demo: another process works in it\n\nhint: wait for it to end, \
         or name another folder with `-o`",
        folder.display()
    )
}

/// Removes what an earlier demo wrote into its folder, and nothing else.
fn clear(folder: &Path) -> Result<()> {
    for name in NETWORKS {
        let path = folder.join(name);
        if path.is_file() {
            fs_err::remove_file(&path)?;
        }
    }
    for name in RUNS {
        let path = folder.join(name);
        if path.is_dir() {
            fs_err::remove_dir_all(&path).context("cannot clear the earlier demo")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(folder: &Path, reason: &str) {
        let error = claim(folder).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("`-o`"), "{error}");
    }

    #[test]
    fn only_new_empty_and_own_folders_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        drop(claim(&path.join("new/one")).unwrap());

        let foreign = path.join("foreign");
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join("net.onnx"), "the user's own").unwrap();
        refused(&foreign, "not a demo's, such as `net.onnx`");
        assert!(!foreign.join(MARKER).exists());
        refused(&foreign.join("net.onnx"), "it is no folder");

        let own = path.join("own");
        std::fs::create_dir(&own).unwrap();
        drop(claim(&own).unwrap());
        for name in ["net.onnx", "notes.txt"] {
            std::fs::write(own.join(name), "").unwrap();
        }
        drop(claim(&own).unwrap());
        clear(&own).unwrap();
        assert!(!own.join("net.onnx").exists());
        assert!(own.join("notes.txt").exists());
    }

    #[test]
    fn a_folder_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let demo = claim(folder.path()).unwrap();
        refused(folder.path(), "another process works in it");
        drop(demo);
        let run = RunDir::open(&folder.path().join("aec")).unwrap();
        refused(folder.path(), "another process works in it");
        drop(run);
        drop(claim(folder.path()).unwrap());
    }

    #[test]
    fn hints_name_only_options_of_the_demo() {
        let error = JobError::Prune(PruneError::AlreadyBegun {
            path: "runs/demo/aec".into(),
        });
        let text = without_options(error).to_string();
        assert!(text.contains("`-o`") && !text.contains("--"), "{text}");
    }
}
