//! From graph nodes to steps: which operator runs where, and what is fused.
//!
//! Convolutions take in what follows them (`fusing`), linear layers a bias and a ReLU.

use std::collections::HashSet;

use secateur_onnx::graph::{Graph, Node};
use secateur_onnx::ops::is_quantised;

use super::fusing::{Fusing, Readers};
use super::step::Step;
use crate::error::Result;
use crate::ops::{General, Linear, Planner, SPLIT, lookup, split};
use crate::weights::trained_parameters;

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
    if let Some(node) = nodes.iter().find(|node| is_quantised(node)) {
        let reason = "takes quantised numbers, which cannot be trained: prune the float file, then \
                      quantise";
        return Err(planner.refuse(node, reason));
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
            computed.insert(step.output().to_string());
            steps.push(step);
            continue;
        }
        if node.op_type == SPLIT && node.is_standard() {
            for (index, name) in node.outputs.iter().enumerate() {
                if readers.is_read(name) {
                    let part = split(&planner, node, index)?;
                    steps.push(Step::Other(Box::new(General::new(node, index, part))));
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
            steps.push(Step::Other(Box::new(General::new(node, 0, rule))));
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
