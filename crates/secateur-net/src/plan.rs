//! From graph nodes to steps: which operator runs where, and what is fused.
//!
//! Convolutions take in what follows them (`fusing`), linear layers a bias and a ReLU.
//! A softmax at the very end is left out: the loss works on the scores before it.

use std::collections::HashSet;

use secateur_onnx::graph::{Dim, Graph, Node, ValueInfo};

use crate::error::{NetError, Result};
use crate::fusing::{Fusing, Readers};
use crate::ops::{General, Linear, Operator, Planner, SPLIT, lookup, split};
use crate::weights::trained_parameters;

/// What a network for training takes and gives.
pub struct Task {
    /// Name of the image input.
    pub input: String,
    /// True if the file's images are `[n, h, w, c]`, as TensorFlow writes them.
    pub channels_last: bool,
    /// `[c, h, w]`
    pub input_shape: [usize; 3],
    /// Name of the class scores.
    pub output: String,
    /// Number of classes.
    pub n_classes: usize,
}

/// The nodes that `outputs` depend on, in order.
fn needed<'g>(graph: &'g Graph, outputs: &[&'g str]) -> Vec<&'g Node> {
    let mut values: HashSet<&str> = outputs.iter().copied().collect();
    let mut nodes: Vec<&Node> = Vec::new();
    for node in graph.nodes.iter().rev() {
        if node.outputs.iter().any(|o| values.contains(o.as_str())) {
            values.extend(node.inputs.iter().flatten().map(String::as_str));
            nodes.push(node);
        }
    }
    nodes.reverse();
    nodes
}

/// The steps that compute `outputs`.
///
/// # Errors
/// [`NetError::Unsupported`] names the first node without a training rule.
pub fn steps(graph: &Graph, outputs: &[&str]) -> Result<Vec<Box<dyn Operator>>> {
    let trained = trained_parameters(graph);
    let trained: HashSet<&str> = trained.keys().copied().collect();
    let mut planner = Planner::new(graph, &trained)?;
    let nodes = needed(graph, outputs);
    let readers = Readers::new(&nodes, outputs);
    let mut done: HashSet<&str> = HashSet::new();
    let mut computed: HashSet<String> = graph.inputs.iter().map(|i| i.name.clone()).collect();
    let mut steps: Vec<Box<dyn Operator>> = Vec::new();
    for node in nodes {
        if done.contains(node.name.as_str()) {
            continue;
        }
        let fusing = Fusing {
            planner: &planner,
            readers: &readers,
            computed: &computed,
        };
        if let Some(step) = fused(&fusing, &trained, node, &mut done)? {
            computed.insert(step.output().to_string());
            steps.push(step);
            continue;
        }
        if node.op_type == SPLIT && node.is_standard() {
            for (index, name) in node.outputs.iter().enumerate() {
                if readers.is_read(name) {
                    let part = split(&planner, node, index)?;
                    steps.push(Box::new(General::new(node, index, part)));
                }
            }
        } else {
            let Some(read) = lookup(node) else {
                return Err(planner.refuse(node, "has no training rule"));
            };
            if let Some(extra) = node.outputs[1..].iter().find(|name| readers.is_read(name)) {
                return Err(planner.refuse(
                    node,
                    format!("has a further output `{extra}` that is read, which training lacks"),
                ));
            }
            let rule = read(&planner, node)?;
            steps.push(Box::new(General::new(node, 0, rule)));
        }
        planner.note(node);
        computed.extend(node.outputs.iter().cloned());
    }
    Ok(steps)
}

/// The step of a convolution or linear layer with what follows it, if `node` is one.
fn fused<'g>(
    fusing: &Fusing<'_, 'g>,
    trained: &HashSet<&str>,
    node: &'g Node,
    done: &mut HashSet<&'g str>,
) -> Result<Option<Box<dyn Operator>>> {
    let (graph, readers) = (fusing.planner.graph, fusing.readers);
    let mut value = node.outputs[0].as_str();
    Ok(match node.op_type.as_str() {
        _ if !node.is_standard() => None,
        "Conv" => {
            let Some((block, taken)) = fusing.conv_block(node)? else {
                return Ok(None);
            };
            done.extend(taken);
            Some(Box::new(block))
        }
        "Gemm" | "MatMul" => {
            let Some(mut linear) = Linear::new(graph, node)? else {
                return Ok(None);
            };
            if linear.accepts_bias()
                && let Some(next) = readers.only(value, "Add")
                && let Some(bias) = stored_vector(graph, next, linear.c_out())
                && trained.contains(bias)
            {
                linear.fuse_bias(next, bias);
                done.insert(&next.name);
                value = &next.outputs[0];
            }
            if let Some(next) = readers.only(value, "Relu") {
                linear.fuse_relu(next);
                done.insert(&next.name);
            }
            Some(Box::new(linear))
        }
        _ => None,
    })
}

