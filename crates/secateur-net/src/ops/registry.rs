//! Operators that training has a rule for, in alphabetical order.
//!
//! `crates/secateur-onnx/src/ops` has the other half of each: shape, cost and channels.

use secateur_onnx::graph::Node;

use super::call::{Build, BuildOf, MultiRule, Rule};
use super::{
    activation, along_axis, binary, concat, conv_general, deform_conv, einsum, grid_sample,
    integers, layout, marks, matmul, norm, picking, pool, positions, power_mean, recurrent, reduce,
    reorder, resize, row_norm, scatter, slicing, softmax,
};

/// Name and reader of the operators whose first output alone is computed.
const RULES: &[(&str, BuildOf<dyn Rule>)] = &[
    ("Abs", activation::unary),
    ("Acos", activation::unary),
    ("Acosh", activation::unary),
    ("Add", binary::binary),
    ("AffineGrid", grid_sample::affine_grid),
    ("And", integers::comparison),
    ("ArgMax", positions::arg_extreme),
    ("ArgMin", positions::arg_extreme),
    ("Asin", activation::unary),
    ("Asinh", activation::unary),
    ("Atan", activation::unary),
    ("Atanh", activation::unary),
    ("AveragePool", pool::windowed),
    ("BatchNormalization", norm::batch),
    ("Cast", activation::cast),
    ("CastLike", activation::cast_like),
    ("Ceil", activation::unary),
    ("Celu", activation::unary),
    ("CenterCropPad", along_axis::center_crop_pad),
    ("Clip", activation::clip),
    ("Col2Im", along_axis::col2im),
    ("Concat", concat::concat),
    ("ConstantOfShape", integers::constant_of_shape),
    ("Conv", conv_general::convolution),
    ("ConvTranspose", conv_general::convolution),
    ("Cos", activation::unary),
    ("Cosh", activation::unary),
    ("CumSum", along_axis::cum_sum),
    ("DeformConv", deform_conv::deform_conv),
    ("DepthToSpace", reorder::depth_space),
    ("Div", binary::binary),
    ("Dropout", activation::identity),
    ("Einsum", einsum::einsum),
    ("Elu", activation::unary),
    ("Equal", integers::comparison),
    ("Erf", activation::unary),
    ("Exp", activation::unary),
    ("Expand", layout::expand),
    ("EyeLike", marks::eye_like),
    ("Flatten", layout::flatten),
    ("Floor", activation::unary),
    ("Gather", slicing::gather),
    ("GatherElements", picking::gather_elements),
    ("GatherND", picking::gather_nd),
    ("Gelu", activation::unary),
    ("Gemm", matmul::gemm),
    ("GlobalAveragePool", reduce::global),
    ("GlobalLpPool", power_mean::global_lp_pool),
    ("GlobalMaxPool", reduce::global),
    ("Greater", integers::comparison),
    ("GreaterOrEqual", integers::comparison),
    ("GridSample", grid_sample::grid_sample),
    ("GroupNormalization", row_norm::group),
    ("HardSigmoid", activation::unary),
    ("HardSwish", activation::unary),
    ("Hardmax", positions::hardmax),
    ("Identity", activation::identity),
    ("InstanceNormalization", row_norm::group),
    ("IsInf", marks::test),
    ("IsNaN", marks::test),
    ("LRN", power_mean::local_response),
    ("LayerNormalization", row_norm::layer),
    ("LeakyRelu", activation::unary),
    ("Less", integers::comparison),
    ("LessOrEqual", integers::comparison),
    ("Log", activation::unary),
    ("LogSoftmax", softmax::softmax),
    ("LpNormalization", power_mean::lp_normalization),
    ("LpPool", power_mean::lp_pool),
    ("MatMul", matmul::matmul),
    ("Max", binary::binary),
    ("MaxPool", pool::windowed),
    ("Mean", binary::binary),
    ("MeanVarianceNormalization", power_mean::mean_variance),
    ("Min", binary::binary),
    ("Mish", activation::unary),
    ("Mod", integers::comparison),
    ("Mul", binary::binary),
    ("Neg", activation::unary),
    ("NonZero", positions::non_zero),
    ("Not", integers::not),
    ("OneHot", marks::one_hot),
    ("Or", integers::comparison),
    ("PRelu", binary::binary),
    ("Pad", slicing::pad),
    ("Pow", binary::binary),
    ("RMSNormalization", row_norm::layer),
    ("Range", integers::range),
    ("Reciprocal", activation::unary),
    ("ReduceL1", reduce::reduction),
    ("ReduceL2", reduce::reduction),
    ("ReduceLogSum", reduce::reduction),
    ("ReduceLogSumExp", reduce::reduction),
    ("ReduceMax", reduce::reduction),
    ("ReduceMean", reduce::reduction),
    ("ReduceMin", reduce::reduction),
    ("ReduceProd", reduce::reduction),
    ("ReduceSum", reduce::reduction),
    ("ReduceSumSquare", reduce::reduction),
    ("Relu", activation::unary),
    ("Reshape", layout::reshape),
    ("Resize", resize::resize),
    ("ReverseSequence", picking::reverse_sequence),
    ("Round", activation::unary),
    ("Scatter", scatter::scatter),
    ("ScatterElements", scatter::scatter),
    ("ScatterND", scatter::scatter),
    ("Selu", activation::unary),
    ("Shape", integers::shape),
    ("Shrink", activation::unary),
    ("Sigmoid", activation::unary),
    ("Sign", activation::unary),
    ("SimplifiedLayerNormalization", row_norm::layer),
    ("Sin", activation::unary),
    ("Sinh", activation::unary),
    ("Size", integers::size),
    ("Slice", slicing::slice),
    ("Softmax", softmax::softmax),
    ("Softplus", activation::unary),
    ("Softsign", activation::unary),
    ("SpaceToDepth", reorder::depth_space),
    ("Sqrt", activation::unary),
    ("Squeeze", layout::squeeze),
    ("Sub", binary::binary),
    ("Sum", binary::binary),
    ("Swish", activation::unary),
    ("Tan", activation::unary),
    ("Tanh", activation::unary),
    ("ThresholdedRelu", activation::unary),
    ("Tile", slicing::tile),
    ("Transpose", reorder::transpose),
    ("Trilu", marks::trilu),
    ("Unsqueeze", layout::unsqueeze),
    ("Upsample", resize::resize),
    ("Where", binary::choose),
    ("Xor", integers::comparison),
];

