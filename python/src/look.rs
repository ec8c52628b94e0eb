//! Looking at networks and data: inspect, evaluate, verify, time, and what was kept.

use std::path::Path;

use anyhow::{Result, bail};
use pyo3::prelude::*;
use secateur::bench::Bench;
use secateur::data::DataConfig;
use secateur::eval::{EvalJob, Part};
use secateur::inspect::{DataInspection, Inspection};
use secateur::kept::kept_kernels;
use secateur::latency::CHECKS;
use secateur::layered::{LookConfig, over};
use secateur::runtime::Engines;
use secateur::verify::verify_where_possible;
use secateur_onnx::model::Model;
use serde::Serialize;

use crate::data::Data;
use crate::job;
use crate::model::ModelInput;
use crate::settings::{Words, given};

/// A result as JSON, the text that people read, and what they should know.
type Told = (String, String, Vec<String>);

fn told(result: &impl Serialize, text: String, notes: &[String]) -> Result<Told> {
    Ok((serde_json::to_string(result)?, text, notes.to_vec()))
}

pub fn look_config(settings: Words) -> Result<LookConfig> {
    Ok(over(
        LookConfig::default(),
        &given::<LookConfig>(settings)?,
    )?)
}

fn data_config(settings: Words) -> Result<DataConfig> {
    Ok(over(
        DataConfig::default(),
        &given::<DataConfig>(settings)?,
    )?)
}

/// What a network is made of, and what can be done with it; with `latency`, what layers take by
/// their width.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "as Python names them")]
pub fn inspect(
    py: Python<'_>,
    model: ModelInput,
    allow_mixing: bool,
    plan: bool,
    latency: bool,
    latency_checks: Option<usize>,
    threads: Option<usize>,
    settings: Words,
) -> PyResult<Told> {
    job::run(py, threads, None, |_| {
        let LookConfig {
            data,
            runtime,
            latency: timing,
        } = look_config(settings)?;
        let mut read = model.read()?.prepared().with_mixing(allow_mixing);
        read.give_input_shapes(&data.input_shapes)?;
        let mut found = Inspection::new(model.path(), &read, plan, data.task)?;
        if latency {
            let checks = latency_checks.unwrap_or(CHECKS);
            found = found.with_latency(&read, &runtime, &timing, checks, &mut ())?;
        }
        told(&found, found.to_string(), &found.notes)
    })
}

/// What data are like; with a model, as it takes them.
#[pyfunction]
pub fn inspect_data(
    py: Python<'_>,
    data: Data,
    model: Option<ModelInput>,
    settings: Words,
) -> PyResult<Told> {
    job::run(py, None, None, |_| {
        let config = data_config(settings)?;
        let source = data.open(&config)?;
        let model = model.as_ref().map(ModelInput::read).transpose()?;
        let found = DataInspection::new(&source, model.as_ref(), &config)?;
        told(&found, found.to_string(), &found.notes)
    })
}

/// How good a network is on a part of the data.
#[pyfunction]
pub fn evaluate(
    py: Python<'_>,
    model: ModelInput,
    data: Data,
    original: Option<ModelInput>,
    split: &str,
    threads: Option<usize>,
    settings: Words,
) -> PyResult<Told> {
    job::run(py, threads, None, |_| {
        let config = data_config(settings)?;
        let source = data.open(&config)?;
        let original = original.as_ref().map(ModelInput::read).transpose()?;
        let job = EvalJob {
            model: (&model.path().to_string_lossy(), &model.read()?),
            original: original.as_ref(),
            source: &source,
            config: &config,
            part: match split {
                "test" => Part::Test,
                "validation" => Part::Validation,
                "train" => Part::Train,
                other => {
                    bail!("there is no part `{other}`: expected `test`, `validation` or `train`")
                }
            },
        };
        let result = job.run()?;
        told(&result, result.to_string(), &result.notes)
    })
}

/// A model with the sizes of its open inputs.
fn sized(model: &ModelInput, config: &LookConfig) -> Result<Model> {
    let mut read = model.read()?;
    read.give_input_shapes(&config.data.input_shapes)?;
    Ok(read)
}

/// Does a pruned file hold what it promises? The text says why outputs were not compared, if so.
#[pyfunction]
pub fn verify(
    py: Python<'_>,
    original: ModelInput,
    small: ModelInput,
    settings: Words,
) -> PyResult<(String, Option<String>)> {
    job::run(py, None, None, |_| {
        let config = look_config(settings)?;
        let engines = Engines::of(&config.runtime)?;
        let models = [sized(&original, &config)?, sized(&small, &config)?];
        let pair = [(original.path(), &models[0]), (small.path(), &models[1])];
        let (verdict, not_run) = verify_where_possible(pair[0], pair[1], &engines, &mut ())?;
        Ok((serde_json::to_string(&verdict)?, not_run))
    })
}

/// Latencies: a row each file, of a figure for each batch size, and notes.
#[pyfunction]
pub fn bench(
    py: Python<'_>,
    models: Vec<ModelInput>,
    batches: Vec<usize>,
    rounds: usize,
    threads: Option<usize>,
    settings: Words,
) -> PyResult<(String, Vec<String>)> {
    job::run(py, threads, None, |_| {
        if batches.contains(&0) || rounds == 0 {
            bail!("cannot time: batch sizes and rounds must be 1 or more");
        }
        let config = look_config(settings)?;
        let engines = Engines::of(&config.runtime)?;
        let read = models.iter().map(|model| sized(model, &config));
        let read = read.collect::<Result<Vec<_>>>()?;
        let paths = models.iter().map(ModelInput::path);
        let files: Vec<(&Path, &Model)> = paths.zip(&read).collect();
        let Bench { rows, notes } = secateur::bench::bench(&files, &batches, rounds, &engines)?;
        Ok((serde_json::to_string(&rows)?, notes))
    })
}

/// The kernels that each layer of the original has kept in a pruned network, as JSON.
#[pyfunction]
pub fn kept(py: Python<'_>, original: ModelInput, small: ModelInput) -> PyResult<String> {
    job::run(py, None, None, |_| {
        let (given, pruned) = (original.read()?, small.read()?);
        let layers = kept_kernels((original.path(), &given), (small.path(), &pruned))?;
        Ok(serde_json::to_string(&layers)?)
    })
}
