//! An ONNX file as a whole message, read and written.
//!
//! Nothing outside this folder knows protobuf: the message is read through `contents` and
//! changed through `stored` and `rewrite`.

mod beside;
mod build;
mod contents;
mod decode;
mod external_data;
mod image_size;
mod initializer;
mod node;
mod proto;
mod rewrite;
mod store;
mod stored;
mod tensors;
mod typed;
mod unshare;
mod value_info;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) use build::ModelBuilder;
pub(crate) use decode::{ALWAYS_READ, Reading};
pub use image_size::IMAGE_SIZE;
pub(crate) use image_size::fill as fill_image_size;
pub(crate) use initializer::StoredTensor;
pub use initializer::{Tensor, Values};
pub use node::{Attribute, Node};
pub(crate) use rewrite::Rewriter;
pub(crate) use stored::StoredMut;
pub use value_info::{Dim, ValueInfo};
pub use write::new_beside;

use bytes::Bytes;

use crate::error::{OnnxError, Result};
use proto::{Message, ModelProto, StringStringEntryProto};

/// A model: the complete message, and where its external data lie.
#[derive(Debug, Clone)]
pub struct Model {
    /// The message, with unknown fields.
    proto: ModelProto,
    /// Folder of the file, for external data.
    pub base_dir: Option<PathBuf>,
}

impl Model {
    /// Reads a file.
    ///
    /// # Errors
    /// [`OnnxError::Io`] if it cannot be read, [`OnnxError::NotOnnx`] if it is no model.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs_err::read(path).map_err(|error| OnnxError::Io {
            action: "read",
            path: path.to_path_buf(),
            reason: source_reason(&error),
        })?;
        Self::parse(bytes.into(), path, path.parent())
    }

    /// Reads a model from memory; external data are looked for in `base_dir`.
    ///
    /// # Errors
    /// [`OnnxError::NotOnnx`] if the bytes are no model.
    pub fn from_bytes(bytes: &[u8], base_dir: Option<&Path>) -> Result<Self> {
        Self::parse(
            Bytes::copy_from_slice(bytes),
            Path::new("(memory)"),
            base_dir,
        )
    }

    /// Stored tensors stay where they are in `bytes`; copies of the model share them.
    fn parse(bytes: Bytes, path: &Path, base_dir: Option<&Path>) -> Result<Self> {
        let not_onnx = |reason: String| OnnxError::NotOnnx {
            path: path.to_path_buf(),
            reason,
        };
        let proto = ModelProto::parse_from_tokio_bytes(&bytes)
            .map_err(|error| not_onnx(format!("expected an ONNX model: {error}")))?;
        if proto.graph.is_none() {
            return Err(not_onnx(
                "expected an ONNX model, found no graph in it".to_string(),
            ));
        }
        let base_dir = base_dir.map(|dir| {
            if dir.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                dir.to_path_buf()
            }
        });
        Ok(Self { proto, base_dir })
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`OnnxError::NotOnnx`] if the message cannot be written (over 2 GiB).
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.proto
            .write_to_bytes()
            .map_err(|error| OnnxError::NotOnnx {
                path: PathBuf::from("(memory)"),
                reason: error.to_string(),
            })
    }

    /// Writes a file: beside, synced, then renamed, so that it is never half there.
    ///
    /// Tensors with external data are copied to a file of their own, `<name>.data` beside
    /// it, piece by piece; so is every large tensor if the message would grow beyond
    /// what protobuf allows (2 GiB).
    ///
    /// # Errors
    /// [`OnnxError::Io`] naming the file; [`OnnxError::Tensor`] for external data that
    /// cannot be read.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        write::write(self, path.as_ref())
    }

    /// The same model with a copy of its own for every reader of a vector.
    ///
    /// Exporters store equal tensors once, so that biases of zero and scales of one are
    /// shared between layers that have nothing to do with each other. Training would tie
    /// them together, and their channels would be coupled. What a node `Identity` of a stored
    /// vector hands on is read from a stored vector instead; the node stays. Numbers of a
    /// formula (a vector of one that others are multiplied by, scales of a `Resize`) stay shared.
    pub fn unshared(&self) -> Self {
        let mut model = self.clone();
        unshare::unshare(model.proto.graph.mut_or_insert_default());
        model
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

    /// A metadata entry of the file.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.proto
            .metadata_props
            .iter()
            .find(|entry| entry.key() == key)
            .map(|e| e.value())
    }

    /// Sets a metadata entry.
    pub fn set_metadata(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        let entries = &mut self.proto.metadata_props;
        match entries.iter_mut().find(|entry| entry.key() == key) {
            Some(entry) => entry.set_value(value),
            None => {
                let mut entry = StringStringEntryProto::new();
                entry.set_key(key.to_string());
                entry.set_value(value);
                entries.push(entry);
            }
        }
    }
}

/// fs-err puts the path in front; the reason alone is wanted here.
fn source_reason(error: &std::io::Error) -> String {
    error
        .get_ref()
        .and_then(|inner| inner.source())
        .map_or_else(|| error.to_string(), std::string::ToString::to_string)
}
