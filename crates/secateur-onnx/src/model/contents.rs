//! What a message holds, as typed values: the only way in which the rest of the crate reads it.

use super::decode::{Reading, sparse_placeholder};
use super::initializer::StoredTensor;
use super::message::Model;
use super::node::Node;
use super::proto::GraphProto;
use super::value_info::ValueInfo;
use crate::error::Result;

impl Model {
    fn graph(&self) -> &GraphProto {
        &self.proto.graph
    }

    /// Name of the graph.
    pub(crate) fn graph_name(&self) -> &str {
        self.graph().name()
    }

    /// Operator sets that the file uses, with their versions; the standard one has no name.
    pub fn operator_sets(&self) -> impl Iterator<Item = (&str, i64)> {
        let imports = self.proto.opset_import.iter();
        imports.map(|import| (import.domain(), import.version()))
    }

    /// Inputs that are fed: initialisers, which older files list too, are left out.
    pub(crate) fn fed_inputs(&self) -> impl Iterator<Item = ValueInfo> {
        let is_stored = |name: &str| {
            let mut stored = self.graph().initializer.iter();
            stored.any(|tensor| tensor.name() == name)
        };
        let inputs = self.graph().input.iter();
        inputs
            .filter(move |input| !is_stored(input.name()))
            .map(ValueInfo::from_proto)
    }

    /// Outputs.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = ValueInfo> {
        self.graph().output.iter().map(ValueInfo::from_proto)
    }

    /// What the file states of values in between.
    pub(crate) fn value_infos(&self) -> impl Iterator<Item = ValueInfo> {
        self.graph().value_info.iter().map(ValueInfo::from_proto)
    }

    /// Initialisers, then sparse ones.
    pub(crate) fn initializers(
        &self,
        reading: Reading,
    ) -> impl Iterator<Item = Result<StoredTensor>> {
        let dense = self.graph().initializer.iter().map(move |proto| {
            Ok(StoredTensor {
                name: proto.name().to_string(),
                tensor: reading.decode(proto, proto.name(), self.base_dir.as_deref())?,
                can_be_cut: true,
            })
        });
        let sparse = self.graph().sparse_initializer.iter().map(|proto| {
            let name = proto.values.name();
            Ok(StoredTensor {
                name: name.to_string(),
                tensor: sparse_placeholder(proto, name)?,
                can_be_cut: false,
            })
        });
        dense.chain(sparse)
    }

    /// Nodes in the order of the file, `Constant` ones among them.
    pub(crate) fn nodes(&self, reading: Reading) -> impl Iterator<Item = Result<Node>> {
        let nodes = self.graph().node.iter();
        nodes.map(move |node| Node::from_proto(node, self.base_dir.as_deref(), reading))
    }
}
