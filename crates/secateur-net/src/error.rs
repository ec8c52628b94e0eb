//! What can go wrong when a network is interpreted or trained.

use thiserror::Error;

/// Errors of the trainable network.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetError {
    /// A node that training has no rule for.
    #[error("cannot train: node `{node}` ({op_type}, opset {opset}) {reason}")]
    Unsupported {
        /// Node name.
        node: String,
        /// ONNX operator.
        op_type: String,
        /// Opset of the model.
        opset: i64,
        /// What exactly is missing.
        reason: String,
    },
    /// Inputs or outputs that are not those of a classifier.
    #[error("cannot train: {place}: {reason}")]
    Task {
        /// Graph, input or output.
        place: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// The graph refers to something that is not there or does not fit.
    #[error("cannot build the network: {place}: {reason}")]
    Graph {
        /// Node or tensor.
        place: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// A value reached an operator in a form that it does not take.
    #[error("cannot run node `{node}`: expected {expected}, got {got}")]
    Shape {
        /// Node name.
        node: String,
        /// Expected form.
        expected: String,
        /// What came.
        got: String,
    },
    /// Training produced NaN or infinity.
    #[error("training diverged at step {step}: {what} is not finite")]
    Diverged {
        /// Optimiser step, from 0.
        step: u64,
        /// What was not finite.
        what: String,
        /// Steps that the weights hold: those of whole passes over the data before; 0 where
        /// they are as given.
        kept: usize,
    },
    /// The ONNX part reports an error.
    #[error(transparent)]
    Onnx(#[from] secateur_onnx::OnnxError),
    /// An image can no longer be read.
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
}

impl NetError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unsupported { .. } | Self::Task { .. } => Some(
                "`prune --no-train --policy l2` needs neither gradients nor data, and `inspect` \
                 still works"
                    .to_string(),
            ),
            Self::Diverged { .. } => {
                Some("lower the learning rate (`--lr`, or `lr` in a config)".to_string())
            }
            Self::Data(error) => error.hint(),
            _ => None,
        }
    }
}

/// Result of this crate.
pub type Result<T, E = NetError> = std::result::Result<T, E>;
