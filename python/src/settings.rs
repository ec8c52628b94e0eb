//! Settings by their names as arguments.

use anyhow::{Result, anyhow};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use secateur::data::DataConfig;
use secateur::demo::DemoConfig;
use secateur::layered::{Given, LookConfig, arguments, keyword, named};
use secateur::train::TrainConfig;
use secateur_net::settings::{Setting, Settings};
use secateur_search::config::PruneConfig;

use crate::error::raise;

/// Arguments and the words of their values.
pub type Words = Vec<(String, Vec<String>)>;

/// Settings of a section from arguments.
///
/// # Errors
/// [`secateur::layered::UnknownSetting`] for the first name that no setting has.
pub fn given<S: Settings>(words: Words) -> Result<Vec<Given>> {
    let place = |(name, words): (String, Vec<String>)| Ok((named::<S>(&name)?.key, words));
    words.into_iter().map(place).collect()
}

/// What is declared of every setting of a job (`prune`, `train`, `data`, `look`, `demo`): argument, place in a
/// config, default, range, text and reason.
#[pyfunction]
pub fn declared(job: &str) -> PyResult<Vec<[String; 6]>> {
    let settings = match job {
        "prune" => arguments::<PruneConfig>(),
        "train" => arguments::<TrainConfig>(),
        "data" => arguments::<DataConfig>(),
        "look" => arguments::<LookConfig>(),
        "demo" => arguments::<DemoConfig>(),
        other => return Err(PyValueError::new_err(format!("no job `{other}`"))),
    };
    Ok(settings.iter().map(told).collect())
}

fn told(setting: &Setting) -> [String; 6] {
    let default = setting.unset.unwrap_or(setting.plain_default());
    let may_be = match setting.range {
        Some(range) => range.to_string(),
        None => {
            let names: Vec<&str> = setting.choices.iter().map(|(name, _)| *name).collect();
            names.join(", ")
        }
    };
    [
        keyword(setting),
        setting.key.clone(),
        default.to_string(),
        may_be,
        setting.text.clone(),
        setting.reason.clone(),
    ]
}

/// The place in a config of a setting of a pruning run that an argument names.
#[pyfunction]
pub fn setting_key(py: Python<'_>, name: &str) -> PyResult<String> {
    match named::<PruneConfig>(name) {
        Ok(setting) => Ok(setting.key),
        Err(error) => Err(raise(py, &anyhow!(error))),
    }
}
