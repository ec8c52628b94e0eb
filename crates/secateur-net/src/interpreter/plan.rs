//! From graph nodes to steps: which operator runs where, and what is fused.
//!
//! Convolutions take in what follows them (`fusing`), linear layers a bias and a ReLU, other batch norms an
//! activation.

use std::collections::HashSet;

use secateur_onnx::graph::{Graph, Node};
use secateur_onnx::ops::is_quantised;

use super::fusing::{Fusing, Readers};
use super::step::Step;
use crate::error::Result;
use crate::ops::{BatchNorm, ConvBlock, General, Linear, Planner, lookup};
use crate::weights::trained_parameters;

/// The nodes that `outputs` depend on, in order, those of subgraphs included.
pub(super) fn needed<'g>(graph: &'g Graph, outputs: &[&'g str]) -> Vec<&'g Node> {
    let mut values: HashSet<&str> = outputs.iter().copied().collect();
    let mut nodes: Vec<&Node> = Vec::new();
    for node in graph.nodes.iter().rev() {
        if node.outputs.iter().any(|o| values.contains(o.as_str())) {
            values.extend(node.reads());
            nodes.push(node);
        }
    }
    nodes.reverse();
    nodes
}

/// The steps that compute `outputs`.
///
/// # Errors
/// [`crate::NetError::Unsupported`] names the first node without a training rule.
pub fn steps(graph: &Graph, outputs: &[&str]) -> Result<Vec<Step>> {
    let trained = trained_parameters(graph);
    let trained: HashSet<&str> = trained.keys().copied().collect();
    let mut planner = Planner::new(graph, &trained)?;
    let nodes = needed(graph, outputs);
    let readers = Readers::new(&nodes, outputs);
    let mut done: HashSet<&str> = HashSet::new();
    let mut computed: HashSet<String> = graph.inputs.iter().map(|i| i.name.clone()).collect();
    let mut steps: Vec<Step> = Vec::new();
    for node in &nodes {
        refuse_quantised(&planner, node)?;
    }
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
            computed.extend(step.outputs().into_iter().map(str::to_string));
            steps.push(step);
            continue;
        }
        let slots = (0..node.outputs.len()).filter(|&slot| readers.is_read(&node.outputs[slot]));
        let step = general(&planner, node, slots.collect())?;
        steps.push(Step::Other(Box::new(step)));
        planner.note(node);
        computed.extend(node.outputs.iter().cloned());
    }
    Ok(steps)
}

/// Fails unless a step could give the output in `slot` of a node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] says what training lacks.
pub(super) fn check(planner: &Planner<'_>, node: &Node, slot: usize) -> Result<()> {
    refuse_quantised(planner, node)?;
    let is_layer = match node.op_type.as_str() {
        _ if !node.is_standard() => false,
        "Conv" => ConvBlock::new(planner, node)?.is_some(),
        "Gemm" | "MatMul" => Linear::new(planner.graph, node)?.is_some(),
        _ => false,
    };
    if !is_layer {
        general(planner, node, vec![slot])?;
    }
    Ok(())
}

/// The step that gives some outputs of a node.
fn general(planner: &Planner<'_>, node: &Node, slots: Vec<usize>) -> Result<General> {
    match lookup(node) {
        Some(build) => General::new(planner, node, slots, build),
        None => Err(planner.refuse(node, "has no training rule")),
    }
}

fn refuse_quantised(planner: &Planner<'_>, node: &Node) -> Result<()> {
    if !is_quantised(node) {
        return Ok(());
    }
    let reason = "takes quantised numbers, which cannot be trained: prune the float file, then \
                  quantise";
    Err(planner.refuse(node, reason))
}

/// The step of a convolution, linear layer or batch norm with what follows it, if `node` is one.
fn fused<'g>(
    fusing: &Fusing<'_, 'g>,
    trained: &HashSet<&str>,
    node: &'g Node,
    done: &mut HashSet<&'g str>,
) -> Result<Option<Step>> {
    let (graph, readers) = (fusing.planner.graph, fusing.readers);
    let mut value = node.outputs[0].as_str();
    Ok(match node.op_type.as_str() {
        _ if !node.is_standard() => None,
        "Conv" => {
            let Some((block, taken)) = fusing.conv_block(node)? else {
                return Ok(None);
            };
            done.extend(taken);
            Some(Step::Conv(Box::new(block)))
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
            Some(Step::Other(Box::new(linear)))
        }
        "BatchNormalization" if !readers.has_further_output(node) => {
            let mut norm = BatchNorm::new(fusing.planner, node)?;
            if let Some((next, activation)) = fusing.activation_after(value) {
                norm.fuse_activation(next, activation);
                done.insert(&next.name);
            }
            Some(Step::Other(Box::new(norm)))
        }
        _ => None,
    })
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
