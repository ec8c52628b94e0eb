//! Models in tract.

use std::time::{Duration, Instant};

use tract_onnx::prelude::*;

use super::Inference;
use super::panics::caught;

/// A model ready to run for one batch size.
pub(super) struct TractModel(Arc<TypedRunnableModel>);

/// Nodes up to which a model is optimised: tract's time for that grows with their square.
const MOST_OPTIMISED: usize = 1000;

/// Loads a model of `n_nodes` nodes for inputs of `shape`, and optimises it.
///
/// # Errors
/// tract's reason. On some models that it cannot run it panics, and a file that has been
/// written must not be lost sight of for that: the panic is a reason too.
pub(super) fn load(bytes: &[u8], n_nodes: usize, shape: &[usize]) -> Result<TractModel, String> {
    let load = || -> TractResult<InferenceModel> {
        tract_onnx::onnx()
            .model_for_read(&mut &*bytes)?
            .with_input_fact(0, f32::fact(shape).into())
    };
    // tract 0.23 cannot optimise a fully connected layer of one feature at batch 1
    // (its pass for einsums loses an axis); such a model runs as it was loaded.
    let optimised = || load()?.into_optimized()?.into_runnable();
    let as_loaded = || load()?.into_typed()?.into_runnable();
    let as_loaded = || caught(|| as_loaded().map_err(text));
    match n_nodes {
        0..=MOST_OPTIMISED => caught(|| optimised().map_err(text)).or_else(|_| as_loaded()),
        _ => as_loaded(),
    }
    .map(TractModel)
}

/// An error with its causes.
fn text(error: TractError) -> String {
    format!("{error:#}")
}

impl TractModel {
    fn outputs(&self, shape: &[usize], input: &[f32]) -> TractResult<TVec<TValue>> {
        let tensor = Tensor::from_shape(shape, input)?;
        self.0.run(tvec!(tensor.into()))
    }
}

impl Inference for TractModel {
    fn run(&self, shape: &[usize], input: &[f32]) -> Result<Vec<Vec<f32>>, String> {
        let floats = |output: &TValue| -> TractResult<Vec<f32>> {
            let view = output.to_plain_array_view::<f32>()?;
            Ok(view.iter().copied().collect())
        };
        caught(|| {
            let outputs = self.outputs(shape, input).map_err(text)?;
            outputs.iter().map(|o| floats(o).map_err(text)).collect()
        })
    }

    fn time(&self, shape: &[usize], input: &[f32]) -> Result<Duration, String> {
        caught(|| {
            let started = Instant::now();
            std::hint::black_box(self.outputs(shape, input).map_err(text)?);
            Ok(started.elapsed())
        })
    }
}
