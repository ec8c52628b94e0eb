//! Pruning, with training and without.

use std::path::{Path, PathBuf};

use anyhow::Result;
use pyo3::prelude::*;
use secateur::calibrate::Calibration;
use secateur::layered::{ModeName, Promise, over, parse_budgets, prune_config, read_config};
use secateur::one_shot::{OneShotJob, prune_one_shot};
use secateur::report::terminal_table;
use secateur::runtime::Engines;
use secateur::tensorboard::TensorBoard;
use secateur::{Files, Pruner};
use secateur_search::config::PruneConfig;

use crate::data::Data;
use crate::job::{self, Stop};
use crate::observer::Told;
use crate::settings::{Words, given};
use crate::trainer::Trainer;

/// Files and settings of a run.
#[derive(FromPyObject)]
pub struct Run {
    model: PathBuf,
    output: PathBuf,
    run_dir: PathBuf,
    resume: bool,
    /// `aec` or `ceca`; by the settings if there is none.
    mode: Option<String>,
    /// `params=0.4,0.14`.
    budget: Option<String>,
    max_drop: Option<f64>,
    config: Option<PathBuf>,
    settings: Words,
    agent: Option<PathBuf>,
    learn_into: Option<PathBuf>,
    tensorboard: Option<PathBuf>,
    /// What the report says of how the run was made.
    command: String,
    threads: Option<usize>,
}

/// A report as JSON, and the table that people read.
pub type Report = (String, String);

/// The main job, from file to file. `metric` is a function on the path of a network's file, `trainer`
/// trains recoveries ([`Trainer`]), `observer` is told how the run goes ([`Told`]).
#[pyfunction]
pub fn prune(
    py: Python<'_>,
    run: Run,
    data: Data,
    metric: Option<Py<PyAny>>,
    trainer: Option<Py<PyAny>>,
    observer: Option<Py<PyAny>>,
) -> PyResult<Report> {
    job::run(py, run.threads, Some("when the run is saved"), |stop| {
        let files = Files {
            model: run.model,
            output: run.output,
            run_dir: run.run_dir,
            resume: run.resume,
        };
        let own = files.run_dir.join("config.toml");
        let own = (files.resume && own.is_file()).then_some(own);
        let configs = own.iter().chain(&run.config).map(|path| read_config(path));
        let promise = Promise {
            mode: run.mode.as_deref().map(mode).transpose()?,
            max_drop: run.max_drop,
            budget: run.budget,
            goes_on: own.is_some(),
        };
        let given = given::<PruneConfig>(run.settings)?;
        let configs = configs.collect::<Result<Vec<_>, _>>()?;
        let has_agent = run.agent.is_some() || run.learn_into.is_some();
        let config = prune_config(&files.model, configs, &promise, &given, has_agent)?;
        let source = data.open(&config.data)?;
        let mut pruner = Pruner::with_config(config)
            .agent(run.agent.as_deref())
            .learn_into(run.learn_into.as_deref())
            .command(run.command);
        if let Some(metric) = &metric {
            pruner = pruner.measure(|file: &Path| number(stop, metric, file));
        }
        if let Some(trainer) = &trainer {
            pruner = pruner.trainer(Trainer::new(trainer, stop)?);
        }
        let mut told = Told::new(observer.as_ref(), stop);
        let report = match &run.tensorboard {
            None => pruner.run_files(&files, &source, &mut told)?,
            Some(folder) => {
                let mut board = TensorBoard::new(folder, &files.run_dir, &mut told)?;
                pruner.run_files(&files, &source, &mut board)?
            }
        };
        Ok((serde_json::to_string(&report)?, terminal_table(&report)))
    })
}

/// What a function of the user's own says of the network in a file.
fn number(stop: &Stop, metric: &Py<PyAny>, file: &Path) -> PyResult<f64> {
    let metric = Python::attach(|py| metric.clone_ref(py));
    let file = file.to_path_buf();
    stop.call(move |py| metric.bind(py).call1((file,))?.extract(), || ())
}

fn mode(name: &str) -> Result<ModeName> {
    match name {
        "aec" => Ok(ModeName::Aec),
        "ceca" => Ok(ModeName::Ceca),
        other => anyhow::bail!("there is no mode `{other}`: expected `aec` or `ceca`"),
    }
}

/// Cuts once, by the weights alone, or with `data` by what layers lose on them.
#[pyfunction]
pub fn prune_without_training(
    py: Python<'_>,
    run: Run,
    data: Option<Data>,
    calibration_images: usize,
    observer: Option<Py<PyAny>>,
) -> PyResult<Report> {
    job::run(py, run.threads, None, |stop| {
        let given = given::<PruneConfig>(run.settings)?;
        let names_policy = given.iter().any(|(key, _)| key == "search.policy");
        let config = over(PruneConfig::default(), &given)?;
        let source = data.map(|data| data.open(&config.data)).transpose()?;
        let engines = Engines::of(&config.runtime)?;
        let budget = run.budget.unwrap_or_default();
        let ranking = OneShotJob::ranking_of(&config, names_policy, source.is_some())?;
        let budgets = parse_budgets(&budget, &run.model, &config, &[])?;
        let calibration = source.as_ref().map(|source| Calibration {
            source,
            data: &config.data,
            inputs: calibration_images,
        });
        let files = (&*run.model, &*run.output);
        let job = OneShotJob::of_config(&config, ranking, files, &budgets, calibration, &engines);
        let report = prune_one_shot(&job, &mut Told::new(observer.as_ref(), stop))?;
        Ok((serde_json::to_string(&report)?, report.table()))
    })
}
