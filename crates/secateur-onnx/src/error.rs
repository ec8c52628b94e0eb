//! What can go wrong with an ONNX file.

use std::path::PathBuf;

use thiserror::Error;

/// Errors of reading, understanding and cutting ONNX files.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not an ONNX model.
    #[error("cannot read `{}`: {reason}", path.display())]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A stored tensor contradicts itself.
    #[error("cannot read tensor `{tensor}`: {reason}")]
    Tensor {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// The graph contradicts itself.
    #[error("cannot use graph `{graph}`: {place}: {reason}")]
    Graph {
        /// Name of the graph.
        graph: String,
        /// Node or value.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// Kernels cannot be removed.
    #[error("cannot remove kernels: group `{group}`: {reason}")]
    Surgery {
        /// Name of the channel group.
        group: String,
        /// Why not.
        reason: String,
    },
    /// A shape that an input of the file cannot have.
    #[error("cannot use input shape `{shape}`: {reason}")]
    InputShape {
        /// The shape, as text.
        shape: String,
        /// What speaks against it.
        reason: String,
    },
    /// Settings of an architecture that make no network.
    #[error("cannot build the network: {reason}")]
    Architecture {
        /// What is wrong.
        reason: String,
    },
}

impl OnnxError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = "the file looks truncated or is not an ONNX model; copy or export it again";
        matches!(self, Self::NotOnnx { .. }).then(|| hint.to_string())
    }
}

/// Result of this crate.
pub type Result<T, E = OnnxError> = std::result::Result<T, E>;
