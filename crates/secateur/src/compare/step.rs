//! The commands that make a run, or the network of one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use secateur_search::store::checksum;
use serde::{Deserialize, Serialize};

use super::error::CompareError;
use super::experiment::{Experiment, Kind, Network, Pruning};
use super::folder::{CHECKPOINT, Record, TESTED, TRAINED};
use super::plan::Job;
use crate::report::{NetworkFigures, RunReport, command_text, read_report};
use crate::train::TrainConfig;

/// A call of this program.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What stands behind the program's name.
    pub arguments: Vec<OsString>,
    /// Its settings, written before.
    pub settings: Option<(PathBuf, String)>,
    /// What is there when it is done.
    pub result: PathBuf,
    /// The result is what it prints.
    pub is_printed: bool,
}

impl Step {
    /// As a shell reads it.
    pub fn text(&self) -> String {
        let words = self.arguments.iter().map(|word| word.to_string_lossy());
        command_text(std::iter::once("secateur".into()).chain(words))
    }
}

/// What `secateur train --json` prints, as far as it counts here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Training {
    pub validation_quality: f64,
    pub sample_macs: f64,
    pub seconds: f64,
}

/// What `secateur eval --json` prints, as far as it counts here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Evaluated {
    pub quality: f64,
}

/// An experiment and its output folder.
#[derive(Debug, Clone, Copy)]
pub struct Workplace<'a> {
    /// The experiment.
    pub experiment: &'a Experiment,
    /// Where everything is written.
    pub out: &'a Path,
}

