//! Copies of shared vectors.

use std::collections::{BTreeMap, HashSet};

use crate::proto::tensor_proto::{DataLocation, DataType};
use crate::proto::{GraphProto, TensorProto};

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

pub(super) fn unshare(graph: &mut GraphProto) {
    let fixed = fixed_names(graph);
    let mut vectors: BTreeMap<String, TensorProto> = graph
        .initializer
        .iter()
        .filter(|tensor| is_vector(tensor))
        .map(|tensor| (tensor.name().to_string(), tensor.clone()))
        .collect();

    // Identities of stored vectors, chains of them too, become vectors themselves.
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        let stored = match (
            node.op_type(),
            node.domain(),
            &node.input[..],
            &node.output[..],
        ) {
            ("Identity", "" | "ai.onnx", [from], [to]) if !fixed.contains(to) => vectors
                .get(from)
                .cloned()
                .map(|tensor| (tensor, to.clone())),
            _ => None,
        };
        match stored {
            Some((mut tensor, name)) => {
                tensor.set_name(name.clone());
                graph.initializer.push(tensor.clone());
                vectors.insert(name, tensor);
            }
            None => nodes.push(node),
        }
    }
    graph.node = nodes;

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
    let mut read: HashSet<String> = HashSet::new();
    for node in &mut graph.node {
        for input in node
            .input
            .iter_mut()
            .filter(|input| !fixed.contains(*input))
        {
            let Some(tensor) = vectors.get(input) else {
                continue;
            };
            if read.insert(input.clone()) {
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
            graph.initializer.push(copy);
            *input = name;
        }
    }
}
