//! Stored vectors of a graph, and which of their readers are one layer.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::decode::decode;
use super::initializer::Tensor;
use super::proto::tensor_proto::DataType;
use super::proto::{GraphProto, NodeProto, TensorProto};
use super::stored::tensors;

/// Who reads a vector: readers that are equal share one tensor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Reader {
    /// Any reader of a vector that is one parameter, whoever reads it.
    Tied,
    /// A layer that is applied more than once: its operator, the input that the vector is, and
    /// the stored tensors in all its inputs.
    Layer(String, usize, Vec<Option<String>>),
    /// An input of a node.
    Alone(usize, usize),
}

/// An input of a node that is a stored vector.
pub(super) struct Use {
    /// Index of the node.
    pub node: usize,
    /// Index of the input.
    pub slot: usize,
    /// Name of the vector.
    pub vector: String,
    /// False where the node reads it through an `Identity`.
    pub direct: bool,
    /// Who reads it.
    pub reader: Reader,
}

/// Vectors that nodes may share.
pub(super) struct Vectors {
    /// Names that subgraphs or outputs read: those keep their one tensor.
    fixed: HashSet<String>,
    /// Stored vectors of floats by name.
    stored: BTreeMap<String, TensorProto>,
    /// Stored tensors that tell a layer from others: weights, and tied vectors.
    distinct: HashSet<String>,
    /// Other stored tensors.
    others: HashSet<String>,
    /// Vectors whose one tensor a formula reads, a subgraph or an output.
    taken: HashSet<String>,
    /// Outputs of `Identity` nodes that are a stored tensor, through chains of them too, with
    /// the name of the tensor.
    aliases: HashMap<String, String>,
}

impl Vectors {
    /// Finds the vectors of a graph; external data are read from `base_dir`.
    pub(super) fn find(graph: &GraphProto, base_dir: Option<&Path>) -> Self {
        let mut found = Self {
            fixed: fixed_names(graph),
            stored: BTreeMap::new(),
            distinct: HashSet::new(),
            others: HashSet::new(),
            taken: HashSet::new(),
            aliases: HashMap::new(),
        };
        for (name, tensor) in tensors(graph) {
            let is_vector = is_vector(tensor);
            if is_vector {
                found.stored.insert(name.to_string(), tensor.clone());
            }
            let distinct = match is_vector {
                // What cannot be read is refused where it is used.
                true => decode(tensor, name, base_dir).is_ok_and(|vector| is_trained(&vector)),
                false => tensor.dims.len() >= 2,
            };
            let names = if distinct {
                &mut found.distinct
            } else {
                &mut found.others
            };
            names.insert(name.to_string());
        }
        for node in graph.node.iter().filter(|node| is_identity(node)) {
            let (from, to) = (found.behind(&node.input[0]), &node.output[0]);
            if let Some(name) = from.filter(|_| !found.fixed.contains(to)) {
                found.aliases.insert(to.clone(), name.to_string());
            }
        }
        found.taken = found.fixed.iter().cloned().collect();
        for node in &graph.node {
            let vectors = node.input.iter().filter_map(|input| found.vector(input));
            let numbers = vectors.filter(|name| reads_numbers(node.op_type(), found.tensor(name)));
            let numbers: Vec<String> = numbers.map(str::to_string).collect();
            found.taken.extend(numbers);
        }
        found
    }

    /// The stored tensor that a value is.
    fn behind<'a>(&'a self, value: &'a str) -> Option<&'a str> {
        let name = self.aliases.get(value).map_or(value, String::as_str);
        let is_stored = self.distinct.contains(name) || self.others.contains(name);
        is_stored.then_some(name)
    }

    /// The stored vector that a value is.
    fn vector<'a>(&'a self, value: &'a str) -> Option<&'a str> {
        self.behind(value)
            .filter(|name| self.stored.contains_key(*name))
    }

    /// The tensor of a vector.
    pub(super) fn tensor(&self, vector: &str) -> &TensorProto {
        &self.stored[vector]
    }

    /// True for a vector whose one tensor a formula reads, a subgraph or an output.
    pub(super) fn is_taken(&self, vector: &str) -> bool {
        self.taken.contains(vector)
    }

