//! Reads recurrent nodes: directions, functions, bounds.

use std::sync::Arc;

use secateur_onnx::graph::Node;

use super::cell::Cell;
use super::gru::Gru;
use super::lstm::Lstm;
use super::rnn::Rnn;
use super::{Direction, LENGTHS, Recurrent};
use crate::error::Result;
use crate::ops::call::{MultiRule, Planner, attr_floats, attr_texts};
use crate::ops::function::Function;

/// Reads an `LSTM`, `GRU` or `RNN` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed lengths and unknown functions.
pub fn recurrent(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn MultiRule>> {
    planner.require_host(node, LENGTHS)?;
    let reverse: &[bool] = match node.attr_s("direction").as_deref() {
        None | Some("forward") => &[false],
        Some("reverse") => &[true],
        Some("bidirectional") => &[false, true],
        Some(other) => return Err(planner.refuse(node, format!("has direction `{other}`"))),
    };
    let names: &[&str] = match node.op_type.as_str() {
        "LSTM" => &["Sigmoid", "Tanh", "Tanh"],
        "GRU" => &["Sigmoid", "Tanh"],
        _ => &["Tanh"],
    };
    let functions = functions(planner, node, names, reverse.len())?;
    let clip = node
        .attributes
        .get("clip")
        .map(|_| node.attr_f("clip", 0.0));
    let clip = clip.filter(|&bound| bound > 0.0);
    let cell = |f: &[Function]| -> Arc<dyn Cell> {
        match *f {
            [gate, new, output] => Arc::new(Lstm {
                functions: [gate, new, output],
                clip,
                input_forget: node.attr_i("input_forget", 0) != 0,
            }),
            [gate, new] => Arc::new(Gru {
                functions: [gate, new],
                clip,
                linear_before_reset: node.attr_i("linear_before_reset", 0) != 0,
            }),
            _ => Arc::new(Rnn {
                function: f[0],
                clip,
            }),
        }
    };
    let cells = functions.chunks_exact(names.len()).map(cell);
    let directions = cells
        .zip(reverse)
        .map(|(cell, &reverse)| Direction { cell, reverse });
    Ok(Box::new(Recurrent {
        directions: directions.collect(),
        batch_first: node.attr_i("layout", 0) != 0,
    }))
}

/// The functions of all directions. Their numbers are taken in order from the lists of the node,
/// by those that have one.
fn functions(
    planner: &Planner<'_>,
    node: &Node,
    defaults: &[&str],
    directions: usize,
) -> Result<Vec<Function>> {
    let names = match attr_texts(node, "activations") {
        Some(names) => names.to_vec(),
        None => defaults
            .iter()
            .map(ToString::to_string)
            .cycle()
            .take(defaults.len() * directions)
            .collect(),
    };
    if names.len() != defaults.len() * directions {
        return Err(planner.refuse(node, format!("has activations {names:?}")));
    }
    let mut alphas = attr_floats(node, "activation_alpha")
        .unwrap_or_default()
        .iter();
    let mut betas = attr_floats(node, "activation_beta")
        .unwrap_or_default()
        .iter();
    let mut alpha = |default: f32| alphas.next().copied().unwrap_or(default);
    let function = |name: &String| {
        Ok(match name.to_lowercase().as_str() {
            "relu" => Function::Relu,
            "tanh" => Function::Tanh,
            "sigmoid" => Function::Sigmoid,
            "softsign" => Function::Softsign,
            "softplus" => Function::Softplus,
            "leakyrelu" => Function::LeakyRelu(alpha(0.01)),
            "thresholdedrelu" => Function::ThresholdedRelu(alpha(1.0)),
            "elu" => Function::Elu(alpha(1.0)),
            "hardsigmoid" => {
                Function::HardSigmoid(alpha(0.2), betas.next().copied().unwrap_or(0.5))
            }
            _ => return Err(planner.refuse(node, format!("has activation `{name}`"))),
        })
    };
    names.iter().map(function).collect()
}