fn task_error(place: String, reason: String) -> NetError {
    NetError::Task { place, reason }
}

/// Names and shapes, for people.
fn listed(values: &[ValueInfo]) -> String {
    let one = |value: &ValueInfo| {
        let dims: Vec<String> = value.shape.iter().map(ToString::to_string).collect();
        format!("`{}` [{}]", value.name, dims.join(", "))
    };
    values.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What the network takes and gives, if it is one image and one row of class scores.
///
/// A softmax at the very end (also its logarithm) is left out: the loss works on the scores
/// before it.
///
/// # Errors
/// [`NetError::Task`] says what the file has instead.
pub fn task(graph: &Graph) -> Result<Task> {
    let place = || format!("graph `{}`", graph.name);
    let [input] = graph.inputs.as_slice() else {
        return Err(task_error(
            place(),
            format!(
                "training takes one input of images, the file has {}: {}",
                graph.inputs.len(),
                listed(&graph.inputs)
            ),
        ));
    };
    let [output] = graph.outputs.as_slice() else {
        return Err(task_error(
            place(),
            format!(
                "training takes one output of class scores, the file has {}: {}",
                graph.outputs.len(),
                listed(&graph.outputs)
            ),
        ));
    };
    let (input_shape, channels_last) = image_shape(input)?;
    let n_classes = class_count(graph, output)?;
    let last = graph
        .nodes
        .iter()
        .find(|node| node.outputs.first() == Some(&output.name))
        .filter(|node| {
            matches!(node.op_type.as_str(), "Softmax" | "LogSoftmax")
                && matches!(node.attr_i("axis", 1), 1 | -1)
        });
    let scores = match last {
        Some(node) => crate::ops::input_name(node, 0)?,
        None => &output.name,
    };
    Ok(Task {
        input: input.name.clone(),
        channels_last,
        input_shape,
        output: scores.to_string(),
        n_classes,
    })
}

/// `[c, h, w]`, and whether the file has the channels last.
fn image_shape(input: &ValueInfo) -> Result<([usize; 3], bool)> {
    let dims: Vec<Option<usize>> = input.shape.iter().map(Dim::fixed).collect();
    // Images have 1, 3 or 4 channels.
    let is_depth = |size: usize| matches!(size, 1 | 3 | 4);
    match *dims.as_slice() {
        [_, Some(h), Some(w), Some(c)] if is_depth(c) && !is_depth(h) => Ok(([c, h, w], true)),
        [_, Some(c), Some(h), Some(w)] => Ok(([c, h, w], false)),
        _ => Err(task_error(
            format!("input {}", listed(std::slice::from_ref(input))),
            "training takes images [n, c, h, w] with fixed c, h, w; an open height and width may \
             be in the metadata (`secateur.image_size`, `HxW`)"
                .to_string(),
        )),
    }
}

fn class_count(graph: &Graph, output: &ValueInfo) -> Result<usize> {
    let shapes = secateur_onnx::shape::infer_shapes(graph, None)?;
    let dims = shapes.get(&output.name).map_or(&[][..], Vec::as_slice);
    match dims {
        [_, Dim::Fixed(classes), rest @ ..]
            if *classes > 0 && rest.iter().all(|dim| dim.fixed() == Some(1)) =>
        {
            Ok(*classes)
        }
        _ => {
            let shape: Vec<String> = dims.iter().map(ToString::to_string).collect();
            Err(task_error(
                format!("output `{}` [{}]", output.name, shape.join(", ")),
                "training takes one row of class scores an image, [n, classes]".to_string(),
            ))
        }
    }
}

/// The stored vector of `c_out` values that an `Add` adds, if it does.
fn stored_vector<'g>(graph: &Graph, node: &'g Node, c_out: usize) -> Option<&'g str> {
    let names = node.inputs.iter().flatten().map(String::as_str);
    names.into_iter().find(|name| {
        let tensor = graph.initializers.get(*name);
        tensor.is_some_and(|t| {
            t.shape.last() == Some(&c_out) && t.len() == c_out && t.as_f32().is_some()
        })
    })
}
