//! Numbers of the graph that are written anew: attributes, constant inputs, stated shapes.

use std::collections::HashMap;
use std::path::Path;

use super::decode::decode;
use super::initializer::{Tensor, Values};
use super::message::Model;
use super::proto::attribute_proto::AttributeType;
use super::proto::tensor_proto::DataType;
use super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto};
use super::proto::{ValueInfoProto, tensor_shape_proto::Dimension};
use super::scopes::{Place, all_names, subgraphs};
use super::store;
use super::stored::tensors_mut;

/// The graph of a message with its subgraphs, to write numbers into their nodes. Nodes are known
/// by the whole name of any of their outputs; nothing happens for one that does not exist.
pub(crate) struct Rewriter<'a> {
    graph: &'a mut GraphProto,
    base_dir: Option<&'a Path>,
    by_output: HashMap<String, NodePlace>,
}

/// Where a node lies.
#[derive(Debug, Clone)]
struct NodePlace {
    /// The way to its graph, from the outside in, with the prefix of the names in each subgraph.
    way: Vec<(Place, String)>,
    /// Index in that graph.
    index: usize,
}

/// Notes the nodes of a graph and of its subgraphs.
fn places(graph: &GraphProto, way: &[(Place, String)], found: &mut HashMap<String, NodePlace>) {
    let prefix = way.last().map_or("", |(_, prefix)| prefix);
    for (index, node) in graph.node.iter().enumerate() {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            let place = NodePlace {
                way: way.to_vec(),
                index,
            };
            found.insert(format!("{prefix}{output}"), place);
        }
    }
    for (place, prefix, inner) in subgraphs(&graph.node, prefix) {
        let way: Vec<_> = way.iter().cloned().chain([(place, prefix)]).collect();
        places(inner, &way, found);
    }
}

impl Model {
    /// The graph, to be rewritten.
    pub(crate) fn rewriter(&mut self) -> Rewriter<'_> {
        let graph = self.proto.graph.mut_or_insert_default();
        let mut by_output = HashMap::new();
        places(graph, &[], &mut by_output);
        Rewriter {
            graph,
            base_dir: self.base_dir.as_deref(),
            by_output,
        }
    }
}

impl Rewriter<'_> {
    /// The graph that a node lies in.
    fn around(&mut self, place: &NodePlace) -> Option<&mut GraphProto> {
        let mut way = place.way.iter();
        way.try_fold(&mut *self.graph, |graph, (place, _)| place.of(graph))
    }

    fn node(&mut self, output: &str) -> Option<&mut NodeProto> {
        let place = self.by_output.get(output)?.clone();
        self.around(&place)?.node.get_mut(place.index)
    }

    fn attribute(&mut self, node: &str, name: &str) -> Option<&mut AttributeProto> {
        let attributes = &mut self.node(node)?.attribute;
        attributes.iter_mut().find(|a| a.name() == name)
    }

    /// Sets an integer attribute that the node has.
    pub(crate) fn set_int(&mut self, node: &str, name: &str, value: i64) {
        if let Some(attribute) = self.attribute(node, name) {
            attribute.set_i(value);
        }
    }

    /// Sets elements of a list attribute that the node has, as `(element, value)`.
    pub(crate) fn set_elements(&mut self, node: &str, name: &str, values: &[(usize, i64)]) {
        let Some(attribute) = self.attribute(node, name) else {
            return;
        };
        for &(element, value) in values {
            if let Some(own) = attribute.ints.get_mut(element) {
                *own = value;
            }
        }
    }

    /// Adds a list attribute.
    pub(crate) fn add_ints(&mut self, node: &str, name: &str, values: &[i64]) {
        let mut attribute = AttributeProto::new();
        attribute.set_name(name.to_string());
        attribute.set_type(AttributeType::INTS);
        attribute.ints = values.to_vec();
        if let Some(node) = self.node(node) {
            node.attribute.push(attribute);
        }
    }

    /// Takes an attribute away.
    pub(crate) fn remove_attribute(&mut self, node: &str, name: &str) {
        if let Some(node) = self.node(node) {
            node.attribute.retain(|a| a.name() != name);
        }
    }

    /// Makes input `slot` of a node a constant with these values: in place where nobody
    /// else reads it, else as a new initialiser.
    pub(crate) fn set_input(&mut self, node: &str, slot: usize, values: &[i64]) {
        let Some(place) = self.by_output.get(node).cloned() else {
            return;
        };
        let Some(own) = self.node(node) else { return };
        let old = own.input.get(slot).cloned().unwrap_or_default();
        let base = format!("{}/input{slot}", own.output.first().map_or("", |name| name));
        let alone = !old.is_empty() && readers(self.graph, &old) == 1;
        let mut tensor = Tensor {
            shape: vec![values.len()],
            values: Values::I64(values.to_vec()),
        };
        let meanings = place.meanings(&old);
        let meant = |name: &String| meanings.iter().position(|meaning| meaning == name);
        let stored = tensors_mut(self.graph).into_iter();
        let innermost = stored
            .filter_map(|(name, proto)| Some((meant(&name)?, proto)))
            .min_by_key(|(depth, _)| *depth);
        if let Some((_, proto)) = innermost
            && let Ok(stored) = decode(proto, &old, self.base_dir)
        {
            tensor = with_integers(stored, values);
            if alone {
                store::store(proto, &tensor);
                return;
            }
        }
        let name = free_name(self.graph, &base);
        let Some(graph) = self.around(&place) else {
            return;
        };
        graph.initializer.push(integers(&name, &tensor));
        let inputs = &mut graph.node[place.index].input;
        if inputs.len() <= slot {
            inputs.resize(slot + 1, String::new());
        }
        inputs[slot] = name;
    }

    /// Writes known extents of stated shapes anew, where `extent` tells one for value and axis.
    /// Initialisers that are listed among the inputs take the shapes of their tensors.
    pub(crate) fn set_extents(&mut self, extent: impl Fn(&str, usize) -> Option<i64>) {
        set_extents(self.graph, "", &extent);
        let stored = self.graph.initializer.iter();
        let stored: HashMap<&str, &[i64]> = stored
            .map(|tensor| (tensor.name(), tensor.dims.as_slice()))
            .collect();
        for input in &mut self.graph.input {
            let Some(dims) = stored.get(input.name()) else {
                continue;
            };
            for (axis, dim) in known_extents(input) {
                if let Some(&extent) = dims.get(axis) {
                    dim.set_dim_value(extent);
                }
            }
        }
    }
}

