//! What each operator means for shapes, cost and channels: one file per idea.
//!
//! A rule never guesses: where it does not apply, the values it touches are
//! pinned with the reason, and the file still works.

mod binary;
mod concat;
mod conv;
mod flatten;
mod linear;
mod norm;
mod pool;
mod softmax;
mod unary;

use crate::coupling::LabelContext;
use crate::error::Result;
use crate::graph::{Dim, Node};
use crate::shape::ShapeContext;

/// Shapes of a node's outputs; `None` where unknown.
pub type OutputShapes = Vec<Option<Vec<Dim>>>;

/// The rules of one operator.
pub trait OpRule: Sync {
    /// Shapes of the outputs.
    ///
    /// # Errors
    /// [`crate::OnnxError::Graph`] for inputs that do not fit together.
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes>;

    /// Integers of the first output, where it is a computation on shapes.
    fn fold(&self, _node: &Node, _context: &ShapeContext<'_>) -> Option<Vec<i64>> {
        None
    }

    /// Channel rule: gives the outputs their labels and merges what must go together.
    ///
    /// # Errors
    /// The reason why the node's values must stay as they are; they are pinned then.
    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String>;

    /// True if the multiply-adds of a sample are the weights' elements times the
    /// output's pixels (convolutions and matrix products with stored weights).
    fn weighted_pixels(&self, _node: &Node, _context: &ShapeContext<'_>) -> Option<u64> {
        None
    }
}

/// The rules of a node's operator, if it has some.
pub fn lookup(node: &Node) -> Option<&'static dyn OpRule> {
    if !node.is_standard() {
        return None;
    }
    Some(match node.op_type.as_str() {
        "Conv" => &conv::Conv,
        "BatchNormalization" => &norm::BatchNormalization,
        "Gemm" => &linear::Gemm,
        "MatMul" => &linear::MatMul,
        "MaxPool" | "AveragePool" | "LpPool" => &pool::Pool,
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => &pool::GlobalPool,
        "Flatten" => &flatten::Flatten,
        "Reshape" => &flatten::Reshape,
        "Concat" => &concat::Concat,
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "PRelu" | "Max" | "Min" | "Sum" | "Mean" => {
            &binary::Broadcast
        }
        "Softmax" | "LogSoftmax" => &softmax::Softmax,
        "Relu" | "LeakyRelu" | "Clip" | "Sigmoid" | "HardSigmoid" | "HardSwish" | "Elu"
        | "Selu" | "Celu" | "Tanh" | "Mish" | "Gelu" | "Swish" | "Softplus" | "Softsign"
        | "ThresholdedRelu" | "Erf" | "Exp" | "Log" | "Sqrt" | "Abs" | "Neg" | "Reciprocal"
        | "Floor" | "Ceil" | "Round" | "Sign" | "Identity" | "Dropout" | "Cast" => &unary::Unary,
        _ => return None,
    })
}

/// An error that names the node.
pub(crate) fn misfit(
    context: &ShapeContext<'_>,
    node: &Node,
    reason: impl Into<String>,
) -> crate::OnnxError {
    crate::OnnxError::Graph {
        graph: context.graph.name.clone(),
        place: format!("node `{}` ({})", node.name, node.op_type),
        reason: reason.into(),
    }
}
