//! Stored tensors of a graph by name, to be changed where they lie.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::decode::{Raw, decode, raw};
use super::initializer::Tensor;
use super::message::Model;
use super::proto::{AttributeProto, GraphProto, TensorProto};
use super::scopes::{Place, subgraphs};
use super::store;
use crate::error::{OnnxError, Result};

/// A stored tensor: an initialiser, or the tensor of a `Constant` node.
pub(crate) struct StoredMut<'a> {
    /// Name of the value.
    pub name: String,
    proto: &'a mut TensorProto,
    base_dir: Option<&'a Path>,
}

impl StoredMut<'_> {
    /// The elements as one run of bytes; `None` if they are kept in another form.
    ///
    /// # Errors
    /// [`crate::OnnxError::Tensor`] if it contradicts itself or cannot be read.
    pub(crate) fn raw(&self) -> Result<Option<Raw<'_>>> {
        raw(self.proto, &self.name, self.base_dir)
    }

    /// The tensor, decoded.
    ///
    /// # Errors
    /// As [`StoredMut::raw`].
    pub(crate) fn decode(&self) -> Result<Tensor> {
        decode(self.proto, &self.name, self.base_dir)
    }

    /// Stores other elements in one run of bytes.
    pub(crate) fn store_raw(&mut self, shape: &[usize], bytes: Vec<u8>) {
        store::store_raw(self.proto, shape, bytes);
    }

    /// Stores another tensor of the same type, in the kind of storage that it has now.
    pub(crate) fn store(&mut self, tensor: &Tensor) {
        store::store(self.proto, tensor);
    }

    /// Replaces the values of a float tensor, keeping type and storage.
    ///
    /// # Errors
    /// [`crate::OnnxError::Tensor`] for another number of values, or if it is no float tensor.
    pub(super) fn replace_floats(&mut self, values: &[f32]) -> Result<()> {
        store::replace_floats(self.proto, &self.name, values, self.base_dir)
    }
}

/// A number, or a list of them, that a `Constant` node holds in place of a tensor.
pub(crate) struct NumbersMut<'a> {
    /// Name of the value.
    pub name: String,
    proto: &'a mut AttributeProto,
}

impl NumbersMut<'_> {
    /// The list of floats; empty for anything else.
    pub(crate) fn floats(&mut self) -> &mut Vec<f32> {
        &mut self.proto.floats
    }

    /// The list of integers; empty for anything else.
    pub(crate) fn ints(&mut self) -> &mut Vec<i64> {
        &mut self.proto.ints
    }

    /// Replaces a single float, or as many floats of a list. False if it holds something else.
    pub(super) fn replace_floats(&mut self, values: &[f32]) -> bool {
        match values {
            &[value] if self.proto.name() == "value_float" => self.proto.set_f(value),
            _ if self.proto.floats.len() == values.len() => self.proto.floats = values.to_vec(),
            _ => return false,
        }
        true
    }
}

