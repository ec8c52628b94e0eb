//! Models in tract, an inference engine that is not ours.

use std::fmt::Display;
use std::path::Path;

use secateur_onnx::graph::{Dim, Graph};
use secateur_onnx::model::Model;
use thiserror::Error;
use tract_onnx::prelude::*;

/// What tract said.
#[derive(Debug, Error)]
#[error("cannot run `{model}` in tract: {reason}")]
pub struct EngineError {
    model: String,
    reason: String,
}

impl EngineError {
    pub(crate) fn new(model: impl Display, reason: impl Into<String>) -> Self {
        Self {
            model: model.to_string(),
            reason: reason.into(),
        }
    }
}

/// A model ready to run for one batch size.
pub struct TractModel {
    name: String,
    runnable: Arc<TypedRunnableModel>,
    shape: Vec<usize>,
}

impl TractModel {
    /// Loads and optimises a model for batches of `batch`.
    ///
    /// # Errors
    /// [`EngineError`] with tract's reason.
    pub fn new(model: &Model, name: &Path, batch: usize) -> Result<Self, EngineError> {
        let name = name.display().to_string();
        let fail = |reason: String| EngineError::new(&name, reason);
        let graph = Graph::from_model(model).map_err(|e| fail(e.to_string()))?;
        let [input] = graph.inputs.as_slice() else {
            return Err(fail(format!(
                "expected one input, got {}",
                graph.inputs.len()
            )));
        };
        let shape: Vec<usize> = input
            .shape
            .iter()
            .enumerate()
            .map(|(axis, dim)| match (axis, dim) {
                (0, _) => Ok(batch),
                (_, Dim::Fixed(size)) => Ok(*size),
                (_, other) => Err(fail(format!("extent `{other}` of its input is not fixed"))),
            })
            .collect::<Result<_, _>>()?;
        let floats = shape
            .iter()
            .try_fold(1usize, |product, &extent| product.checked_mul(extent));
        if floats.is_none_or(|n| n > MOST_INPUT) {
            return Err(fail(format!("its input {shape:?} is too large to try")));
        }
        let whole = model.self_contained().map_err(|e| fail(e.to_string()))?;
        let bytes = whole.to_bytes().map_err(|e| fail(e.to_string()))?;
        drop(whole);
        let load = || -> TractResult<InferenceModel> {
            tract_onnx::onnx()
                .model_for_read(&mut bytes.as_slice())?
                .with_input_fact(0, f32::fact(&shape).into())
        };
        // tract 0.23 cannot optimise a fully connected layer of one feature at batch 1
        // (its pass for einsums loses an axis); such a model runs as it was loaded.
        let optimised = || load()?.into_optimized()?.into_runnable();
        let as_loaded = || load()?.into_typed()?.into_runnable();
        let runnable = match graph.nodes.len() {
            0..=MOST_OPTIMISED => caught(&optimised).or_else(|_| caught(&as_loaded)),
            _ => caught(&as_loaded),
        }
        .map_err(&fail)?;
        Ok(Self {
            name: name.clone(),
            runnable,
            shape,
        })
    }

    /// Shape of the input, batch first.
    pub fn input_shape(&self) -> &[usize] {
        &self.shape
    }

    /// Runs one batch; `input` in the model's own layout.
    ///
    /// # Errors
    /// [`EngineError`] with tract's reason.
    pub fn run(&self, input: &[f32]) -> Result<Vec<f32>, EngineError> {
        let outputs = self.run_all(input)?;
        let first = outputs.into_iter().next();
        first.ok_or_else(|| EngineError::new(&self.name, "it has no outputs"))
    }

    /// As [`Self::run`], with every output; all must be floats.
    ///
    /// # Errors
    /// [`EngineError`] with tract's reason.
    pub fn run_all(&self, input: &[f32]) -> Result<Vec<Vec<f32>>, EngineError> {
        let run = || -> TractResult<Vec<Vec<f32>>> {
            let tensor = Tensor::from_shape(&self.shape, input)?;
            let outputs = self.runnable.run(tvec!(tensor.into()))?;
            outputs
                .iter()
                .map(|output| {
                    Ok(output
                        .to_plain_array_view::<f32>()?
                        .iter()
                        .copied()
                        .collect())
                })
                .collect()
        };
        caught(&run).map_err(|reason| EngineError::new(&self.name, reason))
    }
}

/// Nodes up to which a model is optimised: tract's time for that grows with their square.
const MOST_OPTIMISED: usize = 1000;

/// Most floats of an input that is made up to compare or time models: 1 GiB.
const MOST_INPUT: usize = 1 << 28;

/// What `call` returns; its error, or its panic, as text. tract panics on some models that it
/// cannot run, and a file that has been written must not be lost sight of for that.
fn caught<T>(call: &dyn Fn() -> TractResult<T>) -> Result<T, String> {
    let said = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
    std::panic::set_hook(said);
    match result {
        Ok(result) => result.map_err(|error| format!("{error:#}")),
        Err(_) => Err("tract panicked".to_string()),
    }
}
