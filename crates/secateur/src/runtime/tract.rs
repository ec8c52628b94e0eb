//! Models in tract.

use std::time::{Duration, Instant};

use secateur_onnx::model::Model;
use tract_onnx::prelude::*;

use super::panics::caught;
use super::{Element, Feed, Inference, Output, Runtime, threads_text};

/// The engine built in.
pub(super) struct Tract;

/// A model ready to run.
struct Loaded {
    model: Arc<TypedRunnableModel>,
    inputs: TVec<TValue>,
}

/// Nodes up to which a model is optimised: tract's time for that grows with their square.
const MOST_OPTIMISED: usize = 1000;

impl Runtime for Tract {
    fn describe(&self) -> String {
        format!("tract, {}", threads_text(1))
    }

    /// On some models that it cannot run tract panics, and a file that has been written must not
    /// be lost sight of for that: the panic is a reason too.
    fn load(
        &self,
        model: &Model,
        n_nodes: usize,
        feeds: &[Feed],
    ) -> Result<Box<dyn Inference>, String> {
        let inputs: TVec<TValue> = feeds
            .iter()
            .map(|feed| Ok(tensor(feed)?.into()))
            .collect::<Result<_, String>>()?;
        let bytes = bytes(model)?;
        let load = || -> TractResult<InferenceModel> {
            let mut model = tract_onnx::onnx().model_for_read(&mut bytes.as_slice())?;
            for (index, input) in inputs.iter().enumerate() {
                let fact = input.datum_type().fact(input.shape());
                model.set_input_fact(index, fact.into())?;
            }
            Ok(model)
        };
        // tract 0.23 cannot optimise a fully connected layer of one feature at batch 1
        // (its pass for einsums loses an axis); such a model runs as it was loaded.
        let optimised = || load()?.into_optimized()?.into_runnable();
        let as_loaded = || load()?.into_typed()?.into_runnable();
        let as_loaded = || caught(|| as_loaded().map_err(text));
        let model = match n_nodes {
            0..=MOST_OPTIMISED => caught(|| optimised().map_err(text)).or_else(|_| as_loaded()),
            _ => as_loaded(),
        }?;
        Ok(Box::new(Loaded { model, inputs }))
    }
}

fn bytes(model: &Model) -> Result<Vec<u8>, String> {
    let whole = model.self_contained().and_then(|model| model.to_bytes());
    whole.map_err(|error| error.to_string())
}

/// An error with its causes.
fn text(error: TractError) -> String {
    format!("{error:#}")
}

fn tensor(feed: &Feed) -> Result<Tensor, String> {
    let to = match feed.element {
        Element::F32 => f32::datum_type(),
        Element::F64 => f64::datum_type(),
        Element::F16 => f16::datum_type(),
        Element::Bf16 => return Err("it does not know bfloat16".to_string()),
        Element::I8 => i8::datum_type(),
        Element::I16 => i16::datum_type(),
        Element::I32 => i32::datum_type(),
        Element::I64 => i64::datum_type(),
        Element::U8 => u8::datum_type(),
        Element::U16 => u16::datum_type(),
        Element::U32 => u32::datum_type(),
        Element::U64 => u64::datum_type(),
        Element::Bool => bool::datum_type(),
    };
    let tensor = Tensor::from_shape(&feed.shape, &feed.values).map_err(text)?;
    Ok(tensor.cast_to_dt(to).map_err(text)?.into_owned())
}

fn output(value: &TValue) -> TractResult<Output> {
    let wide = value.cast_to::<f64>()?;
    let view = wide.to_plain_array_view::<f64>()?;
    Ok(Output {
        shape: value.shape().to_vec(),
        is_float: value.datum_type().is_float(),
        values: view.iter().copied().collect(),
    })
}

impl Inference for Loaded {
    fn run(&mut self) -> Result<Vec<Output>, String> {
        caught(|| {
            let outputs = self.model.run(self.inputs.clone()).map_err(text)?;
            outputs.iter().map(|o| output(o).map_err(text)).collect()
        })
    }

    fn time(&mut self) -> Result<Duration, String> {
        caught(|| {
            let inputs = self.inputs.clone();
            let started = Instant::now();
            std::hint::black_box(self.model.run(inputs).map_err(text)?);
            Ok(started.elapsed())
        })
    }
}
