//! A model and the files beside it, taken together.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::message::Model;
use super::proto::tensor_proto::DataLocation;
use super::{store, tensors};
use crate::error::Result;

impl Model {
    /// Bytes of `file`, which this model was read from, and of the files with its external data.
    pub fn stored_bytes(&self, file: &Path) -> u64 {
        let mut beside = BTreeSet::new();
        tensors::visit(&self.proto, &mut |tensor| {
            if tensor.data_location() == DataLocation::EXTERNAL {
                let entries = tensor.external_data.iter();
                let location = entries.filter(|entry| entry.key() == "location");
                beside.extend(location.map(|entry| entry.value().to_string()));
            }
        });
        let folder = self.base_dir.as_deref().unwrap_or(Path::new("."));
        let is_inside = |name: &&String| {
            let mut parts = Path::new(name).components();
            parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        };
        let beside = beside.iter().filter(is_inside);
        let files = beside.map(|name| folder.join(name));
        let length = |path: &Path| fs_err::metadata(path).map_or(0, |m| m.len());
        length(file) + files.map(|path| length(&path)).sum::<u64>()
    }

    /// The same model in one message, for programs that take nothing else: external data are
    /// read in. Shapes that the file claims for values inside it are left out: exporters write
    /// symbols there that contradict a batch of a given size.
    ///
    /// # Errors
    /// [`crate::OnnxError::Tensor`] for external data that cannot be read.
    pub fn self_contained(&self) -> Result<Self> {
        let mut model = self.clone();
        let base_dir = model.base_dir.clone();
        tensors::try_visit_mut(&mut model.proto, &mut |tensor| {
            store::bring_in(tensor, base_dir.as_deref())
        })?;
        if let Some(graph) = model.proto.graph.as_mut() {
            graph.value_info.clear();
        }
        Ok(model)
    }
}
