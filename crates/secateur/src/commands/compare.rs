//! `secateur compare`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::compare::{CompareJob, Comparison, Done, Figure, Progress, Step, Watch, output};
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
    let (out, data) = (args.output.as_deref(), args.data.as_deref());
    let job = CompareJob {
        shard: args.shard,
        merge: args.merge.clone(),
        figure: Figure::asked(args.test),
        side_by_side: args.jobs,
        command: call.text(),
        ..CompareJob::read(&args.experiment, out, data, threads)?
    };
    if args.dry_run {
        list(&job.commands()?);
        return Ok(exit_code::SUCCESS);
    }
    if !args.merge.is_empty() {
        show(&job, &job.tables()?, args.json)?;
        return Ok(exit_code::SUCCESS);
    }
    let mut told = Told {
        stop: stop_flag("when each run is saved")?,
        job: &job,
        written: Instant::now(),
        has_begun: false,
    };
    let done = job.run(&call.program, &mut told)?;
    show(&job, &job.tables()?, args.json)?;
    end(done, &job)
}

/// The exit code, and what is left to do.
fn end(done: Done, job: &CompareJob) -> Result<u8> {
    if done.stopped {
        eprintln!("stopped; what runs have reached is saved\n\nhint: the same command goes on");
        return Ok(exit_code::INTERRUPTED);
    }
    match done.failed {
        0 => Ok(exit_code::SUCCESS),
        n => bail!(
            "{n} of the runs failed; the others are in the table\n\nhint: each has a `log.txt` and an \
             `error.txt` in its folder in `{}`; the same command tries them again",
            job.out.display()
        ),
    }
}

/// Prints commands as a shell reads them.
fn list(commands: &[(String, Option<Step>)]) {
    for (title, step) in commands {
        say!("# {title}");
        match step {
            None => say!("# (by the result of the run whose shape it takes)"),
            Some(step) => say!("{}", step.text()),
        }
    }
    eprintln!("note: the settings that `--config` names are written when a run begins");
}

fn show(job: &CompareJob, comparison: &Comparison, json: bool) -> Result<()> {
    if json {
        return print_json(comparison);
    }
    say_part!("{}", output::text(comparison));
    say!("report: {}", job.out.join("compare.html").display());
    Ok(())
}

/// Tells how the work goes, on stderr.
struct Told<'a> {
    stop: Arc<AtomicBool>,
    job: &'a CompareJob,
    written: Instant,
    has_begun: bool,
}

impl Watch for Told<'_> {
    fn begun(&mut self, title: &str, progress: Progress) {
        if !std::mem::replace(&mut self.has_begun, true) {
            eprintln!(
                "{} runs, up to {} at once on {} threads each, in {}",
                self.job.jobs().len(),
                self.job.at_once(),
                self.job.experiment.threads,
                self.job.out.display()
            );
        }
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
            let _ = self.job.tables();
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
