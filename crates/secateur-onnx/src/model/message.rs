//! The whole message of a file, and its metadata.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::proto::{Message, ModelProto, StringStringEntryProto};
use crate::error::{OnnxError, Result};

/// A model: the complete message, and where its external data lie.
#[derive(Debug, Clone)]
pub struct Model {
    /// The message, with unknown fields.
    pub(super) proto: ModelProto,
    /// Folder of the file, for external data.
    pub base_dir: Option<PathBuf>,
    /// Weights that were stored in place of their computation.
    pub(super) computed: Vec<String>,
}

impl Model {
    /// Reads a file.
    ///
    /// # Errors
    /// [`OnnxError::Io`] if it cannot be read, [`OnnxError::NotOnnx`] if it is no model.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        // Not by `fs_err`: the error names the path already.
        let bytes = std::fs::read(path).map_err(|source| OnnxError::Io {
            action: "read",
            path: path.to_path_buf(),
            source,
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
        Ok(Self {
            proto,
            base_dir,
            computed: Vec::new(),
        })
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

    /// A metadata entry of the file.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.proto
            .metadata_props
            .iter()
            .find(|entry| entry.key() == key)
            .map(|e| e.value())
    }

    /// Takes a metadata entry away.
    pub(super) fn remove_metadata(&mut self, key: &str) {
        self.proto.metadata_props.retain(|entry| entry.key() != key);
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
