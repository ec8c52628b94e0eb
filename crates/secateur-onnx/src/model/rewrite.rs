//! Numbers of the graph that are written anew: attributes, constant inputs, stated shapes.

use std::collections::{HashMap, HashSet};

use super::decode::decode;
use super::initializer::{Tensor, Values};
use super::message::Model;
use super::proto::attribute_proto::AttributeType;
use super::proto::tensor_proto::DataType;
use super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto};
use super::proto::{ValueInfoProto, tensor_shape_proto::Dimension};
use super::store;
use super::stored::tensors_mut;

/// The graph of a message, to write numbers into its nodes. Nodes are known by any of their
/// outputs; nothing happens for one that does not exist.
pub(crate) struct Rewriter<'a> {
    graph: &'a mut GraphProto,
    by_output: HashMap<String, usize>,
}

impl Model {
    /// The graph, to be rewritten.
    pub(crate) fn rewriter(&mut self) -> Rewriter<'_> {
        let graph = self.proto.graph.mut_or_insert_default();
        let nodes = graph.node.iter().enumerate();
        let by_output = nodes
            .flat_map(|(index, node)| node.output.iter().map(move |name| (name.clone(), index)))
            .filter(|(name, _)| !name.is_empty())
            .collect();
        Rewriter { graph, by_output }
    }
}

impl Rewriter<'_> {
    fn node(&mut self, output: &str) -> Option<&mut NodeProto> {
        self.graph.node.get_mut(*self.by_output.get(output)?)
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
        let Some(&index) = self.by_output.get(node) else {
            return;
        };
        let old = self.graph.node[index].input.get(slot).cloned();
        let old = old.unwrap_or_default();
        let alone = !old.is_empty() && readers(self.graph, &old) == 1;
        let mut tensor = Tensor {
            shape: vec![values.len()],
            values: Values::I64(values.to_vec()),
        };
        for (name, proto) in tensors_mut(self.graph) {
            let stored = (name == old).then(|| decode(proto, &old, None));
            let Some(Ok(stored)) = stored else { continue };
            tensor = with_integers(stored, values);
            if alone {
                store::store(proto, &tensor);
                return;
            }
        }
        let name = self.free_name(index, slot);
        self.graph.initializer.push(integers(&name, &tensor));
        let inputs = &mut self.graph.node[index].input;
        if inputs.len() <= slot {
            inputs.resize(slot + 1, String::new());
        }
        inputs[slot] = name;
    }

    /// A name that no value has, for a new constant in that slot.
    fn free_name(&mut self, index: usize, slot: usize) -> String {
        let mut taken: HashSet<String> = HashSet::new();
        taken.extend(tensors_mut(self.graph).into_iter().map(|(name, _)| name));
        let outputs = self.graph.node.iter().flat_map(|node| &node.output);
        taken.extend(outputs.cloned());
        let output = self.graph.node[index].output.first();
        let base = format!("{}/input{slot}", output.map_or("", |name| name));
        let mut name = base.clone();
        let mut number = 1;
        while taken.contains(&name) {
            number += 1;
            name = format!("{base}_{number}");
        }
        name
    }

    /// Writes known extents of stated shapes anew, where `extent` tells one for value and axis.
    /// Initialisers that are listed among the inputs take the shapes of their tensors.
    pub(crate) fn set_extents(&mut self, extent: impl Fn(&str, usize) -> Option<i64>) {
        for info in &mut self.graph.value_info {
            let name = info.name().to_string();
            for (axis, dim) in known_extents(info) {
                if let Some(kept) = extent(&name, axis) {
                    dim.set_dim_value(kept);
                }
            }
        }
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
fn integers(name: &str, tensor: &Tensor) -> TensorProto {
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
