//! What is counted of a node: its parameters and multiply-adds, as its rule tells.

use crate::graph::{Graph, Node};
use crate::model::Tensor;
use crate::ops::{self, Macs, OpRule, Stored, WeightRole};
use crate::shape::ShapeContext;

/// The rule of a node's operator. Optimisers put variants of standard operators into sets of
/// their own under the same name (`com.microsoft.nchwc::Conv`): they hold the same parameters.
fn rule_of(node: &Node) -> Option<&'static dyn OpRule> {
    ops::lookup(node).or_else(|| ops::named(&node.op_type))
}

/// True for the input of a node that holds the weights of a layer.
pub(super) fn is_weights(node: &Node, slot: usize) -> bool {
    rule_of(node).is_some_and(|rule| rule.weights_slot() == slot)
}

pub(super) fn is_conv(node: &Node) -> bool {
    rule_of(node).is_some_and(OpRule::is_conv)
}

/// Multiply-adds of a node. How a variant of a standard operator lays out its values is not
/// known, so its multiply-adds are not either.
pub(super) fn macs_of(node: &Node, context: &ShapeContext<'_>) -> Macs {
    match rule_of(node).map_or(Macs::Zero, |rule| rule.macs(node, context)) {
        Macs::Terms(_) if ops::lookup(node).is_none() => Macs::Unknown,
        macs => macs,
    }
}

/// Nodes with the slots in which they read trained parameters: every stored tensor of floats,
/// also in another type or with its axes in another order, also of operators that nothing else is
/// known of. Not the running statistics of batch norms, nor numbers of a formula.
pub(super) fn parameter_slots(graph: &Graph) -> Vec<(&Node, usize, &str)> {
    let views = ops::stored_views(graph);
    let mut found = Vec::new();
    for node in &graph.nodes {
        if node
            .outputs
            .iter()
            .any(|name| views.contains_key(name.as_str()))
        {
            // What the tensor is, the readers of the view tell.
            continue;
        }
        for (slot, name) in node.inputs.iter().enumerate() {
            let Some(name) = name.as_deref() else {
                continue;
            };
            let stored = views.get(name).copied().unwrap_or(name);
            if let Some((name, tensor)) = graph.initializers.get_key_value(stored)
                && is_parameter(node, slot, tensor)
            {
                found.push((node, slot, name.as_str()));
            }
        }
    }
    found
}

/// True if a node's stored numbers in that slot are parameters: floats that are trained, or
/// their quantised form. Scales and zero points of the latter are numbers of a formula, so that
/// a file counts as many parameters before and after it is quantised.
fn is_parameter(node: &Node, slot: usize, tensor: &Tensor) -> bool {
    match rule_of(node).map_or(Stored::Other, |rule| rule.stored(slot)) {
        Stored::Quantised => !tensor.shape.is_empty(),
        Stored::Parameter(role) => role != WeightRole::Running,
        Stored::Formula => false,
        // A single number is part of a formula, not a parameter.
        Stored::Operand | Stored::Other => tensor.is_float() && !tensor.shape.is_empty(),
    }
}