impl Model {
    /// All stored tensors of the graph and its subgraphs.
    pub(crate) fn stored_mut(&mut self) -> Vec<StoredMut<'_>> {
        let base_dir = self.base_dir.as_deref();
        let graph = self.proto.graph.mut_or_insert_default();
        tensors_mut(graph)
            .into_iter()
            .map(|(name, proto)| StoredMut {
                name,
                proto,
                base_dir,
            })
            .collect()
    }

    /// All numbers and lists that `Constant` nodes hold, those in subgraphs included.
    pub(crate) fn numbers_mut(&mut self) -> Vec<NumbersMut<'_>> {
        let graph = self.proto.graph.mut_or_insert_default();
        let mut places = Vec::new();
        constants(graph, "", &mut places);
        let numbers = places.into_iter().filter_map(|(name, place)| match place {
            Stored::Attribute(proto) => {
                let holds_numbers =
                    matches!(proto.name(), "value_float" | "value_floats" | "value_ints");
                holds_numbers.then_some(NumbersMut { name, proto })
            }
            Stored::Tensor(_) => None,
        });
        numbers.collect()
    }

    /// The same model with other values in its float initialisers; names that the
    /// model lacks are an error, so that no weight is lost silently.
    ///
    /// # Errors
    /// [`OnnxError::Tensor`] for an unknown name or another number of values.
    pub fn with_weights(&self, values: &BTreeMap<String, Vec<f32>>) -> Result<Self> {
        let mut model = self.clone();
        let mut left: BTreeMap<&String, &Vec<f32>> = values.iter().collect();
        for mut stored in model.stored_mut() {
            if let Some(values) = left.remove(&stored.name) {
                stored.replace_floats(values)?;
            }
        }
        for mut numbers in model.numbers_mut() {
            let values = left.get(&numbers.name).copied();
            if values.is_some_and(|values| numbers.replace_floats(values)) {
                left.remove(&numbers.name);
            }
        }
        match left.keys().next() {
            None => Ok(model),
            Some(name) => Err(OnnxError::Tensor {
                tensor: (*name).clone(),
                reason: "the model has no initializer of that name and length".to_string(),
            }),
        }
    }
}

/// What a graph stores for a value.
enum Stored<'a> {
    /// An initialiser.
    Tensor(&'a mut TensorProto),
    /// The attribute of a `Constant` node.
    Attribute(&'a mut AttributeProto),
}

/// Everything that a graph and its subgraphs store, under whole names.
fn constants<'a>(graph: &'a mut GraphProto, prefix: &str, found: &mut Vec<(String, Stored<'a>)>) {
    let inner = subgraphs(&graph.node, prefix);
    let mut prefixes: HashMap<Place, String> = inner
        .into_iter()
        .map(|(place, prefix, _)| (place, prefix))
        .collect();
    for tensor in &mut graph.initializer {
        found.push((format!("{prefix}{}", tensor.name()), Stored::Tensor(tensor)));
    }
    for (node, proto) in graph.node.iter_mut().enumerate() {
        let is_constant = proto.op_type() == "Constant";
        let output = proto.output.first().cloned().unwrap_or_default();
        for (attribute, proto) in proto.attribute.iter_mut().enumerate() {
            if is_constant {
                found.push((format!("{prefix}{output}"), Stored::Attribute(proto)));
                continue;
            }
            let graphs = proto.g.as_mut().into_iter().chain(&mut proto.graphs);
            for (graph, inner) in graphs.enumerate() {
                let place = Place {
                    node,
                    attribute,
                    graph,
                };
                if let Some(prefix) = prefixes.remove(&place) {
                    constants(inner, &prefix, found);
                }
            }
        }
    }
}

/// Stored tensors of a graph and its subgraphs with their whole names.
pub(super) fn tensors_mut(graph: &mut GraphProto) -> Vec<(String, &mut TensorProto)> {
    let mut places = Vec::new();
    constants(graph, "", &mut places);
    let tensors = places.into_iter().filter_map(|(name, place)| match place {
        Stored::Tensor(tensor) => Some((name, tensor)),
        Stored::Attribute(proto) if proto.name() == "value" => Some((name, proto.t.as_mut()?)),
        Stored::Attribute(_) => None,
    });
    tensors.collect()
}

/// As [`tensors_mut`], to look at.
pub(super) fn tensors(graph: &GraphProto) -> impl Iterator<Item = (&str, &TensorProto)> {
    let constants = graph
        .node
        .iter()
        .filter(|node| node.op_type() == "Constant");
    let in_nodes = constants.filter_map(|node| {
        let value = node.attribute.iter().find(|a| a.name() == "value")?;
        Some((node.output.first()?.as_str(), value.t.as_ref()?))
    });
    let initializers = graph.initializer.iter();
    in_nodes.chain(initializers.map(|proto| (proto.name(), proto)))
}
