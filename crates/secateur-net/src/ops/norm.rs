//! Batch normalisation.
//!
//! Training uses the statistics of the batch (biased variance) and moves the
//! running ones; inference uses the running ones.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__BatchNormalization.html>
//! (opset 1, 6, 7, 9, 14, 15). Files exported for inference are trained with
//! batch statistics as well; the node in the file stays as it was.

use std::sync::{Arc, Mutex};

use burn::tensor::{Tensor, activation};
use secateur_cpu::conv::Activation;
use secateur_cpu::memory::Buffer;
use secateur_cpu::norm::{self, NormSpec, Saved};
use secateur_onnx::graph::Node;

use super::call::{Call, Planner, Rule};
use super::operator::{Operator, input_name, to_channels_first, to_channels_last};
use crate::error::{NetError, Result};
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

/// A batch norm that no convolution takes in, with the ReLU that follows.
#[derive(Debug)]
pub struct BatchNorm {
    names: NormNames,
    input: String,
    output: String,
    activation: Activation,
    fused_node: Option<String>,
}

impl BatchNorm {
    /// Reads a `BatchNormalization` node.
    ///
    /// # Errors
    /// As [`norm_names`], and [`crate::NetError::Unsupported`] for computed parameters.
    pub fn new(planner: &Planner<'_>, node: &Node) -> Result<Self> {
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
        Ok(Self {
            names,
            input: input_name(node, 0)?.to_string(),
            output: node.outputs[0].clone(),
            activation: Activation::None,
            fused_node: None,
        })
    }

    /// Takes in the activation that follows.
    pub fn fuse_activation(&mut self, node: &Node, activation: Activation) {
        self.activation = activation;
        self.fused_node = Some(node.name.clone());
        self.output.clone_from(&node.outputs[0]);
    }

    fn run(&self, pass: &Pass<'_>, value: &Value) -> Result<Value> {
        let (names, node) = (&self.names, self.names.node.as_str());
        let dims = value.onnx_dims();
        let misfit = |expected: String| NetError::Shape {
            node: node.to_string(),
            expected,
            got: format!("{dims:?}"),
        };
        let &[n, c, ref pixels @ ..] = dims.as_slice() else {
            return Err(misfit("[n, c, ...]".to_string()));
        };
        let channels: usize = pass.shape(node, &names.gamma)?.iter().product();
        if channels != c {
            return Err(misfit(format!("{channels} channels")));
        }
        // Features count as images of one pixel, values of any other rank as images of one row.
        let pixels: usize = pixels.iter().product();
        let image = match value {
            Value::Image(_) => value.clone(),
            other => Value::Dense(other.dense(&pass.device).reshape(&[n, c, 1, pixels])),
        };
        let x = image.image(node, &pass.device)?;
        let y = match pass.phase {
            Phase::Training if pass.engine.is_fused() => self.train_fused(pass, &x)?,
            Phase::Training => {
                let y = normalise_batch(pass, node, names, to_channels_first(x))?;
                self.activated(to_channels_last(y))
            }
            Phase::Inference => {
                let get = |name: &str| -> Result<Tensor<4>> {
                    Ok(pass.tensor(node, name)?.reshape([1, 1, 1, c]))
                };
                let deviation = (get(&names.variance)? + names.epsilon).sqrt();
                let scale = get(&names.gamma)? / deviation;
                let shift = get(&names.beta)? - get(&names.mean)? * scale.clone();
                match pass.engine.is_fused() {
                    true => self.infer_fused(x, scale, shift),
                    false => self.activated(x * scale + shift),
                }
            }
        };
        Ok(match value {
            Value::Image(_) => Value::Image(y),
            _ => Value::Dense(Value::Image(y).dense(&pass.device).reshape(&dims)),
        })
    }

