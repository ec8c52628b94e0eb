//! From graph nodes to steps: which operator runs where, and what is fused.
//!
//! Convolutions take in what follows them (`fusing`), linear layers a bias and a ReLU.
//! A softmax at the very end is left out: the loss works on the scores before it.

use std::collections::HashSet;

use secateur_onnx::graph::{Dim, Graph, Node};
use secateur_onnx::shape::{Shapes, infer_shapes};

use crate::error::{NetError, Result};
use crate::fusing::{Fusing, Readers};
use crate::ops::{
    Add, BatchNorm, Concat, Flatten, GlobalAveragePool, Identity, Linear, Operator, Pool, Relu,
    SUPPORTED, unsupported,
};

/// A planned graph.
pub struct Plan {
    /// Steps in order.
    pub steps: Vec<Box<dyn Operator>>,
    /// Name of the image input.
    pub input: String,
    /// Name of the class scores.
    pub output: String,
    /// `[c, h, w]`.
    pub input_shape: [usize; 3],
    /// Number of classes.
    pub n_classes: usize,
}

/// Plans `graph` for training.
///
/// # Errors
/// See [`crate::interpreter::Network::new`].
pub fn plan(graph: &Graph) -> Result<Plan> {
    let (input, input_shape) = image_input(graph)?;
    let mut output = match graph.outputs.first() {
        Some(output) => output.name.clone(),
        None => {
            return Err(NetError::Graph {
                place: format!("graph `{}`", graph.name),
                reason: "it has no outputs".to_string(),
            });
        }
    };
    // The final softmax, if any.
    let softmax = graph
        .nodes
        .iter()
        .find(|n| n.op_type == "Softmax" && n.outputs.first() == Some(&output));
    if let Some(node) = softmax {
        output = crate::ops::input_name(node, 0)?.to_string();
    }
    let fusing = Fusing {
        graph,
        readers: Readers::new(graph, &output),
        shapes: infer_shapes(graph, None)?,
    };
    let readers = &fusing.readers;
    let mut computed = HashSet::from([input.clone()]);
    let mut done: Vec<&str> = softmax.map(|n| n.name.as_str()).into_iter().collect();
    let mut steps: Vec<Box<dyn Operator>> = Vec::new();
    for node in &graph.nodes {
        if done.contains(&node.name.as_str()) {
            continue;
        }
        let step: Box<dyn Operator> = match node.op_type.as_str() {
            "Conv" => {
                let (block, taken) = fusing.conv_block(node, &computed)?;
                done.extend(taken);
                Box::new(block)
            }
            "Gemm" | "MatMul" => {
                let mut linear = Linear::new(graph, node)?;
                let mut value = node.outputs[0].as_str();
                if linear.accepts_bias()
                    && let Some(next) = readers.only(value, "Add")
                    && let Some(bias) = stored_vector(graph, next)
                {
                    linear.fuse_bias(next, bias);
                    done.push(&next.name);
                    value = &next.outputs[0];
                }
                if let Some(next) = readers.only(value, "Relu") {
                    linear.fuse_relu(next);
                    done.push(&next.name);
                }
                Box::new(linear)
            }
            "BatchNormalization" => Box::new(BatchNorm::new(node)?),
            "Relu" => Box::new(Relu::new(node)?),
            "MaxPool" | "AveragePool" => Box::new(Pool::new(graph, node)?),
            "GlobalAveragePool" => Box::new(GlobalAveragePool::new(node)?),
            "Flatten" if matches!(node.attr_i("axis", 1), 1 | -3) => Box::new(Flatten::new(node)?),
            "Reshape" if flattens(graph, node) => Box::new(Flatten::new(node)?),
            "Add"
                if node
                    .inputs
                    .iter()
                    .flatten()
                    .all(|n| !graph.initializers.contains_key(n)) =>
            {
                Box::new(Add::new(node)?)
            }
            "Concat" => Box::new(Concat::new(graph, node)?),
            "Identity" | "Dropout" => Box::new(Identity::new(node)?),
            "Constant" => continue,
            op_type if SUPPORTED.contains(&op_type) => {
                return Err(unsupported(
                    graph,
                    node,
                    "is used in a form that training lacks",
                ));
            }
            _ => return Err(unsupported(graph, node, "has no training rule")),
        };
        computed.insert(step.output().to_string());
        steps.push(step);
    }
    let n_classes = class_count(graph, &fusing.shapes)?;
    Ok(Plan {
        steps,
        input,
        output,
        input_shape,
        n_classes,
    })
}

fn image_input(graph: &Graph) -> Result<(String, [usize; 3])> {
    let [input] = graph.inputs.as_slice() else {
        return Err(NetError::Graph {
            place: format!("graph `{}`", graph.name),
            reason: format!("training takes one input, got {}", graph.inputs.len()),
        });
    };
    let dims: Vec<Option<usize>> = input
        .shape
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => Some(*size),
            _ => None,
        })
        .collect();
    match dims.as_slice() {
        &[_, Some(c), Some(h), Some(w)] => Ok((input.name.clone(), [c, h, w])),
        _ => Err(NetError::Graph {
            place: format!("input `{}`", input.name),
            reason: format!(
                "training takes [n, c, h, w] with fixed c, h, w; got {:?}",
                input.shape
            ),
        }),
    }
}

fn class_count(graph: &Graph, shapes: &Shapes) -> Result<usize> {
    let output = &graph.outputs[0];
    let last = shapes.get(&output.name).and_then(|dims| {
        dims.iter()
            .skip(1)
            .try_fold(1usize, |product, dim| match dim {
                Dim::Fixed(size) => product.checked_mul(*size),
                _ => None,
            })
    });
    last.filter(|&n| n > 0).ok_or_else(|| NetError::Graph {
        place: format!("output `{}`", output.name),
        reason: format!(
            "training takes one row of class scores per image, got {:?}",
            output.shape
        ),
    })
}

/// The stored vector of an `Add`, if it has one.
fn stored_vector<'g>(graph: &Graph, node: &'g Node) -> Option<&'g str> {
    node.inputs
        .iter()
        .flatten()
        .map(String::as_str)
        .find(|name| {
            graph.initializers.get(*name).is_some_and(|t| {
                t.shape.iter().filter(|&&d| d != 1).count() <= 1 && t.as_f32().is_some()
            })
        })
}

/// True for `Reshape` to `[n, everything]`.
fn flattens(graph: &Graph, node: &Node) -> bool {
    let target = node
        .inputs
        .get(1)
        .and_then(|name| name.as_ref())
        .and_then(|name| graph.initializers.get(name))
        .and_then(|t| t.as_i64());
    matches!(target.as_deref(), Some([_, _]))
}
