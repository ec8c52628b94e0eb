//! The walk along the graph that gives every value its labels.

use std::collections::HashMap;

use super::fixed;
use super::group::ChannelGroups;
use super::into_groups::into_groups;
use super::keep::Keep;
use crate::error::Result;
use crate::graph::{Graph, Node};
use crate::labels::{LabelContext, Role};
use crate::model::Tensor;
use crate::ops::{self, OpRule};
use crate::shape::infer;

impl ChannelGroups {
    /// Finds the groups of a graph.
    ///
    /// # Errors
    /// [`crate::OnnxError::Graph`] if shapes contradict each other.
    pub fn find(graph: &Graph) -> Result<Self> {
        Self::find_keeping(graph, &[])
    }

    /// As [`Self::find`], where groups that lie on any of `keeps` must stay.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn find_keeping(graph: &Graph, keeps: &[Keep]) -> Result<Self> {
        let known = infer(graph, None)?;
        let mut context = LabelContext::new(graph, &known);
        for input in &graph.inputs {
            context.pin_value(&input.name, "graph input", "it is an input of the model");
        }
        for body in graph.nodes.iter().flat_map(|node| &node.bodies) {
            for given in &body.inputs {
                context.pin_value(&given.name, "value", "a subgraph is given it at every run");
            }
        }
        for name in &graph.uncut {
            let stored = graph.initializers.get(name);
            let reason = match stored.is_some_and(Tensor::shares_bytes) {
                true => "its numbers share bytes: prune the float file, then quantise",
                false => "its storage cannot be cut",
            };
            context.pin_value(name, "constant", reason);
        }
        let mut reasons: HashMap<&str, String> = HashMap::new();
        for node in &graph.nodes {
            if let Err(reason) = follow(node, &mut context) {
                reasons.insert(&node.name, reason);
            }
        }
        context.pin_counted();
        for output in &graph.outputs {
            context.pin_value(&output.name, "graph output", "it is an output of the model");
        }
        for keep in keeps {
            keep.pin(&mut context);
        }
        let layers = fixed::layers(&context, &known);
        let mut groups = into_groups(context);
        groups.fixed = fixed::without_group(graph, layers, &groups.groups, &reasons);
        Ok(groups)
    }
}

/// Applies the rule of a node, and pins what it does not answer for.
///
/// # Errors
/// The reason why everything that the node reads and gives was pinned.
fn follow(node: &Node, context: &mut LabelContext<'_>) -> std::result::Result<(), String> {
    let rule = ops::lookup(node);
    context.enter(rule.is_some_and(OpRule::is_conv));
    let outcome = match rule {
        Some(rule) => rule.labels(node, context),
        None => Err(fixed::no_rule(node)),
    };
    if let Err(reason) = &outcome {
        // Kernels that cannot be pruned are listed too, with the reason.
        if let Some(rule) = rule {
            let slot = rule.weights_slot();
            let rank = context.rank_of_weights(node, slot);
            if let Some(axis) = rule.producing_axis(node, rank) {
                context.use_parameter(node, slot, axis, Role::Output);
            }
        }
        context.pin_node(node, reason);
    }
    context.leave(node);
    outcome
}