    fn activated(&self, x: Tensor<4>) -> Tensor<4> {
        match self.activation {
            Activation::None => x,
            Activation::Relu => activation::relu(x),
            Activation::Relu6 => x.clamp(0.0, 6.0),
            other => unreachable!("no plan fuses {other:?}"),
        }
    }

    fn spec(&self, [n, h, w, c]: [usize; 4]) -> NormSpec {
        NormSpec {
            n,
            pixels: h * w,
            c,
            eps: self.names.epsilon,
            activation: self.activation,
        }
    }

    fn train_fused(&self, pass: &Pass<'_>, x: &Tensor<4>) -> Result<Tensor<4>> {
        let dims = x.dims();
        let call = Arc::new(TrainingCall {
            spec: self.spec(dims),
            saved: Mutex::default(),
        });
        let names = &self.names;
        let y = FusedInputs::new(x.clone())
            .with(1, Some(pass.tensor(&names.node, &names.gamma)?))
            .with(2, Some(pass.tensor(&names.node, &names.beta)?))
            .run(call.clone());
        if let Some(saved) = lock(&call.saved).as_ref() {
            let count = call.spec.n * call.spec.pixels;
            let moments = BatchMoments::new(names, &saved.mean, &saved.var, count);
            pass.record_moments(moments);
        }
        Ok(Dense::from_untyped(y, &dims).tensor())
    }

    fn infer_fused(&self, x: Tensor<4>, scale: Tensor<4>, shift: Tensor<4>) -> Tensor<4> {
        let dims = x.dims();
        let call = Arc::new(InferenceCall(self.spec(dims)));
        let inputs = FusedInputs::new(x)
            .with(1, Some(scale))
            .with(2, Some(shift));
        Dense::from_untyped(inputs.run(call), &dims).tensor()
    }
}

impl Operator for BatchNorm {
    fn node(&self) -> &str {
        &self.names.node
    }

    fn inputs(&self) -> Vec<&str> {
        vec![&self.input]
    }

    fn outputs(&self) -> Vec<&str> {
        vec![&self.output]
    }

    fn describe(&self) -> String {
        let node = &self.names.node;
        match &self.fused_node {
            None => format!("BatchNormalization from `{node}`"),
            Some(other) => {
                let activation = match self.activation {
                    Activation::None => "",
                    Activation::Relu => " + ReLU",
                    _ => " + ReLU6",
                };
                format!("fused [BatchNorm{activation}] from `{node}`, `{other}`")
            }
        }
    }

    fn normalises(&self) -> bool {
        true
    }

    fn forward(&self, pass: &Pass<'_>, inputs: &[Value]) -> Result<Vec<Value>> {
        Ok(vec![self.run(pass, &inputs[0])?])
    }
}

/// The same for a node whose further outputs are read.
impl Rule for BatchNorm {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        self.run(call.pass, call.value(0)?)
    }
}

/// Reads a `BatchNormalization` node.
///
/// # Errors
/// As [`BatchNorm::new`].
pub fn batch(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(BatchNorm::new(planner, node)?))
}

/// x by a scale, and a shift; has no backward pass.
#[derive(Debug)]
struct InferenceCall(NormSpec);

impl FusedOp for InferenceCall {
    fn output_shape(&self) -> Vec<usize> {
        vec![self.0.n, 1, self.0.pixels, self.0.c]
    }

    fn forward(&self, [x, scale, shift, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let mut y = Buffer::get(x.len());
        norm::forward_inference(&self.0, x, None, scale, shift, &mut y);
        y.into()
    }

    fn backward(
        &self,
        _: [&[f32]; MAX_INPUTS],
        _: &[f32],
        _: [bool; MAX_INPUTS],
    ) -> InputGradients {
        unreachable!("inference runs without a tape")
    }
}

/// With the statistics of the batch.
#[derive(Debug)]
struct TrainingCall {
    spec: NormSpec,
    saved: Mutex<Option<Saved>>,
}

impl FusedOp for TrainingCall {
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
