//! Copies of shared vectors. Nodes and their names stay.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::proto::tensor_proto::{DataLocation, DataType};
use crate::proto::{GraphProto, NodeProto, TensorProto};

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

/// Outputs of `Identity` nodes that are a stored vector, through chains of them too, with the
/// name of the vector.
fn aliases(
    graph: &GraphProto,
    vectors: &BTreeMap<String, TensorProto>,
    fixed: &HashSet<String>,
) -> HashMap<String, String> {
    let mut aliases: HashMap<String, String> = HashMap::new();
    for node in &graph.node {
        let ("Identity", "" | "ai.onnx", [from], [to]) = (
            node.op_type(),
            node.domain(),
            &node.input[..],
            &node.output[..],
        ) else {
            continue;
        };
        let stored = match aliases.get(from) {
            Some(stored) => stored.clone(),
            None if vectors.contains_key(from) => from.clone(),
            None => continue,
        };
        if !fixed.contains(to) {
            aliases.insert(to.clone(), stored);
        }
    }
    aliases
}

pub(super) fn unshare(graph: &mut GraphProto) {
    let fixed = fixed_names(graph);
    let vectors: BTreeMap<String, TensorProto> = graph
        .initializer
        .iter()
        .filter(|tensor| is_vector(tensor))
        .map(|tensor| (tensor.name().to_string(), tensor.clone()))
        .collect();
    let aliases = aliases(graph, &vectors, &fixed);
    let is_alias = |node: &NodeProto| matches!(&node.output[..], [to] if aliases.contains_key(to));

    // Vectors that keep a reader of their own: those of subgraphs and outputs, and of formulas.
    let mut read: HashSet<String> = fixed
        .iter()
        .filter(|name| vectors.contains_key(*name))
        .cloned()
        .collect();
    // Vectors that some node reads under their own name, which then is the first reader.
    let mut direct: HashSet<&str> = HashSet::new();
    for node in graph.node.iter().filter(|node| !is_alias(node)) {
        for input in &node.input {
            let Some(tensor) = vectors.get(aliases.get(input).unwrap_or(input)) else {
                continue;
            };
            if reads_numbers(node.op_type(), tensor) {
                read.insert(tensor.name().to_string());
            } else if let Some((name, _)) = vectors.get_key_value(input) {
                direct.insert(name);
            }
        }
    }

    // Every further reader gets a copy.
    let mut taken: HashSet<String> = graph
        .initializer
        .iter()
        .map(|tensor| tensor.name().to_string())
        .collect();
    taken.extend(
        graph
            .node
            .iter()
            .flat_map(|node| node.output.iter().cloned()),
    );
    taken.extend(graph.input.iter().map(|input| input.name().to_string()));
    let mut copies = Vec::new();
    for node in &mut graph.node {
        // The node stays, for its name's sake, though nobody reads it any more.
        if is_alias(node) {
            continue;
        }
        let op_type = node.op_type().to_string();
        for input in node
            .input
            .iter_mut()
            .filter(|input| !fixed.contains(*input))
        {
            let stored = aliases.get(input);
            let Some(tensor) = vectors.get(stored.unwrap_or(input)) else {
                continue;
            };
            if reads_numbers(&op_type, tensor) {
                continue;
            }
            let own = stored.is_none() || !direct.contains(tensor.name());
            if own && read.insert(tensor.name().to_string()) {
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
