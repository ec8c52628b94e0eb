//! What each operator means for shapes, cost and channels: one file per idea.
//!
//! A rule never guesses: where it does not apply, the values it touches are
//! pinned with the reason, and the file still works. Where a rule loses track of
//! an axis (a window slides over it, a mean is taken), it pins that axis.

mod binary;
mod concat;
mod constant;
mod conv;
mod conv_transpose;
mod depth_space;
mod expand;
mod flatten;
mod gather;
mod linear;
mod norm;
mod pad;
mod pool;
mod reduce;
mod reshape;
mod resize;
mod slice;
mod softmax;
mod split;
mod squeeze;
mod transpose;
mod unary;

use crate::coupling::LabelContext;
use crate::error::Result;
use crate::graph::{Dim, Node};
use crate::shape::{IntValue, ShapeContext};

/// Shapes of a node's outputs; `None` where unknown.
pub type OutputShapes = Vec<Option<Vec<Dim>>>;

/// Multiply-adds of a sample: the product of these extents, times `scale`.
#[derive(Debug, Clone)]
pub struct MacTerm {
    /// Axes of values.
    pub axes: Vec<(String, usize)>,
    /// Positions that no removal changes (pixels).
    pub scale: u64,
}

/// The rules of one operator.
pub trait OpRule: Sync {
    /// Shapes of the outputs.
    ///
    /// # Errors
    /// [`crate::OnnxError::Graph`] for inputs that do not fit together.
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes>;

    /// Integers of the first output, where it is a computation on shapes.
    fn fold(&self, _node: &Node, _context: &ShapeContext<'_>) -> Option<IntValue> {
        None
    }

    /// Channel rule: gives the outputs their labels and merges what must go together.
    /// Inputs that it does not ask for are pinned.
    ///
    /// # Errors
    /// The reason why the node's values must stay as they are; they are pinned then.
    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String>;

    /// Multiply-adds of a sample (convolutions and matrix products); `None` for operators
    /// that have none, or where extents are not known.
    fn macs(&self, _node: &Node, _context: &ShapeContext<'_>) -> Option<MacTerm> {
        None
    }
}

