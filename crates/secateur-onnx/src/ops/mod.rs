//! What each operator means for shapes, channels, parameters and cost: one file per idea.
//!
//! [`OpRule`] says what is asked of an operator, [`COVERED`] lists those that have an answer.
//! A rule never guesses: where it does not apply, the values it touches are
//! pinned with the reason, and the file still works. Where a rule loses track of
//! an axis (a window slides over it, a mean is taken), it pins that axis.

mod arithmetic;
mod attention;
mod axes;
mod binary;
mod blocks;
mod carry;
mod concat;
mod constant;
mod control;
mod conv;
mod conv_transpose;
mod deform_conv;
mod depth_space;
mod einsum;
mod expand;
mod flatten;
mod fused;
mod gather;
mod gather_nd;
mod linear;
mod norm;
mod one_axis;
mod pad;
mod pool;
mod product;
mod quantise;
mod quantised;
mod recurrent;
mod reduce;
mod relabel;
mod reshape;
mod resize;
mod rule;
mod sampling;
mod scatter;
mod slice;
mod softmax;
mod split;
mod squeeze;
mod transpose;
mod unary;
mod unfold;
mod whole;

pub(crate) use axes::axis_of;
pub use einsum::{Equation, Index};
pub use rule::{MacTerm, Macs, OpRule, OutputShapes, Stored, WeightRole};

use std::collections::HashMap;

use crate::graph::{Graph, Node};

