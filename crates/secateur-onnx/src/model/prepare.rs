//! A model as pruning takes it.

use std::collections::{BTreeMap, HashSet};

use protobuf::EnumOrUnknown;

use super::initializer::{Tensor, Values};
use super::message::Model;
use super::proto::tensor_proto::{DataLocation, DataType};
use super::proto::{GraphProto, NodeProto, StringStringEntryProto, TensorProto};
use super::{store, tensors};
use crate::computed;
use crate::graph::Graph;

/// Tensors need not be listed as inputs from this version of the format on.
const FREE_INITIALIZERS: i64 = 4;

impl Model {
    /// The same model as pruning takes it: layers have vectors of their own
    /// ([`Self::unshared`]), and weights that are computed from stored tensors alone stand in
    /// place of their computation ([`Self::computed_weights`] names them). The outputs are the
    /// same.
    pub fn prepared(&self) -> Self {
        let mut model = self.clone();
        // A graph that contradicts itself is reported by whoever reads it next.
        let computes = Graph::outline(self).is_ok_and(|outline| computed::are_there(&outline));
        if computes && let Ok(graph) = Graph::from_model(self) {
            model.store_computed(computed::evaluate(&graph));
        }
        model.unshared()
    }

    /// Names of the weights that [`Self::prepared`] has stored in place of their computation.
    pub fn computed_weights(&self) -> &[String] {
        &self.computed
    }

    /// Stores values in place of their computation, and takes away what nobody reads any more.
    fn store_computed(&mut self, values: BTreeMap<String, Tensor>) {
        let mut beside = false;
        tensors::visit(&self.proto, &mut |tensor| {
            beside |= tensor.data_location() == DataLocation::EXTERNAL;
        });
        let graph = self.proto.graph.mut_or_insert_default();
        let computes =
            |node: &NodeProto| matches!(&node.output[..], [output] if values.contains_key(output));
        let (gone, kept): (Vec<_>, Vec<_>) = graph.node.drain(..).partition(computes);
        graph.node = kept;
        // Names in subgraphs are not those of the message's own graph: what is not found is left.
        for output in gone.iter().flat_map(|node| &node.output) {
            if let Some(tensor) = values.get(output) {
                graph.initializer.push(stored(output, tensor, beside));
                self.computed.push(output.clone());
            }
        }
        let mut unread: HashSet<String> = gone.into_iter().flat_map(|node| node.input).collect();
        while !unread.is_empty() {
            let mut read = HashSet::new();
            names_read(graph, &mut read);
            unread.retain(|name| !read.contains(name));
            graph
                .initializer
                .retain(|tensor| !unread.contains(tensor.name()));
            graph
                .value_info
                .retain(|info| !unread.contains(info.name()));
            // Further outputs of such a node, statistics of a norm, may have no reader at all.
            let is_needed = |node: &NodeProto| {
                let outputs = || node.output.iter().filter(|output| !output.is_empty());
                outputs().any(|output| read.contains(output))
                    || !outputs().any(|output| unread.contains(output))
            };
            let (kept, gone): (Vec<_>, Vec<_>) = graph.node.drain(..).partition(is_needed);
            graph.node = kept;
            unread = gone.into_iter().flat_map(|node| node.input).collect();
        }
        if self.proto.ir_version() < FREE_INITIALIZERS {
            self.proto.set_ir_version(FREE_INITIALIZERS);
        }
    }
}

/// Names that nodes read, those of subgraphs included, and outputs.
fn names_read(graph: &GraphProto, read: &mut HashSet<String>) {
    read.extend(graph.output.iter().map(|output| output.name().to_string()));
    for node in &graph.node {
        read.extend(node.input.iter().cloned());
        let attributes = node.attribute.iter();
        for inner in attributes.flat_map(|a| a.g.as_ref().into_iter().chain(&a.graphs)) {
            names_read(inner, read);
        }
    }
}

/// A new initialiser; `beside` says that it belongs into a file beside the model.
fn stored(name: &str, tensor: &Tensor, beside: bool) -> TensorProto {
    let mut proto = TensorProto::new();
    proto.set_name(name.to_string());
    let data_type = match &tensor.values {
        Values::F64(_) => DataType::DOUBLE,
        Values::F16(_) => DataType::FLOAT16,
        Values::Bf16(_) => DataType::BFLOAT16,
        _ => DataType::FLOAT,
    };
    proto.set_data_type(data_type as i32);
    proto.set_raw_data(Default::default());
    if beside {
        let mut location = StringStringEntryProto::new();
        location.set_key("location".to_string());
        proto.external_data.push(location);
        proto.data_location = Some(EnumOrUnknown::new(DataLocation::EXTERNAL));
    }
    store::store(&mut proto, tensor);
    proto
}
