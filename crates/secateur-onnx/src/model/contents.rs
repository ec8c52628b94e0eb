//! What a message holds, as typed values: the only way in which the rest of the crate reads it.

use super::decode::{Reading, sparse_placeholder};
use super::initializer::StoredTensor;
use super::message::Model;
use super::node::Node;
use super::proto::GraphProto;
use super::scopes::Scope;
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

    /// What is to be fed, as the file states it.
    pub fn inputs(&self) -> Vec<ValueInfo> {
        self.fed_inputs().collect()
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

    /// All graphs of the file: its own, and the subgraphs of its nodes.
    fn scopes(&self) -> Vec<Scope<'_>> {
        Scope::all(self.graph())
    }

    /// What the file states of values in between, those in subgraphs included.
    pub(crate) fn value_infos(&self) -> Vec<ValueInfo> {
        let mut found = Vec::new();
        for scope in self.scopes() {
            let infos = scope.graph.value_info.iter();
            found.extend(infos.map(|info| scope.value_info(info)));
        }
        found
    }

    /// Initialisers, then sparse ones; those of subgraphs come behind those of the graph that
    /// they lie in.
    ///
    /// # Errors
    /// [`crate::OnnxError::Tensor`] for the first that contradicts itself.
    pub(crate) fn initializers(&self, reading: Reading) -> Result<Vec<StoredTensor>> {
        let mut found = Vec::new();
        for scope in self.scopes() {
            for proto in &scope.graph.initializer {
                let name = scope.resolve(proto.name());
                found.push(StoredTensor {
                    tensor: reading.decode(proto, &name, self.base_dir.as_deref())?,
                    name,
                    can_be_cut: true,
                });
            }
            for proto in &scope.graph.sparse_initializer {
                let name = scope.resolve(proto.values.name());
                found.push(StoredTensor {
                    tensor: sparse_placeholder(proto, &name)?,
                    name,
                    can_be_cut: false,
                });
            }
        }
        Ok(found)
    }

    /// Nodes in the order of the file, `Constant` ones among them; those of subgraphs come
    /// behind those of the graph that they lie in.
    ///
    /// # Errors
    /// [`crate::OnnxError::Tensor`] for the first attribute that contradicts itself.
    pub(crate) fn nodes(&self, reading: Reading) -> Result<Vec<Node>> {
        let mut found = Vec::new();
        for scope in self.scopes() {
            for (index, proto) in scope.graph.node.iter().enumerate() {
                let node = Node::from_proto(proto, self.base_dir.as_deref(), reading)?;
                found.push(scope.place(index, node));
            }
        }
        Ok(found)
    }
}
