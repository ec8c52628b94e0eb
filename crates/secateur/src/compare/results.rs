//! What the runs of an experiment brought.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::CompareError;
use super::experiment::{Experiment, Kind};
use super::folder::{TESTED, TRAINED, last_error, read_json};
use super::plan::Job;
use super::step::{Evaluated, Training, Workplace};
use crate::report::{NetworkFigures, RunReport, read_report};

/// A network that a run brought.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The given network.
    pub network: String,
    /// The budget that it meets, or the drop that was allowed.
    pub promise: String,
    /// True if a drop was allowed.
    pub is_floor: bool,
    /// The contender.
    pub policy: String,
    /// The seed.
    pub seed: u64,
    /// Quality on all validation data, 0..=1.
    pub validation: f64,
    /// Quality on test data.
    pub test: Option<f64>,
    /// The given network's on validation data.
    pub given_validation: f64,
    /// The given network's on test data.
    pub given_test: Option<f64>,
    /// Share of the kernels that remains.
    pub kernels: f64,
    /// Share of the parameters of convolutions.
    pub conv_params: f64,
    /// Share of the parameters.
    pub params: f64,
    /// Share of the multiply-adds.
    pub macs: f64,
    /// Cost in sample-MACs, as share of the initial training; of new weights what their training
    /// costs beyond that of the given network.
    pub cost: f64,
    /// Seconds by the clock, of new weights beyond those of the given network's training.
    pub seconds: f64,
    /// The same as share of the initial training, where that is known.
    pub clock: Option<f64>,
    /// True if the result is the given network.
    pub is_unchanged: bool,
    /// Processor, threads, vector unit.
    pub machine: String,
    /// The folder of the run.
    pub folder: PathBuf,
}

/// A run that brought nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failure {
    /// What it is called.
    pub run: String,
    /// The error that it ended with.
    pub error: String,
}

/// What all runs brought.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Results {
    /// The networks, run by run.
    pub rows: Vec<Row>,
    /// Runs that failed.
    pub failures: Vec<Failure>,
    /// Runs that are not done, by what they are called.
    pub missing: Vec<String>,
    /// What quality is called: `accuracy`.
    pub quality_name: String,
}

impl Results {
    /// Reads what lies in the output folders of an experiment; of a run that several have, the first
    /// counts. A folder that holds a run of other settings is told as one that failed.
    ///
    /// # Errors
    /// [`CompareError`] if a file is damaged.
    pub fn read(experiment: &Experiment, folders: &[PathBuf]) -> Result<Self, CompareError> {
        let mut results = Self::default();
        for job in experiment.jobs(None) {
            results.read_job(experiment, folders, job)?;
        }
        if results.quality_name.is_empty() {
            results.quality_name = "quality".to_string();
        }
        Ok(results)
    }

    fn read_job(
        &mut self,
        experiment: &Experiment,
        folders: &[PathBuf],
        job: Job,
    ) -> Result<(), CompareError> {
        let mut error = None;
        for out in folders {
            let place = Workplace { experiment, out };
            let folder = experiment.folder(out, job);
            match place.record(job)?.check(&folder) {
                Err(other @ CompareError::OtherRun { .. }) => {
                    error = error.or_else(|| Some(other.to_string()));
                    continue;
                }
                checked => checked?,
            }
            let Some((report, rows)) = rows(place, job)? else {
                error = error.or_else(|| last_error(&folder));
                continue;
            };
            self.quality_name = report.quality_name;
            self.rows.extend(rows);
            return Ok(());
        }
        let run = experiment.title(job);
        match error {
            Some(error) => self.failures.push(Failure { run, error }),
            None => self.missing.push(run),
        }
        Ok(())
    }
}

/// The results of a run and the report that they rest on; `None` while it is not done.
fn rows(place: Workplace<'_>, job: Job) -> Result<Option<(RunReport, Vec<Row>)>, CompareError> {
    let experiment = place.experiment;
    let (pruned, is_scratch) = match experiment.policy(job).kind {
        Kind::Prune(_) => (job, false),
        Kind::Scratch { of } => (Job { policy: of, ..job }, true),
    };
    let run_dir = experiment.folder(place.out, pruned).join("run");
    if !run_dir.join("report.html").is_file() {
        return Ok(None);
    }
    let report = read_report(&run_dir)?;
    let folder = experiment.folder(place.out, job);
    let labels = experiment.promise(job).labels();
    let mut rows = Vec::new();
    for (after, label) in report.after.iter().zip(labels) {
        let mut row = row(&report, after);
        if is_scratch && !with_new_weights(&mut row, &report, &folder, after)? {
            return Ok(None);
        }
        rows.push(Row {
            network: experiment.network(job).name.clone(),
            promise: label,
            is_floor: experiment.promise(job).is_floor(),
            policy: experiment.policy(job).name.clone(),
            seed: job.seed,
            folder: folder.clone(),
            ..row
        });
    }
    Ok(Some((report, rows)))
}

/// A network of a report, without what the experiment knows.
fn row(report: &RunReport, after: &NetworkFigures) -> Row {
    let before = &report.before;
    let share = |small: u64, full: u64| small as f64 / full.max(1) as f64;
    let (size, full) = (&after.size, &before.size);
    Row {
        network: String::new(),
        promise: String::new(),
        is_floor: false,
        policy: String::new(),
        seed: report.seed,
        validation: validation(report, after),
        test: after.test_quality,
        given_validation: validation(report, before),
        given_test: before.test_quality,
        kernels: share(size.kernels, full.kernels),
        conv_params: share(size.conv_params, full.conv_params),
        params: share(size.params, full.params),
        macs: share(size.macs, full.macs),
        cost: report.search_sample_macs / report.training_sample_macs.max(1.0),
        seconds: report.search_seconds,
        clock: clock(report, report.search_seconds),
        is_unchanged: after.record.is_none(),
        machine: report.machine.clone(),
        folder: PathBuf::new(),
    }
}

/// Quality on all validation data: both halves, by their numbers.
fn validation(report: &RunReport, network: &NetworkFigures) -> f64 {
    let numbers = report
        .data
        .as_ref()
        .map_or((1, 1), |d| (d.n_search, d.n_confirm));
    let (search, confirm) = (numbers.0 as f64, numbers.1 as f64);
    (search * network.search_quality + confirm * network.confirm_quality) / (search + confirm)
}

fn clock(report: &RunReport, seconds: f64) -> Option<f64> {
    let training = report.training_seconds.filter(|&training| training > 0.0);
    training.map(|training| seconds / training)
}

/// Puts the figures of new weights in place of those of the pruned ones; false while they are not
/// trained.
fn with_new_weights(
    row: &mut Row,
    report: &RunReport,
    folder: &Path,
    after: &NetworkFigures,
) -> Result<bool, CompareError> {
    let file = folder.join(&after.file);
    let (trained, tested) = (file.with_extension(TRAINED), file.with_extension(TESTED));
    let has_test = row.test.is_some();
    if !trained.is_file() || has_test && !tested.is_file() {
        return Ok(false);
    }
    let trained: Training = read_json(&trained)?;
    row.validation = trained.validation_quality;
    if has_test {
        row.test = Some(read_json::<Evaluated>(&tested)?.quality);
    }
    row.cost = trained.sample_macs / report.training_sample_macs.max(1.0) - 1.0;
    row.seconds = trained.seconds - report.training_seconds.unwrap_or(0.0);
    row.clock = clock(report, row.seconds);
    Ok(true)
}