/// Operators with rules, in alphabetical order.
pub const COVERED: &[(&str, &dyn OpRule)] = &[
    ("Abs", &unary::Unary::Computes),
    ("Acos", &unary::Unary::Computes),
    ("Acosh", &unary::Unary::Computes),
    ("Add", &binary::Broadcast::Affine),
    ("AffineGrid", &sampling::AffineGrid),
    ("And", &binary::Broadcast::Plain),
    ("ArgMax", &reduce::ArgReduce),
    ("ArgMin", &reduce::ArgReduce),
    ("Asin", &unary::Unary::Computes),
    ("Asinh", &unary::Unary::Computes),
    ("Atan", &unary::Unary::Computes),
    ("Atanh", &unary::Unary::Computes),
    ("Attention", &attention::Attention),
    ("AveragePool", &pool::Pool),
    ("BatchNormalization", &norm::BatchNormalization),
    ("Bernoulli", &unary::Unary::Computes),
    ("BitShift", &binary::Broadcast::Plain),
    ("BitwiseAnd", &binary::Broadcast::Plain),
    ("BitwiseNot", &unary::Unary::Computes),
    ("BitwiseOr", &binary::Broadcast::Plain),
    ("BitwiseXor", &binary::Broadcast::Plain),
    ("BlackmanWindow", &whole::Whole::Window),
    ("Cast", &unary::Unary::Copies),
    ("Ceil", &unary::Unary::Computes),
    ("Celu", &unary::Unary::Computes),
    ("CenterCropPad", &one_axis::FewAxes::CropOrPad),
    ("Clip", &unary::Unary::Computes),
    ("Col2Im", &unfold::Col2Im),
    ("Compress", &gather_nd::Compress),
    ("Concat", &concat::Concat),
    ("ConstantOfShape", &constant::ConstantOfShape),
    ("Conv", &conv::Conv),
    ("ConvInteger", &quantised::CONV_INTEGER),
    ("ConvTranspose", &conv_transpose::ConvTranspose),
    ("Cos", &unary::Unary::Computes),
    ("Cosh", &unary::Unary::Computes),
    ("CumProd", &softmax::AlongAxis),
    ("CumSum", &softmax::AlongAxis),
    ("DFT", &one_axis::FewAxes::Fourier),
    ("DeformConv", &deform_conv::DeformConv),
    ("DepthToSpace", &depth_space::DepthToSpace),
    ("DequantizeLinear", &quantise::Linear),
    ("Det", &one_axis::FewAxes::Determinant),
    ("Div", &binary::Broadcast::Plain),
    ("Dropout", &unary::Unary::Computes),
    ("DynamicQuantizeLinear", &quantise::Dynamic),
    ("Einsum", &einsum::Einsum),
    ("Elu", &unary::Unary::Computes),
    ("Equal", &binary::Broadcast::Plain),
    ("Erf", &unary::Unary::Computes),
    ("Exp", &unary::Unary::Computes),
    ("Expand", &expand::Expand),
    ("EyeLike", &whole::Whole::Identity),
    ("Flatten", &flatten::Flatten),
    ("Floor", &unary::Unary::Computes),
    ("GRU", &recurrent::Recurrent),
    ("Gather", &gather::Gather),
    ("GatherElements", &gather_nd::GatherElements),
    ("GatherND", &gather_nd::GatherNd),
    ("Gelu", &unary::Unary::Computes),
    ("Gemm", &linear::Gemm),
    ("GlobalAveragePool", &pool::GlobalPool),
    ("GlobalLpPool", &pool::GlobalPool),
    ("GlobalMaxPool", &pool::GlobalPool),
    ("Greater", &binary::Broadcast::Plain),
    ("GreaterOrEqual", &binary::Broadcast::Plain),
    ("GridSample", &sampling::GridSample),
    ("GroupNormalization", &norm::GroupNormalization),
    ("HammingWindow", &whole::Whole::Window),
    ("HannWindow", &whole::Whole::Window),
    ("HardSigmoid", &unary::Unary::Computes),
    ("HardSwish", &unary::Unary::Computes),
    ("Hardmax", &softmax::Softmax),
    ("Identity", &unary::Unary::Copies),
    ("If", &control::If),
    ("InstanceNormalization", &norm::InstanceNormalization),
    ("IsInf", &unary::Unary::Computes),
    ("IsNaN", &unary::Unary::Computes),
    ("LRN", &norm::LocalResponse),
    ("LSTM", &recurrent::Recurrent),
    ("LayerNormalization", &norm::LayerNormalization),
    ("LeakyRelu", &unary::Unary::Computes),
    ("Less", &binary::Broadcast::Plain),
    ("LessOrEqual", &binary::Broadcast::Plain),
    ("Log", &unary::Unary::Computes),
    ("LogSoftmax", &softmax::Softmax),
    ("Loop", &control::Repeat),
    ("LpNormalization", &softmax::AlongAxis),
    ("LpPool", &pool::Pool),
    ("MatMul", &linear::MatMul),
    ("MatMulInteger", &quantised::MATMUL_INTEGER),
    ("Max", &binary::Broadcast::Plain),
    ("MaxPool", &pool::Pool),
    ("MaxRoiPool", &sampling::Regions),
    ("MaxUnpool", &unfold::MaxUnpool),
    ("Mean", &binary::Broadcast::Plain),
    ("MeanVarianceNormalization", &one_axis::FewAxes::Normalise),
    ("MelWeightMatrix", &whole::Whole::Bands),
    ("Min", &binary::Broadcast::Plain),
    ("Mish", &unary::Unary::Computes),
    ("Mod", &binary::Broadcast::Plain),
    ("Mul", &binary::Broadcast::Affine),
    ("Multinomial", &whole::Whole::Draws),
    ("Neg", &unary::Unary::Computes),
    ("NonMaxSuppression", &whole::Whole::Boxes),
    ("NonZero", &whole::Whole::Positions),
    ("Not", &unary::Unary::Computes),
    ("OneHot", &one_axis::OneHot),
    ("Or", &binary::Broadcast::Plain),
    ("PRelu", &binary::Broadcast::Slope),
    ("Pad", &pad::Pad),
    ("Pow", &binary::Broadcast::Plain),
    ("QLinearConv", &quantised::CONV),
    ("QLinearMatMul", &quantised::MATMUL),
    ("QuantizeLinear", &quantise::Linear),
    ("RMSNormalization", &norm::LayerNormalization),
    ("RNN", &recurrent::Recurrent),
    ("RandomNormal", &whole::Whole::Random),
    ("RandomNormalLike", &unary::Unary::Computes),
    ("RandomUniform", &whole::Whole::Random),
    ("RandomUniformLike", &unary::Unary::Computes),
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
    ("ReverseSequence", &one_axis::FewAxes::Reverse),
    ("RoiAlign", &sampling::Regions),
    ("RotaryEmbedding", &attention::RotaryEmbedding),
    ("Round", &unary::Unary::Computes),
    ("STFT", &whole::Whole::Spectra),
    ("Scan", &control::Repeat),
    ("Scatter", &scatter::AlongAxis::Elements),
    ("ScatterElements", &scatter::AlongAxis::Elements),
    ("ScatterND", &scatter::ScatterNd),
    ("Selu", &unary::Unary::Computes),
    ("Shape", &constant::Shape),
    ("Shrink", &unary::Unary::Computes),
    ("Sigmoid", &unary::Unary::Computes),
    ("Sign", &unary::Unary::Computes),
    ("SimplifiedLayerNormalization", &norm::LayerNormalization),
    ("Sin", &unary::Unary::Computes),
    ("Sinh", &unary::Unary::Computes),
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
    ("Tan", &unary::Unary::Computes),
    ("Tanh", &unary::Unary::Computes),
    ("TensorScatter", &scatter::AlongAxis::Runs),
    ("ThresholdedRelu", &unary::Unary::Computes),
    ("Tile", &expand::Tile),
    ("TopK", &one_axis::TopK),
    ("Transpose", &transpose::Transpose),
    ("Trilu", &one_axis::FewAxes::Triangle),
    ("Unique", &whole::Whole::Unique),
    ("Unsqueeze", &squeeze::Unsqueeze),
    ("Upsample", &resize::Resize),
    ("Where", &binary::Broadcast::Plain),
    ("Xor", &binary::Broadcast::Plain),
];

