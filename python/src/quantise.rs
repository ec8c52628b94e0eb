//! Files with 8-bit integers, by the quantiser that Python has.

use std::error::Error;
use std::path::{Path, PathBuf};

use numpy::{IntoPyArray, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use secateur::quantise as by_others;
use secateur::quantise::{QuantiseError, QuantiseJob};
use secateur_net::{Host, HostData};

use crate::data::Data;
use crate::job::{self, Stop};
use crate::look::look_config;
use crate::settings::Words;

/// What a quantiser is calibrated on, batch by batch.
#[pyclass(frozen, module = "secateur._secateur")]
pub struct Samples(by_others::Samples);

#[pymethods]
impl Samples {
    /// Batches.
    fn __len__(&self) -> usize {
        self.0.n_batches()
    }

    /// Arrays by input, samples in front.
    fn batch<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyDict>> {
        let arrays = py.detach(|| self.0.batch(index));
        let arrays = arrays.map_err(|error| crate::error::raise(py, &error.into()))?;
        let by_input = PyDict::new(py);
        for (name, Host { shape, data }) in arrays {
            match data {
                HostData::Float(values) => {
                    by_input.set_item(name, values.into_pyarray(py).reshape(shape)?)?;
                }
                HostData::Int(values) => {
                    by_input.set_item(name, values.into_pyarray(py).reshape(shape)?)?;
                }
                HostData::Bool(values) => {
                    by_input.set_item(name, values.into_pyarray(py).reshape(shape)?)?;
                }
            }
        }
        Ok(by_input)
    }
}

/// An object with a `name`, and a method `quantise` of a model's file, the file to write and
/// [`Samples`].
pub struct Quantiser<'a> {
    pub object: &'a Py<PyAny>,
    /// Calls it in the thread of the user's; in this one if there is none.
    pub stop: Option<&'a Stop>,
}

impl by_others::Quantiser for Quantiser<'_> {
    fn name(&self) -> String {
        let name = Python::attach(|py| self.object.getattr(py, "name")?.extract(py));
        name.unwrap_or_else(|_| "the quantiser".to_string())
    }

    fn quantise(
        &self,
        model: &Path,
        output: &Path,
        samples: by_others::Samples,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let object = Python::attach(|py| self.object.clone_ref(py));
        let (model, output) = (model.to_path_buf(), output.to_path_buf());
        let call = move |py: Python<'_>| {
            object.call_method1(py, "quantise", (model, output, Samples(samples)))?;
            Ok(())
        };
        match self.stop {
            Some(stop) => stop.call(call, || ())?,
            None => Python::attach(call)?,
        }
        Ok(())
    }
}

/// Quantises a file; returns its figures as JSON, the text that people read, and the page.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "as Python names them")]
pub fn quantise(
    py: Python<'_>,
    model: PathBuf,
    output: PathBuf,
    data: Data,
    calibration_images: usize,
    run_dir: Option<PathBuf>,
    command: String,
    threads: Option<usize>,
    settings: Words,
    quantiser: Option<Py<PyAny>>,
) -> PyResult<(String, String, PathBuf)> {
    job::run(py, threads, None, |stop| {
        let object = quantiser.as_ref().ok_or(QuantiseError::NoQuantiser)?;
        let config = look_config(settings)?;
        let source = data.open(&config.data)?;
        let job = QuantiseJob {
            model: &model,
            output: &output,
            source: &source,
            data: &config.data,
            runtime: &config.runtime,
            calibration_images,
            run_dir: run_dir.as_deref(),
            command,
        };
        let quantiser = Quantiser {
            object,
            stop: Some(stop),
        };
        let outcome = job.run(&quantiser, &mut ())?;
        let found = serde_json::to_string(&outcome.quantised)?;
        Ok((found, outcome.quantised.to_string(), outcome.page))
    })
}
