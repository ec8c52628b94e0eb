//! Copies of shared vectors. Nodes and their names stay.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::message::Model;
use super::proto::tensor_proto::{DataLocation, DataType};
use super::proto::{GraphProto, NodeProto, TensorProto};

impl Model {
    /// The same model with a copy of its own for every reader of a vector.
    ///
    /// Exporters store equal tensors once, so that biases of zero and scales of one are
    /// shared between layers that have nothing to do with each other. Training would tie
    /// them together, and their channels would be coupled. What a node `Identity` of a stored
    /// vector hands on is read from a stored vector instead; the node stays. Numbers of a
    /// formula (a vector of one that others are multiplied by, scales of a `Resize`) stay shared.
    pub fn unshared(&self) -> Self {
        let mut model = self.clone();
        unshare(model.proto.graph.mut_or_insert_default());
        model
    }
}

/// A vector of floats in the message itself.
fn is_vector(tensor: &TensorProto) -> bool {
    let float = [
        DataType::FLOAT,
        DataType::DOUBLE,
        DataType::FLOAT16,
        DataType::BFLOAT16,
    ]
    .iter()
    .any(|&data_type| tensor.data_type() == data_type as i32);
    float && tensor.dims.len() == 1 && tensor.data_location() != DataLocation::EXTERNAL
}

/// Names that subgraphs or outputs read: those keep their one tensor.
fn fixed_names(graph: &GraphProto) -> HashSet<String> {
    let mut names: HashSet<String> = graph
        .output
        .iter()
        .map(|output| output.name().to_string())
        .collect();
    for node in &graph.node {
        for inner in node
            .attribute
            .iter()
            .flat_map(|a| a.g.as_ref().into_iter().chain(&a.graphs))
        {
            names.extend(
                inner
                    .node
                    .iter()
                    .flat_map(|node| node.input.iter().cloned()),
            );
            names.extend(fixed_names(inner));
        }
    }
    names
}

/// True for a node that reads numbers of a formula from the vector, neither a layer's
/// parameters nor values per channel. Nothing is gained by a copy of those.
fn reads_numbers(op_type: &str, tensor: &TensorProto) -> bool {
    match op_type {
        "Resize" | "Upsample" => true,
        "Abs" | "Add" | "Clip" | "Div" | "Max" | "Min" | "Mul" | "Neg" | "Pow" | "Sub" | "Sum"
        | "Where" => tensor.dims == [1],
        _ => false,
    }
}

/// Vectors that nodes may share.
struct Vectors {
    /// Names that keep their one tensor.
    fixed: HashSet<String>,
    /// Stored vectors by name.
    stored: BTreeMap<String, TensorProto>,
    /// Outputs of `Identity` nodes that are a stored vector, through chains of them too, with
    /// the name of the vector.
    aliases: HashMap<String, String>,
}

impl Vectors {
    fn find(graph: &GraphProto) -> Self {
        let vectors = graph.initializer.iter().filter(|tensor| is_vector(tensor));
        let mut found = Self {
            fixed: fixed_names(graph),
            stored: vectors
                .map(|tensor| (tensor.name().to_string(), tensor.clone()))
                .collect(),
            aliases: HashMap::new(),
        };
        for node in &graph.node {
            let ("Identity", "" | "ai.onnx", [from], [to]) = (
                node.op_type(),
                node.domain(),
                &node.input[..],
                &node.output[..],
            ) else {
                continue;
            };
            if let Some(tensor) = found.behind(from).filter(|_| !found.fixed.contains(to)) {
                let name = tensor.name().to_string();
                found.aliases.insert(to.clone(), name);
            }
        }
        found
    }

    /// The vector that a value is.
    fn behind(&self, value: &str) -> Option<&TensorProto> {
        let alias = self.aliases.get(value).map(String::as_str);
        self.stored.get(alias.unwrap_or(value))
    }

    fn is_alias(&self, node: &NodeProto) -> bool {
        matches!(&node.output[..], [to] if self.aliases.contains_key(to))
    }

    /// Vectors that keep a reader of their own, those of subgraphs, outputs and formulas; and
    /// vectors that some node reads under their own name, which then is the first reader.
    fn first_readers(&self, graph: &GraphProto) -> (HashSet<String>, HashSet<String>) {
        let fixed = self.fixed.iter();
        let mut read: HashSet<String> = fixed
            .filter(|name| self.stored.contains_key(*name))
            .cloned()
            .collect();
        let mut direct = HashSet::new();
        for node in graph.node.iter().filter(|node| !self.is_alias(node)) {
            for input in &node.input {
                let Some(tensor) = self.behind(input) else {
                    continue;
                };
                if reads_numbers(node.op_type(), tensor) {
                    read.insert(tensor.name().to_string());
                } else if self.stored.contains_key(input) {
                    direct.insert(input.clone());
                }
            }
        }
        (read, direct)
    }
}

/// Names of all values of the graph.
fn taken_names(graph: &GraphProto) -> HashSet<String> {
    let stored = graph.initializer.iter().map(|t| t.name().to_string());
    let computed = graph.node.iter().flat_map(|node| node.output.clone());
    let inputs = graph.input.iter().map(|input| input.name().to_string());
    stored.chain(computed).chain(inputs).collect()
}

/// Gives every reader of a shared vector but the first a copy of its own.
fn unshare(graph: &mut GraphProto) {
    let vectors = Vectors::find(graph);
    let (mut read, direct) = vectors.first_readers(graph);
    let mut taken = taken_names(graph);
    let mut copies = Vec::new();
    // `Identity` nodes of a vector stay, though nobody reads them afterwards: the file keeps
    // its nodes and their names.
    for node in graph.node.iter_mut().filter(|n| !vectors.is_alias(n)) {
        let op_type = node.op_type().to_string();
        let inputs = node.input.iter_mut();
        for input in inputs.filter(|input| !vectors.fixed.contains(*input)) {
            let vector = vectors.behind(input);
            let Some(tensor) = vector.filter(|tensor| !reads_numbers(&op_type, tensor)) else {
                continue;
            };
            let comes_first =
                !vectors.aliases.contains_key(input) || !direct.contains(tensor.name());
            if comes_first && read.insert(tensor.name().to_string()) {
                *input = tensor.name().to_string();
                continue;
            }
            let mut number = 2;
            let mut name = format!("{input}/{number}");
            while !taken.insert(name.clone()) {
                number += 1;
                name = format!("{input}/{number}");
            }
            let mut copy = tensor.clone();
            copy.set_name(name.clone());
            copies.push(copy);
            *input = name;
        }
    }
    graph.initializer.extend(copies);
}
