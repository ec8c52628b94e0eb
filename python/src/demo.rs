//! The demo, step by step: between them the calling thread is the user's.

use std::path::PathBuf;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use secateur::demo::{self, DemoConfig};
use secateur::layered::over;
use secateur::report::terminal_table;

use crate::job;
use crate::observer::Told;
use crate::prune::Report;
use crate::settings::{Words, given};
use crate::train::Summary;

/// A demo in its folder, which is held until this goes.
#[pyclass(frozen, module = "secateur._secateur")]
pub struct Demo(demo::Demo);

#[pymethods]
impl Demo {
    #[new]
    fn begin(
        py: Python<'_>,
        data: PathBuf,
        output: PathBuf,
        settings: Words,
        command: String,
    ) -> PyResult<Self> {
        job::run(py, None, None, |_| {
            let config = over(DemoConfig::default(), &given::<DemoConfig>(settings)?)?;
            Ok(Self(demo::Demo::begin(&data, &output, config, command)?))
        })
    }

    /// Trains the network and writes it; returns its file and a summary as JSON.
    fn train(
        &self,
        py: Python<'_>,
        threads: Option<usize>,
        observer: Option<Py<PyAny>>,
    ) -> PyResult<(PathBuf, String)> {
        let summary = job::run_as_far_as_asked(py, threads, "after this step", |stop| {
            let trained = self.0.train(&mut Told::new(observer.as_ref(), stop))?;
            Ok(serde_json::to_string(&Summary::of(&trained))?)
        })?;
        Ok((self.0.net(), summary))
    }

    /// Prunes it in one of the modes; returns output, run folder and report.
    fn prune(
        &self,
        py: Python<'_>,
        mode: &str,
        threads: Option<usize>,
        observer: Option<Py<PyAny>>,
    ) -> PyResult<(PathBuf, PathBuf, Report)> {
        let runs = demo::runs();
        let run = runs
            .iter()
            .find(|run| run.name == mode)
            .ok_or_else(|| PyValueError::new_err(format!("no run `{mode}`")))?;
        let report = job::run(py, threads, Some("when the run is saved"), |stop| {
            let report = self.0.prune(run, &mut Told::new(observer.as_ref(), stop))?;
            Ok((serde_json::to_string(&report)?, terminal_table(&report)))
        })?;
        let files = self.0.files(run);
        Ok((files.output, files.run_dir, report))
    }
}
