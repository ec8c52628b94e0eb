//! Batch normalisation that no convolution precedes, through stock Burn.
//!
//! Training uses the statistics of the batch (biased variance) and moves the
//! running ones; inference uses the running ones.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__BatchNormalization.html>
//! (opset 1, 6, 7, 9, 14, 15). Files exported for inference are trained with
//! batch statistics as well; the node in the file stays as it was.

use burn::tensor::Tensor;
use secateur_onnx::graph::Node;

use super::conv_block::NormNames;
use super::{Operator, input_name, to_channels_first, to_channels_last};
use crate::error::Result;
use crate::interpreter::{BatchMoments, Mode, Pass};
use crate::value::Value;

impl NormNames {
    /// Reads a `BatchNormalization` node.
    ///
    /// # Errors
    /// [`crate::NetError::Graph`] if a parameter is missing.
    pub fn new(node: &Node) -> Result<Self> {
        Ok(Self {
            node: node.name.clone(),
            gamma: input_name(node, 1)?.to_string(),
            beta: input_name(node, 2)?.to_string(),
            mean: input_name(node, 3)?.to_string(),
            variance: input_name(node, 4)?.to_string(),
            epsilon: node.attr_f("epsilon", 1e-5),
            momentum: node.attr_f("momentum", 0.9),
        })
    }
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
pub struct BatchNorm {
    input: String,
    output: String,
    norm: NormNames,
}

impl BatchNorm {
    /// Reads a `BatchNormalization` node.
    ///
    /// # Errors
    /// As [`NormNames::new`].
    pub fn new(node: &Node) -> Result<Self> {
        Ok(Self {
            input: input_name(node, 0)?.to_string(),
            output: node.outputs[0].clone(),
            norm: NormNames::new(node)?,
        })
    }
}

impl Operator for BatchNorm {
    fn node(&self) -> &str {
        &self.norm.node
    }

    fn inputs(&self) -> Vec<&str> {
        vec![&self.input]
    }

    fn output(&self) -> &str {
        &self.output
    }

    fn describe(&self) -> String {
        format!("BatchNorm from `{}`", self.norm.node)
    }

    fn forward(&self, pass: &Pass<'_>, inputs: &[Value]) -> Result<Value> {
        // Features are images of one pixel.
        let is_image = matches!(inputs[0], Value::Image(_));
        let x = match &inputs[0] {
            Value::Image(x) => to_channels_first(x.clone()),
            Value::Features(x) => {
                let [n, c] = x.dims();
                x.clone().reshape([n, c, 1, 1])
            }
        };
        let [n, c, ..] = x.dims();
        let node = &self.norm.node;
        let y = if pass.mode == Mode::Training {
            normalise_batch(pass, node, &self.norm, x)?
        } else {
            let get = |name: &str| -> Result<Tensor<4>> {
                Ok(pass.tensor(node, name)?.reshape([1, c, 1, 1]))
            };
            let deviation = (get(&self.norm.variance)? + self.norm.epsilon).sqrt();
            (x - get(&self.norm.mean)?) / deviation * get(&self.norm.gamma)? + get(&self.norm.beta)?
        };
        Ok(if is_image {
            Value::Image(to_channels_last(y))
        } else {
            Value::Features(y.reshape([n, c]))
        })
    }
}
