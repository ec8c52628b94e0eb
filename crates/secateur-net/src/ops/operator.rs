//! What a step of a plan is, and what all operators use.

use std::fmt::Debug;

use burn::tensor::Tensor;
use secateur_onnx::graph::{Graph, Node};

use crate::error::{NetError, Result};
use crate::pass::Pass;
use crate::value::Value;
use crate::weights::Weights;

/// One step of a network's plan.
pub trait Operator: Debug + Send + Sync {
    /// Name of the (first) node it stands for.
    fn node(&self) -> &str;

    /// Names of the values it reads.
    fn inputs(&self) -> Vec<&str>;

    /// Names of the values it writes: those of its outputs that are read.
    fn outputs(&self) -> Vec<&str>;

    /// One line for people: what runs here and which nodes were fused into it.
    fn describe(&self) -> String;

    /// Computes all [`Self::outputs`], in that order.
    fn forward(&self, pass: &Pass<'_>, inputs: &[Value]) -> Result<Vec<Value>>;

    /// True if it keeps the scale of what it gives in bounds: a normalisation.
    fn normalises(&self) -> bool {
        false
    }

    /// For inference: weights with batch norm folded in, if the operator has any.
    fn fold(&self, _weights: &Weights) -> Result<Option<Folded>> {
        Ok(None)
    }
}

/// Weights and bias of a convolution with its batch norm folded in.
#[derive(Debug, Clone)]
pub struct Folded {
    /// Weights, ONNX layout.
    pub weight: Vec<f32>,
    /// Bias, `[c_out]`.
    pub bias: Vec<f32>,
}

/// An "unsupported" error for `node`.
pub(crate) fn unsupported(graph: &Graph, node: &Node, reason: impl Into<String>) -> NetError {
    NetError::Unsupported {
        node: node.name.clone(),
        op_type: node.op_type.clone(),
        opset: graph.opset,
        reason: reason.into(),
    }
}

/// The name in input slot `slot`, or an error naming the node.
pub(crate) fn input_name(node: &Node, slot: usize) -> Result<&str> {
    node.inputs
        .get(slot)
        .and_then(|name| name.as_deref())
        .ok_or_else(|| NetError::Graph {
            place: format!("node `{}` ({})", node.name, node.op_type),
            reason: format!("input {slot} is missing"),
        })
}

/// `[n, h, w, c]` to `[n, c, h, w]`.
pub(crate) fn to_channels_first(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// `[n, c, h, w]` to `[n, h, w, c]`.
pub(crate) fn to_channels_last(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 2, 3, 1])
}
