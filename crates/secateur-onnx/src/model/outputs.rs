//! A model that gives other values out.

use std::collections::{BTreeMap, HashSet};

use super::message::Model;

impl Model {
    /// The same model with other values in place of some of its outputs: what is computed in
    /// front of them, of the same type. An output that would be there twice is left out.
    #[must_use]
    pub fn with_outputs(&self, instead: &BTreeMap<String, String>) -> Self {
        let mut model = self.clone();
        let graph = model.proto.graph.mut_or_insert_default();
        let mut taken: HashSet<String> = HashSet::new();
        graph.output.retain_mut(|output| {
            if let Some(name) = instead.get(output.name()) {
                output.set_name(name.clone());
                let type_ = output
                    .type_
                    .as_mut()
                    .filter(|type_| type_.has_tensor_type());
                if let Some(type_) = type_ {
                    type_.mut_tensor_type().shape.clear();
                }
            }
            taken.insert(output.name().to_string())
        });
        // Readers refuse a value that is stated twice.
        graph.value_info.retain(|info| !taken.contains(info.name()));
        model
    }
}