/// Operators with rules, in alphabetical order.
pub const COVERED: &[(&str, &dyn OpRule)] = &[
    ("Abs", &unary::Unary),
    ("Add", &binary::Broadcast),
    ("And", &binary::Broadcast),
    ("ArgMax", &reduce::ArgReduce),
    ("ArgMin", &reduce::ArgReduce),
    ("AveragePool", &pool::Pool),
    ("BatchNormalization", &norm::BatchNormalization),
    ("Cast", &unary::Unary),
    ("Ceil", &unary::Unary),
    ("Celu", &unary::Unary),
    ("Clip", &unary::Unary),
    ("Concat", &concat::Concat),
    ("ConstantOfShape", &constant::ConstantOfShape),
    ("Conv", &conv::Conv),
    ("ConvTranspose", &conv_transpose::ConvTranspose),
    ("Cos", &unary::Unary),
    ("CumSum", &softmax::AlongAxis),
    ("DepthToSpace", &depth_space::DepthToSpace),
    ("Div", &binary::Broadcast),
    ("Dropout", &unary::Unary),
    ("Elu", &unary::Unary),
    ("Equal", &binary::Broadcast),
    ("Erf", &unary::Unary),
    ("Exp", &unary::Unary),
    ("Expand", &expand::Expand),
    ("Flatten", &flatten::Flatten),
    ("Floor", &unary::Unary),
    ("Gather", &gather::Gather),
    ("Gelu", &unary::Unary),
    ("Gemm", &linear::Gemm),
    ("GlobalAveragePool", &pool::GlobalPool),
    ("GlobalLpPool", &pool::GlobalPool),
    ("GlobalMaxPool", &pool::GlobalPool),
    ("Greater", &binary::Broadcast),
    ("GreaterOrEqual", &binary::Broadcast),
    ("GroupNormalization", &norm::AcrossChannels),
    ("HardSigmoid", &unary::Unary),
    ("HardSwish", &unary::Unary),
    ("Hardmax", &softmax::Softmax),
    ("Identity", &unary::Unary),
    ("InstanceNormalization", &norm::InstanceNormalization),
    ("IsInf", &unary::Unary),
    ("IsNaN", &unary::Unary),
    ("LRN", &norm::AcrossChannels),
    ("LayerNormalization", &norm::LayerNormalization),
    ("LeakyRelu", &unary::Unary),
    ("Less", &binary::Broadcast),
    ("LessOrEqual", &binary::Broadcast),
    ("Log", &unary::Unary),
    ("LogSoftmax", &softmax::Softmax),
    ("LpNormalization", &softmax::AlongAxis),
    ("LpPool", &pool::Pool),
    ("MatMul", &linear::MatMul),
    ("Max", &binary::Broadcast),
    ("MaxPool", &pool::Pool),
    ("Mean", &binary::Broadcast),
    ("Min", &binary::Broadcast),
    ("Mish", &unary::Unary),
    ("Mod", &binary::Broadcast),
    ("Mul", &binary::Broadcast),
    ("Neg", &unary::Unary),
    ("Not", &unary::Unary),
    ("Or", &binary::Broadcast),
    ("PRelu", &binary::Broadcast),
    ("Pad", &pad::Pad),
    ("Pow", &binary::Broadcast),
    ("Range", &constant::Range),
    ("Reciprocal", &unary::Unary),
    ("ReduceL1", &reduce::Reduce),
    ("ReduceL2", &reduce::Reduce),
    ("ReduceLogSum", &reduce::Reduce),
    ("ReduceLogSumExp", &reduce::Reduce),
    ("ReduceMax", &reduce::Reduce),
    ("ReduceMean", &reduce::Reduce),
    ("ReduceMin", &reduce::Reduce),
    ("ReduceProd", &reduce::Reduce),
    ("ReduceSum", &reduce::Reduce),
    ("ReduceSumSquare", &reduce::Reduce),
    ("Relu", &unary::Unary),
    ("Reshape", &reshape::Reshape),
    ("Resize", &resize::Resize),
    ("Round", &unary::Unary),
    ("ScatterElements", &unary::SameShape),
    ("ScatterND", &unary::SameShape),
    ("Selu", &unary::Unary),
    ("Shape", &constant::Shape),
    ("Shrink", &unary::Unary),
    ("Sigmoid", &unary::Unary),
    ("Sign", &unary::Unary),
    ("Sin", &unary::Unary),
    ("Size", &constant::SizeOf),
    ("Slice", &slice::Slice),
    ("Softmax", &softmax::Softmax),
    ("Softplus", &unary::Unary),
    ("Softsign", &unary::Unary),
    ("SpaceToDepth", &depth_space::SpaceToDepth),
    ("Split", &split::Split),
    ("Sqrt", &unary::Unary),
    ("Squeeze", &squeeze::Squeeze),
    ("Sub", &binary::Broadcast),
    ("Sum", &binary::Broadcast),
    ("Swish", &unary::Unary),
    ("Tanh", &unary::Unary),
    ("ThresholdedRelu", &unary::Unary),
    ("Tile", &expand::Tile),
    ("Transpose", &transpose::Transpose),
    ("Trilu", &unary::SameShape),
    ("Unsqueeze", &squeeze::Unsqueeze),
    ("Upsample", &resize::Resize),
    ("Where", &binary::Broadcast),
    ("Xor", &binary::Broadcast),
];

/// The rules of a node's operator, if it has some.
pub fn lookup(node: &Node) -> Option<&'static dyn OpRule> {
    if !node.is_standard() {
        return None;
    }
    let index = COVERED
        .binary_search_by_key(&node.op_type.as_str(), |(name, _)| name)
        .ok()?;
    Some(COVERED[index].1)
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

/// An axis counted from the front; `None` if it lies outside.
fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 {
        axis.checked_add(i64::try_from(rank).ok()?)?
    } else {
        axis
    };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

/// Axes counted from the front, sorted, without repetitions; `None` if one lies outside.
fn axes_of(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    let mut axes = axes
        .iter()
        .map(|&axis| axis_of(axis, rank))
        .collect::<Option<Vec<_>>>()?;
    axes.sort_unstable();
    let count = axes.len();
    axes.dedup();
    (axes.len() == count).then_some(axes)
}

/// Product of extents, where all are known.
fn product(dims: &[Dim]) -> Dim {
    match dims {
        [dim] => dim.clone(),
        _ => dims
            .iter()
            .try_fold(1usize, |product, dim| product.checked_mul(dim.fixed()?))
            .map_or(Dim::Unknown, Dim::Fixed),
    }
}

/// Every axis of a tensor.
fn all_axes(name: &str, rank: usize) -> Vec<(String, usize)> {
    (0..rank).map(|axis| (name.to_string(), axis)).collect()
}

/// Product of extents as a count.
fn pixels(dims: &[Dim]) -> Option<u64> {
    dims.iter().try_fold(1u64, |product, dim| {
        product.checked_mul(dim.fixed()? as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::COVERED;

    #[test]
    fn operators_are_in_alphabetical_order() {
        assert!(COVERED.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