    /// All uses of vectors as parameters, in the order of the nodes.
    pub(super) fn uses(&self, graph: &GraphProto) -> Vec<Use> {
        let mut uses = Vec::new();
        // `Identity` nodes of a vector stay, though nobody reads them afterwards: the file
        // keeps its nodes and their names.
        let is_alias =
            |node: &NodeProto| is_identity(node) && self.aliases.contains_key(&node.output[0]);
        let nodes = graph.node.iter().enumerate();
        for (index, node) in nodes.filter(|(_, node)| !is_alias(node)) {
            for (slot, input) in node.input.iter().enumerate() {
                let Some(vector) = self.vector(input).filter(|_| !self.fixed.contains(input))
                else {
                    continue;
                };
                if reads_numbers(node.op_type(), self.tensor(vector)) {
                    continue;
                }
                uses.push(Use {
                    node: index,
                    slot,
                    vector: vector.to_string(),
                    direct: vector == input,
                    reader: self.reader(node, (index, slot), vector),
                });
            }
        }
        uses
    }

    fn reader(&self, node: &NodeProto, (index, slot): (usize, usize), vector: &str) -> Reader {
        if self.distinct.contains(vector) {
            return Reader::Tied;
        }
        let stored = node
            .input
            .iter()
            .map(|input| self.behind(input).map(str::to_string));
        let stored: Vec<Option<String>> = stored.collect();
        let is_told_apart = stored
            .iter()
            .flatten()
            .any(|name| self.distinct.contains(name));
        match is_told_apart {
            true => Reader::Layer(
                format!("{}.{}", node.domain(), node.op_type()),
                slot,
                stored,
            ),
            false => Reader::Alone(index, slot),
        }
    }
}

fn is_identity(node: &NodeProto) -> bool {
    let standard = matches!(node.domain(), "" | "ai.onnx");
    standard && node.op_type() == "Identity" && node.input.len() == 1 && node.output.len() == 1
}

fn is_vector(tensor: &TensorProto) -> bool {
    let of_layers = [
        DataType::FLOAT,
        DataType::DOUBLE,
        DataType::FLOAT16,
        DataType::BFLOAT16,
        DataType::INT8,
        DataType::UINT8,
        DataType::INT16,
        DataType::UINT16,
        DataType::INT32,
    ];
    let mut of_layers = of_layers.iter();
    tensor.dims.len() == 1 && of_layers.any(|&data_type| tensor.data_type() == data_type as i32)
}

/// True for a vector that no layer starts with, so that two layers do not have the same one by
/// chance: its elements differ. A single number tells by its digits: trained ones have seven or
/// more, those that people write have few.
fn is_trained(vector: &Tensor) -> bool {
    const WRITTEN_DIGITS: usize = 4;
    let Some(values) = vector.as_f32() else {
        return false;
    };
    match values[..] {
        [value] => {
            let text = format!("{value:e}");
            let mantissa = text.split('e').next().unwrap_or_default();
            mantissa.bytes().filter(u8::is_ascii_digit).count() > WRITTEN_DIGITS
        }
        _ => values.windows(2).any(|pair| pair[0] != pair[1]),
    }
}

/// Names that subgraphs or outputs read.
fn fixed_names(graph: &GraphProto) -> HashSet<String> {
    let outputs = graph.output.iter();
    let mut names: HashSet<String> = outputs.map(|output| output.name().to_string()).collect();
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    for inner in attributes.flat_map(|a| a.g.as_ref().into_iter().chain(&a.graphs)) {
        names.extend(
            inner
                .node
                .iter()
                .flat_map(|node| node.input.iter().cloned()),
        );
        names.extend(fixed_names(inner));
    }
    names
}

/// True for a node that reads numbers of a formula from the vector, neither a layer's
/// parameters nor values per channel. Nothing is gained by a copy of those.
fn reads_numbers(op_type: &str, tensor: &TensorProto) -> bool {
    match op_type {
        "Resize" | "Upsample" => true,
        "Abs" | "Add" | "Clip" | "Div" | "Max" | "Min" | "Mul" | "Neg" | "PRelu" | "Pow"
        | "Sub" | "Sum" | "Where" => tensor.dims == [1],
        // Scales and zero points of a whole tensor.
        _ => tensor.dims == [1] && (op_type.contains("Quant") || op_type.contains("QLinear")),
    }
}