impl Workplace<'_> {
    /// The call that trains the network of a run, where it is not done.
    ///
    /// # Errors
    /// [`CompareError::OtherRun`] if the network was trained by another recipe.
    pub fn network_step(&self, job: Job) -> Result<Option<Step>, CompareError> {
        let network = self.experiment.network(job);
        let Some(folder) = self.experiment.network_folder(self.out, job) else {
            return Ok(None);
        };
        let build = network.recipe.build.iter();
        let build = build.flat_map(|(key, value)| [format!("--{key}"), value.clone()]);
        let mut arguments: Vec<OsString> = vec!["train".into()];
        arguments.extend(build.map(OsString::from));
        let config = self.network_training(job);
        let file = self.experiment.network_file(self.out, job);
        let step = self.train(network, arguments, &config, &file);
        self.network_record(job).check(&folder)?;
        Ok(not_done(step))
    }

    /// How the network of a run is trained.
    fn network_training(&self, job: Job) -> TrainConfig {
        let recipe = &self.experiment.network(job).recipe;
        let mut config = recipe.config.clone();
        if recipe.each_seed {
            config.seed = job.seed;
        }
        config
    }

    /// What the network of a run is made of.
    pub(super) fn network_record(&self, job: Job) -> Record {
        let build = &self.experiment.network(job).recipe.build;
        Record::of_network(build, text(&self.network_training(job)))
    }

    /// The next call that a run needs, given its network and what it depends on; `None` when it is
    /// done.
    ///
    /// # Errors
    /// [`CompareError`] if what is there was made by other settings or cannot be read.
    pub fn run_step(&self, job: Job) -> Result<Option<Step>, CompareError> {
        self.record(job)?
            .check(&self.experiment.folder(self.out, job))?;
        match &self.experiment.policy(job).kind {
            Kind::Prune(pruning) => Ok(not_done(self.prune(job, pruning)?)),
            Kind::Scratch { of } => self.scratch(job, Job { policy: *of, ..job }),
        }
    }

    /// What a run is made of.
    pub(super) fn record(&self, job: Job) -> Result<Record, CompareError> {
        let settings = match &self.experiment.policy(job).kind {
            Kind::Prune(pruning) => self.settings(job, pruning)?,
            Kind::Scratch { .. } => text(&self.experiment.network(job).recipe.config),
        };
        let file = self.experiment.network_file(self.out, job);
        let network = match fs_err::read(&file) {
            Ok(bytes) => Some(format!("{:016x}", checksum(bytes))),
            // It is trained later.
            Err(_) if self.experiment.network(job).file.is_none() => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Record::of_run(network, settings))
    }

    /// The settings of a run that prunes.
    fn settings(&self, job: Job, pruning: &Pruning) -> Result<String, CompareError> {
        let network = self.experiment.network(job);
        let settings = network.run_settings(self.experiment.promise(job), pruning, job.seed);
        let config = settings.map_err(|reason| CompareError::Experiment {
            file: self.experiment.file.clone(),
            line: None,
            reason,
        })?;
        Ok(text(&config))
    }

    fn prune(&self, job: Job, pruning: &Pruning) -> Result<Step, CompareError> {
        let folder = self.experiment.folder(self.out, job);
        let network = self.experiment.network(job);
        let (settings, run_dir) = (folder.join("settings.toml"), folder.join("run"));
        let mut arguments: Vec<OsString> = vec!["prune".into()];
        arguments.push(self.experiment.network_file(self.out, job).into());
        options(
            &mut arguments,
            [
                ("--data", network.data.as_path()),
                ("--config", &settings),
                ("-o", &folder.join("small.onnx")),
                ("--run-dir", &run_dir),
            ],
        );
        if let Some(agent) = &pruning.agent {
            options(&mut arguments, [("--agent", agent.as_path())]);
        }
        if run_dir.join(CHECKPOINT).is_file() {
            arguments.push("--resume".into());
        }
        Ok(Step {
            arguments: self.with_threads(arguments),
            settings: Some((settings, self.settings(job, pruning)?)),
            // It is written last.
            result: run_dir.join("report.html"),
            is_printed: false,
        })
    }

    /// New weights for each result of another run: trained, then judged on the test data.
    fn scratch(&self, job: Job, of: Job) -> Result<Option<Step>, CompareError> {
        let network = self.experiment.network(job);
        let folder = self.experiment.folder(self.out, job);
        let base = self.experiment.folder(self.out, of);
        let report = read_report(&base.join("run"))?;
        for after in &report.after {
            let file = folder.join(&after.file);
            let config = TrainConfig {
                epochs: epochs(&report, after),
                seed: job.seed,
                ..network.recipe.config.clone()
            };
            let mut arguments: Vec<OsString> = vec!["train".into(), "--fresh".into()];
            options(&mut arguments, [("--init", &*base.join(&after.file))]);
            let train = self.train(network, arguments, &config, &file);
            if let Some(step) = not_done(train) {
                return Ok(Some(step));
            }
            let has_test = after.test_quality.is_some();
            let test = has_test.then(|| self.eval(network, &file));
            if let Some(step) = test.and_then(not_done) {
                return Ok(Some(step));
            }
        }
        Ok(None)
    }

    /// A training whose settings and summary lie beside the network.
    fn train(
        &self,
        network: &Network,
        mut arguments: Vec<OsString>,
        config: &TrainConfig,
        file: &Path,
    ) -> Step {
        let settings = file.with_extension("toml");
        options(
            &mut arguments,
            [
                ("--data", network.data.as_path()),
                ("--config", &settings),
                ("-o", file),
            ],
        );
        arguments.push("--json".into());
        Step {
            arguments: self.with_threads(arguments),
            settings: Some((settings, text(config))),
            result: file.with_extension(TRAINED),
            is_printed: true,
        }
    }

    /// Reads the test data as the training read its own.
    fn eval(&self, network: &Network, file: &Path) -> Step {
        let config = file.with_extension("toml");
        let mut arguments: Vec<OsString> = vec!["eval".into(), file.into()];
        options(
            &mut arguments,
            [("--data", network.data.as_path()), ("--config", &config)],
        );
        arguments.extend(["--split", "test", "--json"].map(OsString::from));
        Step {
            arguments: self.with_threads(arguments),
            settings: None,
            result: file.with_extension(TESTED),
            is_printed: true,
        }
    }

    fn with_threads(&self, arguments: Vec<OsString>) -> Vec<OsString> {
        let threads = self.experiment.threads.to_string();
        let mut all: Vec<OsString> = vec!["--threads".into(), threads.into()];
        all.extend(arguments);
        all
    }
}

fn not_done(step: Step) -> Option<Step> {
    (!step.result.is_file()).then_some(step)
}

fn options<'a>(
    arguments: &mut Vec<OsString>,
    given: impl IntoIterator<Item = (&'a str, &'a Path)>,
) {
    for (option, path) in given {
        arguments.extend([option.into(), path.into()]);
    }
}

/// Settings as a config has them.
fn text<S: Serialize>(settings: &S) -> String {
    toml::to_string(settings).expect("settings are words and numbers in tables")
}

/// Passes over the training data for which a small network costs what the training of the given one
/// and the search have cost together.
fn epochs(report: &RunReport, small: &NetworkFigures) -> f64 {
    let samples = report.data.as_ref().map_or(1, |data| data.n_train);
    let total = report.training_sample_macs + report.search_sample_macs;
    // A sample's training counts three times its multiply-adds.
    total / (3.0 * small.size.macs as f64 * samples as f64)
}
