//! The walk along the graph that gives every value its labels.

use super::group::ChannelGroups;
use super::into_groups::into_groups;
use crate::error::Result;
use crate::graph::{Graph, Node};
use crate::labels::{LabelContext, Role};
use crate::ops::{self, OpRule};
use crate::shape::infer;

impl ChannelGroups {
    /// Finds the groups of a graph.
    ///
    /// # Errors
    /// [`crate::OnnxError::Graph`] if shapes contradict each other.
    pub fn find(graph: &Graph) -> Result<Self> {
        let known = infer(graph, None)?;
        let mut context = LabelContext::new(graph, &known);
        for input in &graph.inputs {
            context.pin_value(&input.name, "graph input", "it is an input of the model");
        }
        for name in &graph.uncut {
            context.pin_value(name, "constant", "its storage cannot be cut");
        }
        for node in &graph.nodes {
            follow(node, &mut context);
        }
        for output in &graph.outputs {
            context.pin_value(&output.name, "graph output", "it is an output of the model");
        }
        Ok(into_groups(context))
    }
}

/// Applies the rule of a node, and pins what it does not answer for.
fn follow(node: &Node, context: &mut LabelContext<'_>) {
    let rule = ops::lookup(node);
    context.enter(rule.is_some_and(OpRule::is_conv));
    let outcome = match rule {
        Some(rule) => rule.labels(node, context),
        None if node.is_standard() => Err(format!("no channel rule for operator {}", node.op_type)),
        None => Err(format!("custom operator {}::{}", node.domain, node.op_type)),
    };
    if let Err(reason) = outcome {
        // Kernels that cannot be pruned are listed too, with the reason.
        let rank = context.rank_of_weights(node);
        if let Some(axis) = rule.and_then(|rule| rule.producing_axis(node, rank)) {
            context.use_parameter(node, 1, axis, Role::Output);
        }
        context.pin_node(node, &reason);
    }
    context.leave(node);
}
