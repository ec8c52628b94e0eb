//! A network as pieces that can run alone: what an engine's time is measured on.
//!
//! A piece is a layer with what engines fuse into it: norms, activations, sums with what other
//! layers gave. All else (pooling, concatenation, resizing) is a piece of its own. Together the
//! pieces hold every node that works on floats; nodes that compute shapes, and those that read
//! anything but floats, are left out.

use std::collections::{HashMap, HashSet};

use crate::graph::{Attribute, Graph, Node};
use crate::shape::Inferred;

/// ONNX data type numbers of floats: 32 bits, 16 bits, 64 bits, bfloat16.
const FLOATS: [i32; 4] = [FLOAT, 10, 11, 16];
const FLOAT: i32 = 1;
const INT64: i32 = 7;
const BOOL: i32 = 9;

/// Operators that engines fuse into the layer in front, element by element.
const FUSED: [&str; 37] = [
    "Abs",
    "Add",
    "BatchNormalization",
    "Celu",
    "Clip",
    "Div",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Log",
    "Max",
    "Min",
    "Mish",
    "Mul",
    "Neg",
    "PRelu",
    "Pow",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Sub",
    "Sum",
    "Swish",
    "Tanh",
    "ThresholdedRelu",
];

/// Nodes that run together, and the values at their ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Name of its first node.
    pub name: String,
    /// Operator of its first node.
    pub op_type: String,
    /// First outputs of its nodes, by which they are known in the file.
    pub nodes: Vec<String>,
    /// Computed values that it reads, with their ONNX data types.
    pub inputs: Vec<(String, i32)>,
    /// Values that others read, or that the network gives.
    pub outputs: Vec<String>,
}

/// The pieces of a graph in computing order, and the names of the nodes that are in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces {
    /// In order of their first nodes.
    pub pieces: Vec<Piece>,
    /// Nodes whose time is not measured by itself.
    pub left_out: Vec<String>,
}

impl Pieces {
    /// Takes a graph apart, of whose values `known` is known.
    pub fn of(graph: &Graph, known: &Inferred) -> Self {
        let types = types(graph);
        let is_constant =
            |name: &str| graph.initializers.contains_key(name) || known.constants.contains(name);
        let is_float = |name: &str| types.get(name).is_some_and(|type_| FLOATS.contains(type_));
        let mut found: Vec<Vec<&Node>> = Vec::new();
        let mut left_out = Vec::new();
        let mut piece_of: HashMap<&str, usize> = HashMap::new();
        for node in &graph.nodes {
            if node.outputs.iter().all(|name| is_constant(name)) {
                continue;
            }
            let mut computed = node.reads().filter(|name| !is_constant(name)).peekable();
            let is_timed = !node.is_inner
                && node.bodies.is_empty()
                && computed.peek().is_some()
                && computed.all(is_float);
            if !is_timed {
                left_out.push(node.name.clone());
                continue;
            }
            let in_front = node.reads().filter_map(|name| piece_of.get(name)).max();
            let joins = node.is_standard() && FUSED.contains(&node.op_type.as_str());
            let place = match in_front {
                Some(&place) if joins => place,
                _ => {
                    found.push(Vec::new());
                    found.len() - 1
                }
            };
            found[place].push(node);
            let outputs = node.outputs.iter().filter(|name| !name.is_empty());
            piece_of.extend(outputs.map(|name| (name.as_str(), place)));
        }
        let readers = readers(graph);
        let pieces = found.iter().map(|nodes| {
            let own: HashSet<&str> = nodes.iter().flat_map(|node| node_outputs(node)).collect();
            let mut inputs: Vec<(String, i32)> = Vec::new();
            for name in nodes.iter().flat_map(|node| node.reads()) {
                let is_new = inputs.iter().all(|(other, _)| other != name);
                if !own.contains(name) && !is_constant(name) && is_new {
                    inputs.push((name.to_string(), types.get(name).copied().unwrap_or(FLOAT)));
                }
            }
            let names: HashSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
            let is_read = |name: &&str| {
                let by = readers.get(name).into_iter().flatten();
                let given = graph.outputs.iter().any(|output| output.name == *name);
                given || by.into_iter().any(|reader| !names.contains(reader))
            };
            Piece {
                name: nodes[0].name.clone(),
                op_type: nodes[0].op_type.clone(),
                nodes: nodes
                    .iter()
                    .filter_map(|n| n.outputs.first().cloned())
                    .collect(),
                inputs,
                outputs: nodes
                    .iter()
                    .flat_map(|node| node_outputs(node))
                    .filter(is_read)
                    .map(str::to_string)
                    .collect(),
            }
        });
        Self {
            pieces: pieces.filter(|piece| !piece.outputs.is_empty()).collect(),
            left_out,
        }
    }
}