impl NodePlace {
    /// The whole names that a name which the node reads can have, from the inside out.
    fn meanings(&self, name: &str) -> Vec<String> {
        let prefixes = self.way.iter().rev().map(|(_, prefix)| prefix.as_str());
        let prefixes = prefixes.chain([""]);
        prefixes.map(|prefix| format!("{prefix}{name}")).collect()
    }
}

/// A name that no value of a graph and its subgraphs has.
fn free_name(graph: &GraphProto, base: &str) -> String {
    let taken = all_names(graph);
    let mut name = base.to_string();
    let mut number = 1;
    while taken.contains(&name) {
        number += 1;
        name = format!("{base}_{number}");
    }
    name
}

/// Writes known extents of the values of a graph and of its subgraphs anew. Outputs of the
/// message's own graph never change; those of subgraphs may.
fn set_extents(graph: &mut GraphProto, prefix: &str, extent: &dyn Fn(&str, usize) -> Option<i64>) {
    let outputs = graph.output.iter_mut().filter(|_| !prefix.is_empty());
    for info in graph.value_info.iter_mut().chain(outputs) {
        let name = format!("{prefix}{}", info.name());
        for (axis, dim) in known_extents(info) {
            if let Some(kept) = extent(&name, axis) {
                dim.set_dim_value(kept);
            }
        }
    }
    let inner = subgraphs(&graph.node, prefix).into_iter();
    let inner: Vec<(Place, String)> = inner.map(|(place, prefix, _)| (place, prefix)).collect();
    for (place, prefix) in inner {
        if let Some(inner) = place.of(graph) {
            set_extents(inner, &prefix, extent);
        }
    }
}

/// Axes of a stated shape whose extents are numbers.
fn known_extents(info: &mut ValueInfoProto) -> impl Iterator<Item = (usize, &mut Dimension)> {
    let type_ = info.type_.as_mut().filter(|type_| type_.has_tensor_type());
    let shape: Option<&mut TensorShapeProto> =
        type_.and_then(|type_| type_.mut_tensor_type().shape.as_mut());
    let dims = shape.into_iter().flat_map(|shape| shape.dim.iter_mut());
    dims.enumerate().filter(|(_, dim)| dim.has_dim_value())
}

/// How often a value is read, outputs and subgraphs included.
fn readers(graph: &GraphProto, name: &str) -> usize {
    fn in_node(node: &NodeProto, name: &str) -> usize {
        let own = node.input.iter().filter(|input| *input == name).count();
        let graphs = node
            .attribute
            .iter()
            .flat_map(|a| a.g.as_ref().into_iter().chain(&a.graphs));
        own + graphs.map(|graph| readers(graph, name)).sum::<usize>()
    }
    let nodes = graph.node.iter().map(|node| in_node(node, name));
    let outputs = graph.output.iter().filter(|output| output.name() == name);
    nodes.sum::<usize>() + outputs.count()
}

/// Other values in a tensor of integers, its type and rank kept.
fn with_integers(mut tensor: Tensor, values: &[i64]) -> Tensor {
    if !tensor.shape.is_empty() {
        tensor.shape = vec![values.len()];
    }
    let narrow = |&value: &i64| i32::try_from(value).unwrap_or(i32::MAX);
    tensor.values = match &tensor.values {
        Values::I32(_) => Values::I32(values.iter().map(narrow).collect()),
        _ => Values::I64(values.to_vec()),
    };
    tensor
}

/// A new initialiser of integers.
pub(super) fn integers(name: &str, tensor: &Tensor) -> TensorProto {
    let mut proto = TensorProto::new();
    proto.set_name(name.to_string());
    proto.set_data_type(match tensor.values {
        Values::I32(_) => DataType::INT32 as i32,
        _ => DataType::INT64 as i32,
    });
    proto.set_raw_data(Default::default());
    store::store(&mut proto, tensor);
    proto
}