/// Name and reader of the operators of which further outputs are computed too.
const SEVERAL: &[(&str, BuildOf<dyn MultiRule>)] = &[
    ("GRU", recurrent::recurrent),
    ("LSTM", recurrent::recurrent),
    ("RNN", recurrent::recurrent),
    ("Split", slicing::split),
    ("TopK", positions::top_k),
];

/// The reader of a node's operator, if training has a rule for it.
pub fn lookup(node: &Node) -> Option<Build> {
    if !node.is_standard() {
        return None;
    }
    let one = find(RULES, &node.op_type).map(Build::One);
    one.or_else(|| find(SEVERAL, &node.op_type).map(Build::Several))
}

fn find<R: ?Sized>(rules: &[(&str, BuildOf<R>)], op_type: &str) -> Option<BuildOf<R>> {
    let index = rules
        .binary_search_by_key(&op_type, |(name, _)| name)
        .ok()?;
    Some(rules[index].1)
}

/// True if training has a rule for operator `op_type` of the standard set. `Constant` nodes
/// are read as stored tensors.
pub fn is_supported(op_type: &str) -> bool {
    op_type == "Constant" || find(RULES, op_type).is_some() || find(SEVERAL, op_type).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_in_alphabetical_order() {
        assert!(RULES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(SEVERAL.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    /// Both halves of every operator exist; what training lacks is named here, so that a rule
    /// added on one side is not forgotten on the other.
    #[test]
    fn every_rule_of_the_graph_has_a_rule_of_training_or_is_known_to_lack_it() {
        const LACKING: &[&str] = &[
            "Attention",
            "Bernoulli",
            "BitShift",
            "BitwiseAnd",
            "BitwiseNot",
            "BitwiseOr",
            "BitwiseXor",
            "BlackmanWindow",
            "Compress",
            "ConvInteger",
            "CumProd",
            "DFT",
            "DequantizeLinear",
            "Det",
            "DynamicQuantizeLinear",
            "HammingWindow",
            "HannWindow",
            "If",
            "Loop",
            "MatMulInteger",
            "MaxRoiPool",
            "MaxUnpool",
            "MelWeightMatrix",
            "Multinomial",
            "NonMaxSuppression",
            "QLinearConv",
            "QLinearMatMul",
            "QuantizeLinear",
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "RandomUniformLike",
            "RoiAlign",
            "RotaryEmbedding",
            "STFT",
            "Scan",
            "TensorScatter",
            "Unique",
        ];
        let graph: Vec<&str> = secateur_onnx::ops::COVERED
            .iter()
            .map(|(n, _)| *n)
            .collect();
        for name in &graph {
            assert_ne!(
                is_supported(name),
                LACKING.contains(name),
                "{name}: supported and listed as lacking, or neither"
            );
        }
        // `CastLike` has no channel rule: reading the graph turns it into a `Cast` or a copy.
        let several = SEVERAL.iter().map(|(name, _)| *name);
        for name in RULES.iter().map(|(name, _)| *name).chain(several) {
            let is_known = name == "CastLike" || graph.contains(&name);
            assert!(is_known, "{name} has no rule of the graph");
        }
    }
}
