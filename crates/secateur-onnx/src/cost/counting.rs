//! What is counted of a node: its parameters and multiply-adds, as its rule tells.

use std::collections::HashMap;

use crate::graph::{Graph, Node};
use crate::model::Tensor;
use crate::ops::{self, Macs, OpRule, Stored, WeightRole};
use crate::shape::ShapeContext;

/// The rule of a node's operator. Optimisers put variants of standard operators into sets of
/// their own under the same name (`com.microsoft.nchwc::Conv`): they hold the same parameters.
fn rule_of(node: &Node) -> Option<&'static dyn OpRule> {
    ops::named(&node.op_type)
}

pub(super) fn is_conv(node: &Node) -> bool {
    rule_of(node).is_some_and(OpRule::is_conv)
}

/// Multiply-adds of a node. How a variant of a standard operator lays out its values is not
/// known, so its multiply-adds are not either.
pub(super) fn macs_of(node: &Node, context: &ShapeContext<'_>) -> Macs {
    match rule_of(node).map_or(Macs::Zero, |rule| rule.macs(node, context)) {
        Macs::Term(_) if !node.is_standard() => Macs::Unknown,
        macs => macs,
    }
}

/// Nodes with the slots in which they read trained parameters: every stored tensor of floats,
/// also of operators that nothing else is known of, and what subgraphs read from outside (slots
/// after the last). Not the running statistics of batch norms, nor numbers of a formula.
pub(super) fn parameter_slots(graph: &Graph) -> Vec<(&Node, usize, &str)> {
    let mut found = Vec::new();
    for node in &graph.nodes {
        let inputs = node.inputs.iter().map(Option::as_deref);
        let captures = node.captures.iter().map(|name| Some(name.as_str()));
        for (slot, name) in inputs.chain(captures).enumerate() {
            let stored = name.and_then(|name| graph.initializers.get_key_value(name));
            if let Some((name, tensor)) = stored
                && tensor.is_float()
                && is_parameter(node, slot, tensor)
            {
                found.push((node, slot, name.as_str()));
            }
        }
    }
    found
}

/// True if a node's stored floats in that slot are trained.
fn is_parameter(node: &Node, slot: usize, tensor: &Tensor) -> bool {
    match rule_of(node).map_or(Stored::Other, |rule| rule.stored(slot)) {
        Stored::Parameter(role) => role != WeightRole::Running,
        Stored::Formula => false,
        // A single number is part of a formula, not a parameter.
        Stored::Operand | Stored::Other => !tensor.shape.is_empty(),
    }
}

/// As [`parameter_slots`], for convolutions that read a stored tensor in another type, or under
/// another name.
pub(super) fn viewed_slots(graph: &Graph) -> Vec<(&Node, usize, &str)> {
    let mut views: HashMap<&str, &str> = HashMap::new();
    let mut found = Vec::new();
    for node in &graph.nodes {
        let Some(rule) = ops::lookup(node) else {
            continue;
        };
        if let (true, Some(from), [to, ..]) = (rule.copies(), node.input(0), &node.outputs[..]) {
            let stored = graph.initializers.get_key_value(from);
            let stored = stored.filter(|(_, tensor)| tensor.is_float());
            let own = stored.map(|(name, _)| name.as_str());
            if let Some(name) = own.or_else(|| views.get(from).copied()) {
                views.insert(to, name);
            }
        }
        if rule.is_conv() {
            let slots = (0..node.inputs.len())
                .filter(|&slot| matches!(rule.stored(slot), Stored::Parameter(_)));
            found.extend(
                slots.filter_map(|slot| Some((node, slot, *views.get(node.input(slot)?)?))),
            );
        }
    }
    found
}
