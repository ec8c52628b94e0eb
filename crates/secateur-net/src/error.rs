//! What can go wrong when a network is interpreted or trained.

use secateur_onnx::graph::ValueInfo;
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
    /// Inputs or outputs that no task takes.
    #[error("cannot train: {place}: {reason}")]
    Task {
        /// Graph, input or output.
        place: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// Outputs that cannot be what the user says that they are.
    #[error("cannot take the outputs for task `{task}`: {place}: {reason}")]
    Wish {
        /// The task.
        task: &'static str,
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
    /// A window does not fit what reached its operator.
    #[error("cannot run node `{node}`: expected {expected}")]
    Window {
        /// Node name.
        node: String,
        /// Expected form.
        expected: String,
        /// What does not fit.
        source: secateur_cpu::conv::ShapeError,
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
    /// A network that another engine was to run.
    #[error("cannot run the network in another engine: {reason}")]
    Elsewhere {
        /// What that engine said.
        reason: String,
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
                "pruning by the norms of the weights needs neither gradients nor data, and \
                 looking at the file still works"
                    .to_string(),
            ),
            Self::Wish { .. } => Some("task `match` takes any outputs (docs/tasks.md)".to_string()),
            Self::Diverged { .. } => Some("lower the learning rate".to_string()),
            Self::Data(error) => error.hint(),
            _ => None,
        }
    }
}

/// Result of this crate.
pub type Result<T, E = NetError> = std::result::Result<T, E>;

/// Names and shapes, for people.
pub(crate) fn listed(values: &[ValueInfo]) -> String {
    let one = |value: &ValueInfo| {
        let dims: Vec<String> = value.shape.iter().map(ToString::to_string).collect();
        format!("`{}` [{}]", value.name, dims.join(", "))
    };
    values.iter().map(one).collect::<Vec<_>>().join(", ")
}
