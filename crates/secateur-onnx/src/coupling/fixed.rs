//! Layers that no channel group belongs to: they are listed all the same, with the reason.

use std::collections::{HashMap, HashSet};

use super::group::{ChannelGroup, FixedLayer};
use crate::computed::{self, Constants};
use crate::extents::Inferred;
use crate::graph::{Graph, Node};
use crate::labels::LabelContext;
use crate::ops::{self, OpRule, Stored, WeightRole};

/// Operator sets of ONNX Runtime. Its optimiser puts several nodes into one of them.
const RUNTIME_SETS: &str = "com.microsoft";

/// Why a node without a rule is not followed.
pub(super) fn no_rule(node: &Node) -> String {
    let (domain, op_type) = (&node.domain, &node.op_type);
    match () {
        () if node.is_standard() => format!("no channel rule for operator {op_type}"),
        () if domain.starts_with(RUNTIME_SETS) => format!(
            "operator {domain}::{op_type} of ONNX Runtime's optimiser is not followed; prune the \
             file as it was before, then optimise"
        ),
        () => format!("custom operator {domain}::{op_type}"),
    }
}

/// All layers of a graph.
pub(super) fn layers(context: &LabelContext<'_>, known: &Inferred) -> Vec<FixedLayer> {
    let graph = context.graph();
    let layers = graph
        .nodes
        .iter()
        .filter(|node| is_layer(node, graph, context));
    layers
        .map(|node| {
            // A variant of a convolution is one too.
            let is_conv = ops::named(&node.op_type).is_some_and(OpRule::is_conv)
                || node.op_type.contains("Conv");
            let output = node
                .outputs
                .first()
                .and_then(|output| known.shapes.get(output));
            let channels = output
                .filter(|_| is_conv)
                .and_then(|shape| shape.get(1)?.fixed());
            FixedLayer {
                node: node.name.clone(),
                kernels: channels,
                is_conv,
                reason: String::new(),
            }
        })
        .collect()
}

/// True for convolutions, and for other nodes that read weights which the file stores.
fn is_layer(node: &Node, graph: &Graph, context: &LabelContext<'_>) -> bool {
    let Some(rule) = ops::lookup(node) else {
        let stored = node.inputs.iter().flatten();
        let mut stored = stored.filter_map(|name| graph.initializers.get(name));
        return stored.any(|tensor| tensor.shape.len() > 1);
    };
    let weights = Stored::Parameter(WeightRole::Weight);
    let mut slots = (0..node.inputs.len()).filter(|&slot| rule.stored(slot) == weights);
    rule.is_conv() || slots.any(|slot| context.is_stored(node, slot))
}

/// Those of `layers` that produce no group, with the reasons of their nodes.
pub(super) fn without_group(
    graph: &Graph,
    layers: Vec<FixedLayer>,
    groups: &[ChannelGroup],
    reasons: &HashMap<&str, String>,
) -> Vec<FixedLayer> {
    let producers = groups.iter().flat_map(|group| &group.producers);
    let producers: HashSet<&str> = producers.map(String::as_str).collect();
    let mut fixed = layers;
    fixed.retain(|layer| !producers.contains(layer.node.as_str()));
    if fixed.is_empty() {
        return fixed;
    }
    let constants = Constants::find(graph);
    let nodes = graph.nodes.iter().map(|node| (node.name.as_str(), node));
    let nodes: HashMap<&str, &Node> = nodes.collect();
    for layer in &mut fixed {
        let name = layer.node.as_str();
        let weights = nodes.get(name).and_then(|node| node.input(1));
        let computed = weights.filter(|weights| {
            layer.is_conv
                && reasons.contains_key(name)
                && !graph.initializers.contains_key(*weights)
        });
        layer.reason = match (computed, reasons.get(name)) {
            (Some(weights), _) if ops::lookup(nodes[name]).is_some() => {
                computed::why_not_stored(&constants, weights).to_string()
            }
            (_, Some(reason)) => reason.clone(),
            (_, None) => "the channels that it gives are not followed; those that it reads may go"
                .to_string(),
        };
    }
    fixed
}
