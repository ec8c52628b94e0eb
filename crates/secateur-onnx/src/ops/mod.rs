//! What each operator means for shapes, channels, parameters and cost: one file per idea.
//!
//! [`OpRule`] says what is asked of an operator, [`COVERED`] lists those that have an answer.
//! A rule never guesses: where it does not apply, the values it touches are
//! pinned with the reason, and the file still works. Where a rule loses track of
//! an axis (a window slides over it, a mean is taken), it pins that axis.

mod axes;
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
mod relabel;
mod reshape;
mod resize;
mod rule;
mod slice;
mod softmax;
mod split;
mod squeeze;
mod transpose;
mod unary;

pub use rule::{MacTerm, Macs, OpRule, OutputShapes, Stored, WeightRole};

use crate::graph::Node;

/// Operators with rules, in alphabetical order.
pub const COVERED: &[(&str, &dyn OpRule)] = &[
    ("Abs", &unary::Unary::Computes),
    ("Add", &binary::Broadcast::Affine),
    ("And", &binary::Broadcast::Plain),
    ("ArgMax", &reduce::ArgReduce),
    ("ArgMin", &reduce::ArgReduce),
    ("AveragePool", &pool::Pool),
    ("BatchNormalization", &norm::BatchNormalization),
    ("Cast", &unary::Unary::Copies),
    ("Ceil", &unary::Unary::Computes),
    ("Celu", &unary::Unary::Computes),
    ("Clip", &unary::Unary::Computes),
    ("Concat", &concat::Concat),
    ("ConstantOfShape", &constant::ConstantOfShape),
    ("Conv", &conv::Conv),
    ("ConvTranspose", &conv_transpose::ConvTranspose),
    ("Cos", &unary::Unary::Computes),
    ("CumSum", &softmax::AlongAxis),
    ("DepthToSpace", &depth_space::DepthToSpace),
    ("Div", &binary::Broadcast::Plain),
    ("Dropout", &unary::Unary::Computes),
    ("Elu", &unary::Unary::Computes),
    ("Equal", &binary::Broadcast::Plain),
    ("Erf", &unary::Unary::Computes),
    ("Exp", &unary::Unary::Computes),
    ("Expand", &expand::Expand),
    ("Flatten", &flatten::Flatten),
    ("Floor", &unary::Unary::Computes),
    ("Gather", &gather::Gather),
    ("Gelu", &unary::Unary::Computes),
    ("Gemm", &linear::Gemm),
    ("GlobalAveragePool", &pool::GlobalPool),
    ("GlobalLpPool", &pool::GlobalPool),
    ("GlobalMaxPool", &pool::GlobalPool),
    ("Greater", &binary::Broadcast::Plain),
    ("GreaterOrEqual", &binary::Broadcast::Plain),
    ("GroupNormalization", &norm::GroupNormalization),
    ("HardSigmoid", &unary::Unary::Computes),
    ("HardSwish", &unary::Unary::Computes),
    ("Hardmax", &softmax::Softmax),
    ("Identity", &unary::Unary::Copies),
    ("InstanceNormalization", &norm::InstanceNormalization),
    ("IsInf", &unary::Unary::Computes),
    ("IsNaN", &unary::Unary::Computes),
    ("LRN", &norm::LocalResponse),
    ("LayerNormalization", &norm::LayerNormalization),
    ("LeakyRelu", &unary::Unary::Computes),
    ("Less", &binary::Broadcast::Plain),
    ("LessOrEqual", &binary::Broadcast::Plain),
    ("Log", &unary::Unary::Computes),
    ("LogSoftmax", &softmax::Softmax),
    ("LpNormalization", &softmax::AlongAxis),
    ("LpPool", &pool::Pool),
    ("MatMul", &linear::MatMul),
    ("Max", &binary::Broadcast::Plain),
    ("MaxPool", &pool::Pool),
    ("Mean", &binary::Broadcast::Plain),
    ("Min", &binary::Broadcast::Plain),
    ("Mish", &unary::Unary::Computes),
    ("Mod", &binary::Broadcast::Plain),
    ("Mul", &binary::Broadcast::Affine),
    ("Neg", &unary::Unary::Computes),
    ("Not", &unary::Unary::Computes),
    ("Or", &binary::Broadcast::Plain),
    ("PRelu", &binary::Broadcast::Slope),
    ("Pad", &pad::Pad),
    ("Pow", &binary::Broadcast::Plain),
    ("Range", &constant::Range),
    ("Reciprocal", &unary::Unary::Computes),
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
    ("Relu", &unary::Unary::Computes),
    ("Reshape", &reshape::Reshape),
    ("Resize", &resize::Resize),
    ("Round", &unary::Unary::Computes),
    ("ScatterElements", &unary::SameShape),
    ("ScatterND", &unary::SameShape),
    ("Selu", &unary::Unary::Computes),
    ("Shape", &constant::Shape),
    ("Shrink", &unary::Unary::Computes),
    ("Sigmoid", &unary::Unary::Computes),
    ("Sign", &unary::Unary::Computes),
    ("Sin", &unary::Unary::Computes),
    ("Size", &constant::SizeOf),
    ("Slice", &slice::Slice),
    ("Softmax", &softmax::Softmax),
    ("Softplus", &unary::Unary::Computes),
    ("Softsign", &unary::Unary::Computes),
    ("SpaceToDepth", &depth_space::SpaceToDepth),
    ("Split", &split::Split),
    ("Sqrt", &unary::Unary::Computes),
    ("Squeeze", &squeeze::Squeeze),
    ("Sub", &binary::Broadcast::Affine),
    ("Sum", &binary::Broadcast::Plain),
    ("Swish", &unary::Unary::Computes),
    ("Tanh", &unary::Unary::Computes),
    ("ThresholdedRelu", &unary::Unary::Computes),
    ("Tile", &expand::Tile),
    ("Transpose", &transpose::Transpose),
    ("Trilu", &unary::SameShape),
    ("Unsqueeze", &squeeze::Unsqueeze),
    ("Upsample", &resize::Resize),
    ("Where", &binary::Broadcast::Plain),
    ("Xor", &binary::Broadcast::Plain),
];

