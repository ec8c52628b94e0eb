//! Batch normalisation.
//!
//! Training uses the statistics of the batch (biased variance) and moves the
//! running ones; inference uses the running ones.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__BatchNormalization.html>
//! (opset 1, 6, 7, 9, 14, 15). Files exported for inference are trained with
//! batch statistics as well; the node in the file stays as it was.

use std::sync::{Arc, Mutex};

use burn::tensor::Tensor;
use secateur_cpu::conv::Activation;
use secateur_cpu::memory::Buffer;
use secateur_cpu::norm::{self, NormSpec, Saved};
use secateur_onnx::graph::Node;

use super::call::{Call, Planner, Rule};
use super::operator::{input_name, to_channels_first, to_channels_last};
use crate::error::Result;
use crate::extension::{FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::lock::lock;
use crate::pass::{BatchMoments, NormNames, Pass, Phase};
use crate::value::{Dense, Value};

/// Reads the names of a `BatchNormalization` node.
///
/// # Errors
/// [`crate::NetError::Graph`] if a parameter is missing.
pub fn norm_names(node: &Node) -> Result<NormNames> {
    Ok(NormNames {
        node: node.name.clone(),
        gamma: input_name(node, 1)?.to_string(),
        beta: input_name(node, 2)?.to_string(),
        mean: input_name(node, 3)?.to_string(),
        variance: input_name(node, 4)?.to_string(),
        epsilon: node.attr_f("epsilon", 1e-5),
        momentum: node.attr_f("momentum", 0.9),
    })
}

/// Normalises `[n, c, h, w]` with batch statistics and records them.
pub(super) fn normalise_batch(
    pass: &Pass<'_>,
    node: &str,
    norm: &NormNames,
    x: Tensor<4>,
) -> Result<Tensor<4>> {
    let [n, c, h, w] = x.dims();
    let gamma = pass.tensor(node, &norm.gamma)?.reshape([1, c, 1, 1]);
    let beta = pass.tensor(node, &norm.beta)?.reshape([1, c, 1, 1]);
    let count = n * h * w;
    let flat = x.clone().permute([1, 0, 2, 3]).reshape([c, count]);
    let mean = flat.mean_dim(1).reshape([1, c, 1, 1]);
    let centred = x - mean.clone();
    let squares = (centred.clone() * centred.clone())
        .permute([1, 0, 2, 3])
        .reshape([c, count]);
    let variance = squares.mean_dim(1).reshape([1, c, 1, 1]);
    let values =
        |t: &Tensor<4>| -> Vec<f32> { t.clone().inner().into_data().iter::<f32>().collect() };
    pass.record_moments(BatchMoments::new(
        norm,
        &values(&mean),
        &values(&variance),
        count,
    ));
    Ok(centred / (variance + norm.epsilon).sqrt() * gamma + beta)
}

/// A batch norm on its own.
#[derive(Debug)]
struct BatchNorm {
    names: NormNames,
}

/// Reads a `BatchNormalization` node.
///
/// # Errors
/// As [`norm_names`], and [`crate::NetError::Unsupported`] for computed parameters.
pub fn batch(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let names = norm_names(node)?;
    for (slot, name) in [&names.gamma, &names.beta, &names.mean, &names.variance]
        .into_iter()
        .enumerate()
    {
        if !planner.graph.initializers.contains_key(name) {
            return Err(planner.refuse(
                node,
                format!("takes input {} (`{name}`) from computed values", slot + 1),
            ));
        }
    }
    Ok(Box::new(BatchNorm { names }))
}

impl Rule for BatchNorm {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let (pass, node) = (call.pass, call.node);
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        let &[n, c, ref pixels @ ..] = dims.as_slice() else {
            return Err(call.misfit("[n, c, ...]", format!("{dims:?}")));
        };
        let names = &self.names;
        if pass.shape(node, &names.gamma)?.iter().product::<usize>() != c {
            return Err(call.misfit(
                format!("{} channels", pass.shape(node, &names.gamma)?.len()),
                format!("{dims:?}"),
            ));
        }
        // Features count as images of one pixel, values of any other rank as images of one row.
        let pixels: usize = pixels.iter().product();
        let image = match value {
            Value::Image(_) => value.clone(),
            other => Value::Dense(other.dense(&pass.device).reshape(&[n, c, 1, pixels])),
        };
        let x = image.image(node, &pass.device)?;
        let y = match pass.phase {
            Phase::Training if pass.engine.is_fused() => self.train_fused(pass, node, &x)?,
            Phase::Training => {
                to_channels_last(normalise_batch(pass, node, names, to_channels_first(x))?)
            }
            Phase::Inference => {
                let get = |name: &str| -> Result<Tensor<4>> {
                    Ok(pass.tensor(node, name)?.reshape([1, 1, 1, c]))
                };
                let deviation = (get(&names.variance)? + names.epsilon).sqrt();
                let scale = get(&names.gamma)? / deviation;
                let shift = get(&names.beta)? - get(&names.mean)? * scale.clone();
                x * scale + shift
            }
        };
        Ok(match value {
            Value::Image(_) => Value::Image(y),
            _ => Value::Dense(Value::Image(y).dense(&pass.device).reshape(&dims)),
        })
    }
}

impl BatchNorm {
    fn train_fused(&self, pass: &Pass<'_>, node: &str, x: &Tensor<4>) -> Result<Tensor<4>> {
        let [n, h, w, c] = x.dims();
        let names = &self.names;
        let call = Arc::new(NormCall {
            spec: NormSpec {
                n,
                pixels: h * w,
                c,
                eps: names.epsilon,
                activation: Activation::None,
            },
            saved: Mutex::default(),
        });
        let y = FusedInputs::new(x.clone())
            .with(1, Some(pass.tensor(node, &names.gamma)?))
            .with(2, Some(pass.tensor(node, &names.beta)?))
            .run(call.clone());
        let saved = lock(&call.saved);
        if let Some(saved) = saved.as_ref() {
            let moments = BatchMoments::new(names, &saved.mean, &saved.var, n * h * w);
            pass.record_moments(moments);
        }
        drop(saved);
        Ok(Dense::from_untyped(y, &[n, h, w, c]).tensor())
    }
}

#[derive(Debug)]
struct NormCall {
    spec: NormSpec,
    saved: Mutex<Option<Saved>>,
}

impl FusedOp for NormCall {
    fn output_shape(&self) -> Vec<usize> {
        vec![self.spec.n, 1, self.spec.pixels, self.spec.c]
    }

    fn forward(&self, [x, gamma, beta, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let mut y = Buffer::get(x.len());
        let saved = norm::forward_train(&self.spec, x, None, gamma, beta, &mut y, None);
        *lock(&self.saved) = Some(saved);
        y.into()
    }

    fn backward(
        &self,
        [x, gamma, beta, ..]: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        _: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let mut gradients = InputGradients::default();
        let saved = lock(&self.saved);
        let Some(saved) = saved.as_ref() else {
            return gradients;
        };
        let mut dx = Buffer::get(x.len());
        let own = norm::backward(
            &self.spec, x, None, gamma, beta, saved, dy, &mut dx, None, None,
        );
        gradients[0] = Some(dx);
        gradients[1] = Some(Buffer::from(own.dgamma.as_slice()));
        gradients[2] = Some(Buffer::from(own.dbeta.as_slice()));
        gradients
    }
}
