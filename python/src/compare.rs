//! Experiments.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use pyo3::prelude::*;
use secateur::compare::{
    CompareJob, Comparison, Figure, Program, Progress, Shard, Step, Watch, output,
};
use secateur_net::settings::SettingError;

use crate::job::{self, Stop};

/// An experiment and what is asked of it.
#[derive(FromPyObject)]
pub struct Asked {
    experiment: PathBuf,
    output: Option<PathBuf>,
    jobs: Option<usize>,
    data: Option<PathBuf>,
    shard: Option<String>,
    merge: Vec<PathBuf>,
    test: bool,
    threads: Option<usize>,
    /// What the page says of how it was made.
    command: String,
}

impl Asked {
    fn job(self) -> Result<CompareJob> {
        let shard = |text: String| {
            text.parse::<Shard>().map_err(|_| SettingError {
                setting: "shard".to_string(),
                value: format!("`{text}`"),
                expected: Shard::FORM.to_string(),
            })
        };
        let shard = self.shard.map(shard).transpose()?;
        let (out, data) = (self.output.as_deref(), self.data.as_deref());
        Ok(CompareJob {
            shard,
            merge: self.merge,
            figure: Figure::asked(self.test),
            side_by_side: self.jobs,
            command: self.command,
            ..CompareJob::read(&self.experiment, out, data, self.threads)?
        })
    }
}

/// A comparison as JSON, the text that people read, its folder, and how many of its runs have failed.
type Compared = (String, String, PathBuf, usize);

fn told(job: CompareJob, comparison: &Comparison, failed: usize) -> Result<Compared> {
    let text = output::text(comparison);
    Ok((serde_json::to_string(comparison)?, text, job.out, failed))
}

/// Makes the runs of an experiment that are not done, each a process of `program`, and its tables.
/// `observer` has a method `told` of what happened, the run's title, runs that are over, all of them, and
/// an error if there is one.
#[pyfunction]
pub fn compare(
    py: Python<'_>,
    asked: Asked,
    program: (PathBuf, Vec<OsString>),
    observer: Option<Py<PyAny>>,
) -> PyResult<Compared> {
    job::run(py, None, Some("when each run is saved"), |stop| {
        let job = asked.job()?;
        if !job.merge.is_empty() {
            let comparison = job.tables()?;
            return told(job, &comparison, 0);
        }
        let (file, words) = program;
        let mut told_of = ToldOf {
            observer: observer.as_ref(),
            stop,
        };
        let done = job.run(&Program { file, words }, &mut told_of)?;
        let comparison = job.tables()?;
        told(job, &comparison, done.failed)
    })
}

/// The first calls of the runs that are not done, with their titles.
#[pyfunction]
pub fn compare_commands(py: Python<'_>, asked: Asked) -> PyResult<Vec<(String, Option<String>)>> {
    job::run(py, None, None, |_| {
        let commands = asked.job()?.commands()?;
        let text = |(title, step): (String, Option<Step>)| (title, step.map(|step| step.text()));
        Ok(commands.into_iter().map(text).collect())
    })
}

/// Passes on how the work goes.
struct ToldOf<'a> {
    observer: Option<&'a Py<PyAny>>,
    stop: &'a Stop,
}

impl ToldOf<'_> {
    fn tell(&self, what: &str, title: &str, progress: Option<Progress>, error: Option<&str>) {
        let Some(observer) = self.observer else {
            return;
        };
        let counts = progress.map(|Progress { over, all }| (over, all));
        Python::attach(|py| {
            if let Err(error) = observer.call_method1(py, "told", (what, title, counts, error)) {
                self.stop.fail(error);
            }
        });
    }
}

impl Watch for ToldOf<'_> {
    fn begun(&mut self, title: &str, progress: Progress) {
        self.tell("begun", title, Some(progress), None);
    }

    fn ended(&mut self, title: &str, _seconds: f64, error: Option<&str>, progress: Progress) {
        self.tell("ended", title, Some(progress), error);
    }

    fn waits(&mut self, title: &str) {
        self.tell("waits", title, None, None);
    }

    fn stop(&self) -> bool {
        self.stop.is_requested()
    }
}