/// The rules of a node's operator, if it has some.
pub fn lookup(node: &Node) -> Option<&'static dyn OpRule> {
    node.is_standard().then(|| named(&node.op_type)).flatten()
}

/// The rules of the standard operator of that name.
pub fn named(op_type: &str) -> Option<&'static dyn OpRule> {
    let index = COVERED
        .binary_search_by_key(&op_type, |(name, _)| name)
        .ok()?;
    Some(COVERED[index].1)
}

#[cfg(test)]
mod tests {
    use super::{COVERED, OpRule, Stored, WeightRole};

    #[test]
    fn operators_are_in_alphabetical_order() {
        assert!(COVERED.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    /// Names of the operators of which that is true.
    fn those(of: impl Fn(&'static dyn OpRule) -> bool) -> String {
        let found = COVERED.iter().filter(|(_, rule)| of(*rule));
        found.map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_trained_and_what_normalises() {
        use WeightRole::{Running, Vector, Weight};
        let holds = |stored: Stored| those(|rule| (0..8).any(|slot| rule.stored(slot) == stored));
        assert_eq!(
            holds(Stored::Parameter(Weight)),
            "Conv ConvTranspose Gemm MatMul"
        );
        assert_eq!(
            holds(Stored::Parameter(Vector)),
            "BatchNormalization Conv ConvTranspose Gemm GroupNormalization \
             InstanceNormalization LayerNormalization PRelu"
        );
        assert_eq!(holds(Stored::Parameter(Running)), "BatchNormalization");
        assert_eq!(holds(Stored::Operand), "Add Mul Sub");
        assert_eq!(holds(Stored::Formula), "Resize Upsample");
        assert_eq!(those(OpRule::is_conv), "Conv ConvTranspose");
        assert_eq!(
            those(OpRule::normalises),
            "BatchNormalization GroupNormalization InstanceNormalization LayerNormalization"
        );
    }
}
