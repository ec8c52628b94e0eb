//! Models as files or as bytes.

use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use secateur::data::metadata;
use secateur_onnx::OnnxError;
use secateur_onnx::model::Model;

use crate::job;

/// A model as Python gives it.
#[derive(FromPyObject)]
pub enum ModelInput {
    /// Its message, which stays where it is.
    Bytes(PyBackedBytes),
    /// Its file.
    File(PathBuf),
}

impl ModelInput {
    /// Reads it.
    ///
    /// # Errors
    /// [`OnnxError`] if it is no model.
    pub fn read(&self) -> Result<Model, OnnxError> {
        match self {
            Self::Bytes(bytes) => Model::from_bytes(bytes, None),
            Self::File(path) => Model::read(path),
        }
    }

    /// Where it lies; a name for what lies in memory.
    pub fn path(&self) -> &Path {
        match self {
            Self::Bytes(_) => Path::new("the given network"),
            Self::File(path) => path,
        }
    }
}

/// Does the model say how its inputs are normalised? Those that were trained or pruned here do.
#[pyfunction]
pub fn has_normalisation(py: Python<'_>, model: ModelInput) -> PyResult<bool> {
    job::run(py, None, None, |_| {
        Ok(model.read()?.metadata(metadata::NORMALISATION).is_some())
    })
}

/// The model as pruning takes it: what is computed from stored tensors alone is stored.
#[pyfunction]
pub fn prepared(py: Python<'_>, model: ModelInput) -> PyResult<Py<PyBytes>> {
    let bytes = job::run(py, None, None, |_| {
        Ok(model.read()?.prepared().self_contained()?.to_bytes()?)
    })?;
    Ok(PyBytes::new(py, &bytes).unbind())
}

/// Writes a model to another file, with its weights beside it where it has such.
#[pyfunction]
pub fn copy_model(py: Python<'_>, model: ModelInput, path: PathBuf) -> PyResult<()> {
    job::run(py, None, None, |_| Ok(model.read()?.write(&path)?))
}