/// Operators of onnxruntime's own set, `com.microsoft`, with rules, in alphabetical order.
const MICROSOFT: &[(&str, &dyn OpRule)] = &[
    ("BiasGelu", &fused::BIAS_GELU),
    ("DequantizeLinear", &quantise::Linear),
    ("DynamicQuantizeMatMul", &quantised::DYNAMIC_MATMUL),
    ("FastGelu", &fused::BIAS_GELU),
    ("FusedConv", &fused::CONV),
    ("FusedGemm", &fused::GEMM),
    ("FusedMatMul", &fused::FusedMatMul),
    ("Gelu", &fused::GELU),
    ("MatMulIntegerToFloat", &quantised::MATMUL_TO_FLOAT),
    ("MatMulNBits", &blocks::MatMulNBits),
    ("QGemm", &quantised::GEMM),
    ("QLinearAdd", &quantised::ADD),
    ("QLinearAveragePool", &quantised::AVERAGE_POOL),
    ("QLinearConcat", &quantised::CONCAT),
    ("QLinearConv", &quantised::CONV),
    ("QLinearGlobalAveragePool", &quantised::GLOBAL_AVERAGE_POOL),
    ("QLinearLeakyRelu", &quantised::LEAKY_RELU),
    ("QLinearMul", &quantised::MUL),
    ("QLinearReduceMean", &quantised::REDUCE_MEAN),
    ("QLinearSigmoid", &quantised::SIGMOID),
    ("QLinearSoftmax", &quantised::SOFTMAX),
    ("QLinearWhere", &quantised::WHERE),
    ("QuantizeLinear", &quantise::Linear),
    ("QuickGelu", &fused::GELU),
];

/// The rules of a node's operator, if it has some.
pub fn lookup(node: &Node) -> Option<&'static dyn OpRule> {
    match node.domain.as_str() {
        "com.microsoft" => find(MICROSOFT, &node.op_type),
        _ if node.is_standard() => named(&node.op_type),
        _ => None,
    }
}

/// True for a node that takes stored numbers in few bits: its network was quantised.
pub fn is_quantised(node: &Node) -> bool {
    let slots = 0..node.inputs.len();
    let takes = |rule: &'static dyn OpRule| {
        slots
            .clone()
            .any(|slot| rule.stored(slot) == Stored::Quantised)
    };
    lookup(node).is_some_and(takes)
}

/// The rules of the standard operator of that name.
pub fn named(op_type: &str) -> Option<&'static dyn OpRule> {
    find(COVERED, op_type)
}

fn find(rules: &[(&str, &'static dyn OpRule)], op_type: &str) -> Option<&'static dyn OpRule> {
    let index = rules
        .binary_search_by_key(&op_type, |(name, _)| name)
        .ok()?;
    Some(rules[index].1)
}

/// Values that hold a stored tensor in another type, or with its axes in another order, and the
/// name of that tensor.
pub fn stored_views(graph: &Graph) -> HashMap<&str, &str> {
    let mut views: HashMap<&str, &str> = HashMap::new();
    for node in &graph.nodes {
        let is_view = lookup(node).is_some_and(OpRule::is_view);
        if let (true, Some(from), Some(to)) = (is_view, node.input(0), node.outputs.first()) {
            let own = graph.initializers.get_key_value(from);
            let own = own.map(|(name, _)| name.as_str());
            if let Some(name) = own.or_else(|| views.get(from).copied()) {
                views.insert(to, name);
            }
        }
    }
    views
}

#[cfg(test)]
mod tests {
    use super::{COVERED, MICROSOFT, OpRule, Stored, WeightRole};

    #[test]
    fn operators_are_in_alphabetical_order() {
        for rules in [COVERED, MICROSOFT] {
            assert!(rules.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
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
            "Conv ConvTranspose DeformConv Einsum GRU Gemm LSTM MatMul RNN"
        );
        assert_eq!(
            holds(Stored::Parameter(Vector)),
            "BatchNormalization Conv ConvTranspose DeformConv GRU Gemm GroupNormalization \
             InstanceNormalization LSTM LayerNormalization PRelu RMSNormalization RNN \
             SimplifiedLayerNormalization"
        );
        assert_eq!(holds(Stored::Parameter(Running)), "BatchNormalization");
        assert_eq!(holds(Stored::Operand), "Add Mul Sub");
        assert_eq!(
            holds(Stored::Quantised),
            "ConvInteger DequantizeLinear MatMulInteger QLinearConv QLinearMatMul QuantizeLinear"
        );
        assert_eq!(
            holds(Stored::Formula),
            "ConvInteger DequantizeLinear MatMulInteger QLinearConv QLinearMatMul QuantizeLinear \
             Resize Upsample"
        );
        assert_eq!(
            those(OpRule::is_conv),
            "Conv ConvInteger ConvTranspose DeformConv QLinearConv"
        );
        assert_eq!(
            those(OpRule::normalises),
            "BatchNormalization GroupNormalization InstanceNormalization LayerNormalization \
             MeanVarianceNormalization RMSNormalization SimplifiedLayerNormalization"
        );
    }
}