fn node_outputs(node: &Node) -> impl Iterator<Item = &str> {
    node.outputs
        .iter()
        .filter(|name| !name.is_empty())
        .map(String::as_str)
}

/// Names of the nodes that read each value.
fn readers(graph: &Graph) -> HashMap<&str, Vec<&str>> {
    let mut readers: HashMap<&str, Vec<&str>> = HashMap::new();
    for node in &graph.nodes {
        for name in node.reads() {
            readers.entry(name).or_default().push(&node.name);
        }
    }
    readers
}

/// Data types of the computed values: as the file states them, else as the operators give them.
fn types(graph: &Graph) -> HashMap<&str, i32> {
    let stated = graph.value_info.values().chain(&graph.inputs);
    let stated = stated.filter(|info| info.elem_type != 0);
    let mut types: HashMap<&str, i32> = stated
        .map(|info| (info.name.as_str(), info.elem_type))
        .collect();
    for node in &graph.nodes {
        let first = node.reads().find_map(|name| types.get(name).copied());
        let type_ = match node.op_type.as_str() {
            "Shape" | "Size" | "ArgMax" | "ArgMin" | "NonZero" | "NonMaxSuppression" => INT64,
            "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or"
            | "Xor" | "Not" | "IsNaN" | "IsInf" => BOOL,
            "Cast" => match node.attributes.get("to") {
                Some(Attribute::Int(to)) => *to as i32,
                _ => continue,
            },
            // What quantised and foreign operators give is not known here.
            _ if !node.is_standard() || node.op_type.contains("Linear") => continue,
            _ => first.unwrap_or(FLOAT),
        };
        for (slot, name) in node.outputs.iter().enumerate() {
            let is_index = slot == 1 && matches!(node.op_type.as_str(), "TopK" | "MaxPool");
            let type_ = if is_index { INT64 } else { type_ };
            types.entry(name).or_insert(type_);
        }
    }
    types
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{ResNetConfig, VggConfig, resnet, vgg_like};
    use crate::cost::counted_inputs;
    use crate::model::Model;
    use crate::shape::infer;

    fn pieces(model: &Model) -> Pieces {
        let graph = Graph::from_model(model).unwrap();
        let inputs = counted_inputs(&graph).unwrap().inputs;
        Pieces::of(&graph, &infer(&graph, Some(&inputs)).unwrap())
    }

    #[test]
    fn layers_take_along_what_is_fused_into_them() {
        let mut config = VggConfig::new([1, 8, 8], 3);
        config.stages = VggConfig::parse_stages("4,M,6,M").unwrap();
        config.hidden = vec![8];
        let found = pieces(&vgg_like(&config, 0).unwrap());
        let heads: Vec<&str> = found.pieces.iter().map(|p| p.op_type.as_str()).collect();
        assert_eq!(
            heads,
            [
                "Conv", "MaxPool", "Conv", "MaxPool", "Flatten", "Gemm", "Gemm"
            ]
        );
        // Convolution, norm, activation.
        assert_eq!(found.pieces[0].nodes.len(), 3);
        assert!(found.left_out.is_empty());
    }

    #[test]
    fn pieces_read_what_earlier_ones_give() {
        let found = pieces(&resnet(&ResNetConfig::new([3, 16, 16], 10), 1).unwrap());
        let mut given: HashSet<&str> = HashSet::from(["input"]);
        assert_eq!(found.pieces[0].inputs.len(), 1);
        given.extend(found.pieces[0].inputs.iter().map(|(name, _)| name.as_str()));
        for piece in &found.pieces {
            for (name, _) in &piece.inputs {
                assert!(given.contains(name.as_str()), "{name} of {}", piece.name);
            }
            given.extend(piece.outputs.iter().map(String::as_str));
        }
        // A block's second convolution takes the sum along, which reads two values.
        assert!(found.pieces.iter().any(|piece| piece.inputs.len() == 2));
    }
}
