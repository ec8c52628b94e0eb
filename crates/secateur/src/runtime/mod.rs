//! Engines that written files are checked and timed in.
//!
//! In this order: ONNX Runtime where it is found (`ORT_DYLIB_PATH`, or the package of the Python
//! at hand), tract, and for comparing our own interpreter. The Cargo feature `verify` builds the
//! first two.

mod feed;
#[cfg(feature = "verify")]
mod onnxruntime;
mod own;
pub(crate) mod panics;
#[cfg(feature = "verify")]
mod tract;

use std::path::Path;
use std::time::Duration;

use secateur_onnx::OnnxError;
use secateur_onnx::model::Model;
use thiserror::Error;

#[cfg(feature = "verify")]
pub(crate) use feed::Element;
pub(crate) use feed::{Feed, feeds, fixed_batch, given_batch, shapes_text};
pub use panics::panic_is_expected;

/// Why a model was not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The model is not of a kind that can be run on made-up inputs.
    #[error("cannot try `{model}`: {reason}")]
    Unfit {
        /// The file.
        model: String,
        /// What is in the way.
        reason: String,
    },
    /// No engine at hand runs it.
    #[error("no engine at hand runs `{model}`: {}", listed(.refusals))]
    Refused {
        /// The file.
        model: String,
        /// Each engine with what it said.
        refusals: Vec<(String, String)>,
    },
    /// There is no engine.
    #[error(
        "cannot run `{model}` in another engine: this build of secateur has none (Cargo feature \
         `verify`)"
    )]
    NotBuilt {
        /// The file.
        model: String,
    },
    /// The file itself.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
}

fn listed(refusals: &[(String, String)]) -> String {
    let each = refusals
        .iter()
        .map(|(engine, reason)| format!("{engine} said: {reason}"));
    each.collect::<Vec<_>>().join("; ")
}

/// Numbers of one output, widened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Output {
    /// False for whole numbers and truth values.
    pub is_float: bool,
    /// Flat.
    pub values: Vec<f64>,
}

/// An engine.
pub(crate) trait Runtime {
    /// Its name, version and threads.
    fn describe(&self) -> String;

    /// Loads a model of `n_nodes` nodes for these inputs, and optimises it.
    ///
    /// # Errors
    /// The engine's reason.
    fn load(
        &self,
        model: &Model,
        n_nodes: usize,
        feeds: &[Feed],
    ) -> Result<Box<dyn Inference>, String>;
}

/// A model that an engine has loaded, with its inputs.
pub(crate) trait Inference {
    /// Runs it once; returns every output.
    ///
    /// # Errors
    /// The engine's reason.
    fn run(&mut self) -> Result<Vec<Output>, String>;

    /// Time of one run.
    ///
    /// # Errors
    /// The engine's reason.
    fn time(&mut self) -> Result<Duration, String>;
}

/// Engines to compare outputs in, the best first.
pub(crate) fn for_comparing() -> Vec<Box<dyn Runtime>> {
    let mut engines = for_timing();
    engines.push(Box::new(own::Own));
    engines
}

/// Engines to time files in, the best first: others than our own, which is made for training.
pub(crate) fn for_timing() -> Vec<Box<dyn Runtime>> {
    #[allow(unused_mut)]
    let mut engines: Vec<Box<dyn Runtime>> = Vec::new();
    #[cfg(feature = "verify")]
    {
        match onnxruntime::OnnxRuntime::find() {
            Ok(found) => engines.push(Box::new(found)),
            Err(reason) => tracing::info!("ONNX Runtime is not used: {reason}"),
        }
        engines.push(Box::new(tract::Tract));
    }
    engines
}

/// Calls `each` with one engine after the other until one succeeds.
///
/// # Errors
/// [`RuntimeError::Refused`] with what every engine said, [`RuntimeError::NotBuilt`] without one.
pub(crate) fn first_that_runs<T>(
    engines: &[Box<dyn Runtime>],
    model: &Path,
    mut each: impl FnMut(&dyn Runtime) -> Result<T, String>,
) -> Result<T, RuntimeError> {
    let mut refusals = Vec::new();
    for engine in engines {
        match each(engine.as_ref()) {
            Ok(result) => return Ok(result),
            Err(reason) => {
                tracing::info!("{}: {reason}", engine.describe());
                refusals.push((engine.describe(), reason));
            }
        }
    }
    let model = model.display().to_string();
    Err(match refusals.is_empty() {
        true => RuntimeError::NotBuilt { model },
        false => RuntimeError::Refused { model, refusals },
    })
}

/// `2 threads`.
#[cfg_attr(not(feature = "verify"), allow(dead_code))]
fn threads_text(threads: usize) -> String {
    match threads {
        1 => "1 thread".to_string(),
        n => format!("{n} threads"),
    }
}
