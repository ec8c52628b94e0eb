//! `secateur compare`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::compare::{
    CompareError, Comparison, Experiment, Figure, Progress, Results, Step, Watch, Work, Workplace,
    at_once, output,
};
use crate::report::command_text;
use anyhow::{Result, bail};

use super::print_json;
use crate::cli::Call;
use crate::cli::args::CompareArgs;
use crate::cli::exit_code;
use crate::cli::progress::stop_flag;

/// Tables are written anew while runs go on, but not more often than this.
const BETWEEN_TABLES: Duration = Duration::from_secs(30);

/// Runs the command.
pub fn run(args: &CompareArgs, threads: Option<usize>, call: &Call) -> Result<u8> {
    let experiment = experiment(args, threads)?;
    let out = match &args.output {
        Some(folder) => folder.clone(),
        None => Path::new("runs").join(experiment.file.file_stem().unwrap_or_default()),
    };
    let table = Table {
        folders: match args.merge.is_empty() {
            true => vec![out.clone()],
            false => args.merge.clone(),
        },
        figure: if args.test {
            Figure::Test
        } else {
            Figure::Validation
        },
        experiment: &experiment,
        out: &out,
        command: &call.text(),
    };
    let place = Workplace {
        experiment: &experiment,
        out: &out,
    };
    if args.dry_run {
        let work = Work::plan(place, &experiment.jobs(args.shard))?;
        list(&work.commands()?);
        return Ok(exit_code::SUCCESS);
    }
    if !args.merge.is_empty() {
        check_folders(&args.merge)?;
        table.show(&table.write()?, args.json)?;
        return Ok(exit_code::SUCCESS);
    }
    check_data(&experiment)?;
    let jobs = experiment.jobs(args.shard);
    let work = Work::plan(place, &jobs)?;
    let mut told = Told {
        stop: stop_flag("pruning epoch of each run")?,
        table: &table,
        written: Instant::now(),
    };
    let side_by_side = args.jobs.unwrap_or_else(|| at_once(&experiment));
    eprintln!(
        "{} runs, up to {side_by_side} at once on {} threads each, in {}",
        jobs.len(),
        experiment.threads,
        out.display()
    );
    let done = work.run(&call.program, side_by_side, &mut told)?;
    table.show(&table.write()?, args.json)?;
    if done.stopped {
        eprintln!("stopped; what runs have reached is saved\n\nhint: the same command goes on");
        return Ok(exit_code::INTERRUPTED);
    }
    match done.failed {
        0 => Ok(exit_code::SUCCESS),
        n => bail!(
            "{n} of the runs failed; the others are in the table\n\nhint: each has a `log.txt` and an \
             `error.txt` in its folder in `{}`; the same command tries them again",
            out.display()
        ),
    }
}

/// The experiment, with what the arguments say instead.
fn experiment(args: &CompareArgs, threads: Option<usize>) -> Result<Experiment> {
    let mut experiment = Experiment::read(&args.experiment)?;
    if let Some(threads) = threads {
        experiment.threads = threads;
    }
    if let Some(data) = &args.data {
        let first = experiment.networks[0].data.clone();
        if let Some(other) = experiment
            .networks
            .iter()
            .find(|network| network.data != first)
        {
            bail!(
                "cannot use `--data`: the experiment names two, `{}` and `{}`\n\n\
                 hint: leave it out, and name them in the experiment's file",
                first.display(),
                other.data.display()
            );
        }
        for network in &mut experiment.networks {
            network.data.clone_from(data);
        }
    }
    Ok(experiment)
}

/// Runs without data would fail one by one.
fn check_data(experiment: &Experiment) -> Result<()> {
    match experiment
        .networks
        .iter()
        .find(|network| !network.data.exists())
    {
        None => Ok(()),
        Some(network) => bail!(
            "cannot compare on `{}`: there is no data `{}`\n\n\
             hint: put the data there, or name their folder with `--data`",
            network.name,
            network.data.display()
        ),
    }
}

fn check_folders(folders: &[PathBuf]) -> Result<()> {
    match folders.iter().find(|folder| !folder.join("runs").is_dir()) {
        None => Ok(()),
        Some(folder) => bail!(
            "cannot merge `{}`: it holds no runs of a comparison",
            folder.display()
        ),
    }
}

/// Prints commands as a shell reads them.
fn list(commands: &[(String, Option<Step>)]) {
    for (title, step) in commands {
        say!("# {title}");
        match step {
            None => say!("# (by the result of the run whose shape it takes)"),
            Some(step) => {
                let words = step.arguments.iter().map(|word| word.to_string_lossy());
                let program = std::iter::once("secateur".into());
                say!("{}", command_text(program.chain(words)));
            }
        }
    }
    eprintln!("note: the settings that `--config` names are written when a run begins");
}

/// Where tables come from and go to.
struct Table<'a> {
    folders: Vec<PathBuf>,
    figure: Figure,
    experiment: &'a Experiment,
    out: &'a Path,
    /// As typed.
    command: &'a str,
}

impl Table<'_> {
    /// Reads what runs have brought, and writes the tables.
    fn write(&self) -> Result<Comparison, CompareError> {
        let results = Results::read(self.experiment, &self.folders)?;
        let comparison = Comparison::of(self.experiment, results, self.figure)?;
        let text = fs_err::read_to_string(&self.experiment.file)?;
        output::write(&comparison, &text, self.command, self.out)?;
        Ok(comparison)
    }

    fn show(&self, comparison: &Comparison, json: bool) -> Result<()> {
        if json {
            return print_json(comparison);
        }
        say_part!("{}", output::text(comparison));
        say!("report: {}", self.out.join("compare.html").display());
        Ok(())
    }
}

/// Tells how the work goes, on stderr.
struct Told<'a> {
    stop: Arc<AtomicBool>,
    table: &'a Table<'a>,
    written: Instant,
}

impl Watch for Told<'_> {
    fn begun(&mut self, title: &str, progress: Progress) {
        eprintln!("[{}/{}] {title}: begins", progress.over, progress.all);
    }

    fn ended(&mut self, title: &str, seconds: f64, error: Option<&str>, progress: Progress) {
        let Progress { over, all } = progress;
        match error {
            None => eprintln!("[{over}/{all}] {title}: done, {seconds:.0} s"),
            Some(error) => eprintln!("[{over}/{all}] {title}: failed: {error}"),
        }
        if self.written.elapsed() >= BETWEEN_TABLES {
            // What is wrong with it is told at the end.
            let _ = self.table.write();
            self.written = Instant::now();
        }
    }

    fn waits(&mut self, title: &str) {
        eprintln!("{title}: another process works on it; waiting");
    }

    fn stop(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
