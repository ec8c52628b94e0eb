//! Other programs' engines for inference: what a written file is checked and timed in.
//!
//! Today that is tract, built in by the Cargo feature `verify`. Without it every model is
//! refused with [`RuntimeError::NotBuilt`], and callers say what was therefore not done.

#[cfg(feature = "verify")]
mod panics;
#[cfg(feature = "verify")]
mod tract;

use std::path::Path;
use std::time::Duration;

use secateur_onnx::OnnxError;
use secateur_onnx::graph::{Dim, Graph};
use secateur_onnx::model::Model;
use thiserror::Error;

#[cfg(feature = "verify")]
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
    /// The engine cannot run it.
    #[error("cannot run `{model}` in {runtime}: {reason}")]
    Refused {
        /// The file.
        model: String,
        /// Name of the engine.
        runtime: &'static str,
        /// What it said.
        reason: String,
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

/// A model that an engine has loaded, for one batch size.
trait Inference {
    /// Runs one batch: `input` of `shape`, returns every output flat.
    ///
    /// # Errors
    /// The engine's reason.
    fn run(&self, shape: &[usize], input: &[f32]) -> Result<Vec<Vec<f32>>, String>;

    /// Time of one run.
    ///
    /// # Errors
    /// The engine's reason.
    fn time(&self, shape: &[usize], input: &[f32]) -> Result<Duration, String>;
}

/// A model ready to run in another engine.
pub(crate) struct LoadedModel {
    name: String,
    shape: Vec<usize>,
    inference: Box<dyn Inference>,
}

impl LoadedModel {
    /// Loads and optimises a model for batches of `batch` samples.
    ///
    /// # Errors
    /// See [`RuntimeError`].
    pub(crate) fn new(model: &Model, name: &Path, batch: usize) -> Result<Self, RuntimeError> {
        let name = name.display().to_string();
        let graph = Graph::from_model(model)?;
        let shape = input_shape(&graph, batch).map_err(|reason| RuntimeError::Unfit {
            model: name.clone(),
            reason,
        })?;
        let n_nodes = graph.nodes.len();
        // It holds all weights, decoded; loading makes copies of its own.
        drop(graph);
        let inference = load(model, &name, n_nodes, &shape)?;
        Ok(Self {
            name,
            shape,
            inference,
        })
    }

    /// Numbers of the input of one batch.
    pub(crate) fn input_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Runs one batch; `input` in the model's own layout. Returns every output flat; all must
    /// be floats.
    ///
    /// # Errors
    /// [`RuntimeError::Refused`] with the engine's reason.
    pub(crate) fn run(&self, input: &[f32]) -> Result<Vec<Vec<f32>>, RuntimeError> {
        let outputs = self.inference.run(&self.shape, input);
        outputs.map_err(|reason| self.refused(reason))
    }

    /// As [`Self::run`], for the time alone.
    ///
    /// # Errors
    /// [`RuntimeError::Refused`] with the engine's reason.
    pub(crate) fn time(&self, input: &[f32]) -> Result<Duration, RuntimeError> {
        let time = self.inference.time(&self.shape, input);
        time.map_err(|reason| self.refused(reason))
    }

    fn refused(&self, reason: String) -> RuntimeError {
        RuntimeError::Refused {
            model: self.name.clone(),
            runtime: NAME,
            reason,
        }
    }
}

/// The engine that this build holds.
pub(crate) const NAME: &str = "tract";

#[cfg(feature = "verify")]
fn load(
    model: &Model,
    name: &str,
    n_nodes: usize,
    shape: &[usize],
) -> Result<Box<dyn Inference>, RuntimeError> {
    let bytes = model.self_contained()?.to_bytes()?;
    match tract::load(&bytes, n_nodes, shape) {
        Ok(loaded) => Ok(Box::new(loaded)),
        Err(reason) => Err(RuntimeError::Refused {
            model: name.to_string(),
            runtime: NAME,
            reason,
        }),
    }
}

#[cfg(not(feature = "verify"))]
fn load(_: &Model, name: &str, _: usize, _: &[usize]) -> Result<Box<dyn Inference>, RuntimeError> {
    Err(RuntimeError::NotBuilt {
        model: name.to_string(),
    })
}

/// Most floats of an input that is made up to compare or time models: 1 GiB.
const MOST_INPUT: usize = 1 << 28;

/// Shape of the one input, batch first.
fn input_shape(graph: &Graph, batch: usize) -> Result<Vec<usize>, String> {
    let [input] = graph.inputs.as_slice() else {
        return Err(format!("expected one input, got {}", graph.inputs.len()));
    };
    let shape: Vec<usize> = input
        .shape
        .iter()
        .enumerate()
        .map(|(axis, dim)| match (axis, dim) {
            (0, _) => Ok(batch),
            (_, Dim::Fixed(size)) => Ok(*size),
            (_, other) => Err(format!("extent `{other}` of its input is not fixed")),
        })
        .collect::<Result<_, _>>()?;
    let floats = shape
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent));
    if floats.is_none_or(|n| n > MOST_INPUT) {
        return Err(format!("its input {shape:?} is too large to try"));
    }
    Ok(shape)
}
