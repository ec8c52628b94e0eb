//! Models in tract, an inference engine that is not ours.

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
        let fail = |reason: String| EngineError {
            model: name.clone(),
            reason,
        };
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
        let bytes = model.to_bytes().map_err(|e| fail(e.to_string()))?;
        let load = || -> TractResult<InferenceModel> {
            tract_onnx::onnx()
                .model_for_read(&mut bytes.as_slice())?
                .with_input_fact(0, f32::fact(&shape).into())
        };
        // tract 0.23 cannot optimise a fully connected layer of one feature at batch 1
        // (its pass for einsums loses an axis); such a model runs as it was loaded.
        let runnable = load()
            .and_then(|model| model.into_optimized()?.into_runnable())
            .or_else(|_| load()?.into_typed()?.into_runnable())
            .map_err(|e| fail(format!("{e:#}")))?;
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
        outputs.into_iter().next().ok_or_else(|| EngineError {
            model: self.name.clone(),
            reason: "it has no outputs".to_string(),
        })
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
        run().map_err(|e| EngineError {
            model: self.name.clone(),
            reason: format!("{e:#}"),
        })
    }
}
