//! Outputs that saturate.
//!
//! Behind a sigmoid or a softmax a wrong network may look right, since all its values are near
//! zero or one, and a right one wrong, since rounding is all that is left of what is near zero.
//! Such outputs are compared in front of that operator, which is the same in both networks.

use std::collections::{BTreeMap, HashMap};

use secateur_onnx::graph::{Graph, Node};

/// Operators that saturate.
const SATURATE: [&str; 4] = ["HardSigmoid", "Sigmoid", "Softmax", "Tanh"];

/// Operators that leave all values as they are.
const MOVE: [&str; 6] = [
    "Flatten",
    "Identity",
    "Reshape",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Outputs that saturate, with the value in front of the operator, and the operators' names.
pub(super) fn saturated(graph: &Graph) -> (BTreeMap<String, String>, Vec<String>) {
    let nodes = graph.nodes.iter().filter(|node| node.is_standard());
    let makers: HashMap<&str, &Node> = nodes
        .flat_map(|node| node.outputs.iter().map(move |name| (name.as_str(), node)))
        .collect();
    let (mut found, mut operators) = (BTreeMap::new(), Vec::new());
    for output in &graph.outputs {
        let mut name = output.name.as_str();
        while let Some(node) = makers.get(name) {
            let Some(input) = node.input(0) else { break };
            if MOVE.contains(&node.op_type.as_str()) {
                name = input;
                continue;
            }
            if SATURATE.contains(&node.op_type.as_str()) && makers.contains_key(input) {
                found.insert(output.name.clone(), input.to_string());
                operators.push(node.op_type.clone());
            }
            break;
        }
    }
    operators.sort_unstable();
    operators.dedup();
    (found, operators)
}
