//! Which engines are at hand.

use std::path::{Path, PathBuf};

use secateur_search::config::{RuntimeConfig, RuntimeName};

use super::{Runtime, RuntimeError, own};
#[cfg(feature = "verify")]
use super::{onnxruntime, tract};

/// The engines that files are checked and timed in: all at hand, or one that is named.
#[derive(Debug, Clone)]
pub struct Engines {
    only: Option<RuntimeName>,
    ort_lib: Option<PathBuf>,
    threads: usize,
}

impl Default for Engines {
    /// All at hand.
    fn default() -> Self {
        Self {
            only: None,
            ort_lib: None,
            threads: rayon::current_num_threads(),
        }
    }
}

impl Engines {
    /// What the settings ask for.
    ///
    /// # Errors
    /// [`RuntimeError::NotFound`] if the engine or the library that they name is not there.
    pub fn of(config: &RuntimeConfig) -> Result<Self, RuntimeError> {
        let engines = Self {
            only: config.engine,
            ort_lib: config.ort_lib.as_ref().map(PathBuf::from),
            ..Self::default()
        };
        if let Some(name) = engines.only {
            drop(engines.get(name)?);
        }
        // A library that is named must be there, whichever engine is asked for.
        if engines.ort_lib.is_some() {
            drop(engines.get(RuntimeName::OnnxRuntime)?);
        }
        Ok(engines)
    }

    /// The same engines with so many threads; tract takes one.
    #[must_use]
    pub fn with_threads(self, threads: Option<usize>) -> Self {
        Self {
            threads: threads.unwrap_or(self.threads),
            ..self
        }
    }

    /// Engines to compare outputs in, the best first.
    pub(crate) fn for_comparing(&self) -> Result<Vec<Box<dyn Runtime>>, RuntimeError> {
        self.among(&RuntimeName::ALL)
    }

    /// Engines to time files in, the best first: unless it is asked for, others than our own, which
    /// is made for training.
    pub(crate) fn for_timing(&self) -> Result<Vec<Box<dyn Runtime>>, RuntimeError> {
        self.among(&[RuntimeName::OnnxRuntime, RuntimeName::Tract])
    }

    /// ONNX Runtime.
    ///
    /// # Errors
    /// [`RuntimeError::NotFound`]
    pub(crate) fn onnx_runtime(&self) -> Result<Box<dyn Runtime>, RuntimeError> {
        self.get(RuntimeName::OnnxRuntime)
    }

    /// The same without others.
    pub(crate) fn only_onnx_runtime(&self) -> Self {
        Self {
            only: Some(RuntimeName::OnnxRuntime),
            ..self.clone()
        }
    }

    fn among(&self, names: &[RuntimeName]) -> Result<Vec<Box<dyn Runtime>>, RuntimeError> {
        if let Some(name) = self.only {
            return Ok(vec![self.get(name)?]);
        }
        let found = names.iter().filter_map(|&name| match self.get(name) {
            Ok(engine) => Some(engine),
            Err(error) => {
                tracing::info!("it is not used: {error}");
                None
            }
        });
        Ok(found.collect())
    }

    fn get(&self, name: RuntimeName) -> Result<Box<dyn Runtime>, RuntimeError> {
        let found = match name {
            RuntimeName::OnnxRuntime => onnx_runtime(self.ort_lib.as_deref(), self.threads),
            RuntimeName::Tract => tract(),
            RuntimeName::Own => Ok(Box::new(own::Own) as Box<dyn Runtime>),
        };
        found.map_err(|reason| RuntimeError::NotFound {
            engine: name.name(),
            reason,
        })
    }
}

#[cfg(feature = "verify")]
fn onnx_runtime(library: Option<&Path>, threads: usize) -> Result<Box<dyn Runtime>, String> {
    let found = onnxruntime::OnnxRuntime::find(library, threads)?;
    Ok(Box::new(found))
}

#[cfg(feature = "verify")]
fn tract() -> Result<Box<dyn Runtime>, String> {
    Ok(Box::new(tract::Tract))
}

#[cfg(not(feature = "verify"))]
const NOT_BUILT: &str = "this build of secateur has only its own (Cargo feature `verify`)";

#[cfg(not(feature = "verify"))]
fn onnx_runtime(_: Option<&Path>, _: usize) -> Result<Box<dyn Runtime>, String> {
    Err(NOT_BUILT.to_string())
}

#[cfg(not(feature = "verify"))]
fn tract() -> Result<Box<dyn Runtime>, String> {
    Err(NOT_BUILT.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_is_asked_for_is_the_only_one() {
        let config = RuntimeConfig {
            engine: Some(RuntimeName::Own),
            ..RuntimeConfig::default()
        };
        let engines = Engines::of(&config).unwrap();
        for found in [engines.for_timing(), engines.for_comparing()] {
            let names: Vec<String> = found.unwrap().iter().map(|e| e.describe()).collect();
            assert_eq!(names.len(), 1);
            assert!(names[0].starts_with("secateur's own"), "{names:?}");
        }
    }
}
