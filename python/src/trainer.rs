//! Recoveries that Python trains.

use std::collections::HashMap;
use std::error::Error;

use numpy::{PyArrayDyn, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use secateur_net::train::StepObserver;
use secateur_onnx::model::Model;
use secateur_search::environment::training::{OutsideData, OutsideTrainer, Values};

use crate::job::Stop;

/// A trainer of Python's did not train.
#[derive(Debug, thiserror::Error)]
#[error("cannot go on: the trainer failed on a network that was to train {steps} steps: {cause}")]
pub struct TrainerError {
    steps: usize,
    #[source]
    cause: PyErr,
}

/// An object with the numbers `samples` and `batch_size`, with `done`, the steps of the present training
/// so far, and a method `train` of a model's message, names of its tensors and steps, that gives arrays
/// by name.
pub struct Trainer<'a> {
    object: &'a Py<PyAny>,
    data: OutsideData,
    stop: &'a Stop,
}

impl<'a> Trainer<'a> {
    /// # Errors
    /// Where the object lacks a number.
    pub fn new(object: &'a Py<PyAny>, stop: &'a Stop) -> PyResult<Self> {
        let number = |name: &str| Python::attach(|py| object.getattr(py, name)?.extract(py));
        let data = OutsideData {
            samples: number("samples")?,
            batch_size: number("batch_size")?,
        };
        Ok(Self { object, data, stop })
    }

    /// Steps of the present training so far.
    fn done(&self) -> PyResult<usize> {
        Python::attach(|py| self.object.getattr(py, "done")?.extract(py))
    }
}

impl OutsideTrainer for Trainer<'_> {
    fn data(&self) -> OutsideData {
        self.data
    }

    fn train(
        &mut self,
        network: &Model,
        parameters: &[&str],
        steps: usize,
        watch: &mut dyn StepObserver,
    ) -> Result<Values, Box<dyn Error + Send + Sync>> {
        let message = network.self_contained()?.to_bytes()?;
        let names: Vec<String> = parameters.iter().map(ToString::to_string).collect();
        let object = Python::attach(|py| self.object.clone_ref(py));
        let train = move |py: Python<'_>| {
            let message = PyBytes::new(py, &message);
            let trained = object.call_method1(py, "train", (message, names, steps))?;
            arrays(trained.bind(py))
        };
        let mut told = 0;
        let meanwhile = || {
            let done = self.done().unwrap_or_default().min(steps);
            if done > told {
                told = done;
                watch.step(done - 1, steps, f32::NAN);
            }
        };
        let trained = self.stop.call(train, meanwhile);
        trained.map_err(|cause| TrainerError { steps, cause }.into())
    }
}

/// Values of arrays by name.
fn arrays(trained: &Bound<'_, PyAny>) -> PyResult<Values> {
    let arrays: HashMap<String, Bound<'_, PyArrayDyn<f32>>> = trained.extract()?;
    let values = |(name, array): (String, Bound<'_, PyArrayDyn<f32>>)| {
        // In the order of the indices, however the array lies in memory.
        let values = array.try_readonly()?.as_array().iter().copied().collect();
        Ok((name, values))
    };
    arrays.into_iter().map(values).collect()
}
