//! Operators that training has a rule for, in alphabetical order.
//!
//! `crates/secateur-onnx/src/ops` has the other half of each: shape, cost and channels.

use secateur_onnx::graph::Node;

use super::call::Build;
use super::{
    activation, binary, concat, conv_general, integers, layout, matmul, norm, pool, reduce,
    reorder, resize, row_norm, slicing, softmax,
};

/// Operators whose every output is one step of its own.
pub const SPLIT: &str = "Split";

/// Name and reader of every operator but `Split`.
pub const RULES: &[(&str, Build)] = &[
    ("Abs", activation::unary),
    ("Add", binary::binary),
    ("And", integers::comparison),
    ("AveragePool", pool::windowed),
    ("BatchNormalization", norm::batch),
    ("Cast", activation::cast),
    ("CastLike", activation::cast_like),
    ("Ceil", activation::unary),
    ("Celu", activation::unary),
    ("Clip", activation::clip),
    ("Concat", concat::concat),
    ("ConstantOfShape", integers::constant_of_shape),
    ("Conv", conv_general::convolution),
    ("ConvTranspose", conv_general::convolution),
    ("Cos", activation::unary),
    ("DepthToSpace", reorder::depth_space),
    ("Div", binary::binary),
    ("Dropout", activation::identity),
    ("Elu", activation::unary),
    ("Equal", integers::comparison),
    ("Erf", activation::unary),
    ("Exp", activation::unary),
    ("Expand", layout::expand),
    ("Flatten", layout::flatten),
    ("Floor", activation::unary),
    ("Gather", slicing::gather),
    ("Gelu", activation::unary),
    ("Gemm", matmul::gemm),
    ("GlobalAveragePool", reduce::global),
    ("GlobalMaxPool", reduce::global),
    ("Greater", integers::comparison),
    ("GreaterOrEqual", integers::comparison),
    ("GroupNormalization", row_norm::group),
    ("HardSigmoid", activation::unary),
    ("HardSwish", activation::unary),
    ("Identity", activation::identity),
    ("InstanceNormalization", row_norm::group),
    ("LayerNormalization", row_norm::layer),
    ("LeakyRelu", activation::unary),
    ("Less", integers::comparison),
    ("LessOrEqual", integers::comparison),
    ("Log", activation::unary),
    ("LogSoftmax", softmax::softmax),
    ("MatMul", matmul::matmul),
    ("Max", binary::binary),
    ("MaxPool", pool::windowed),
    ("Mean", binary::binary),
    ("Min", binary::binary),
    ("Mish", activation::unary),
    ("Mod", integers::comparison),
    ("Mul", binary::binary),
    ("Neg", activation::unary),
    ("Not", integers::not),
    ("Or", integers::comparison),
    ("PRelu", binary::binary),
    ("Pad", slicing::pad),
    ("Pow", binary::binary),
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
    ("Round", activation::unary),
    ("Selu", activation::unary),
    ("Shape", integers::shape),
    ("Sigmoid", activation::unary),
    ("Sign", activation::unary),
    ("Sin", activation::unary),
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
    ("Tanh", activation::unary),
    ("ThresholdedRelu", activation::unary),
    ("Tile", slicing::tile),
    ("Transpose", reorder::transpose),
    ("Unsqueeze", layout::unsqueeze),
    ("Upsample", resize::resize),
    ("Where", binary::choose),
    ("Xor", integers::comparison),
];

/// The reader of a node's operator, if training has a rule for it.
pub fn lookup(node: &Node) -> Option<Build> {
    if !node.is_standard() {
        return None;
    }
    let index = RULES
        .binary_search_by_key(&node.op_type.as_str(), |(name, _)| name)
        .ok()?;
    Some(RULES[index].1)
}

/// True if training has a rule for operator `op_type` of the standard set. `Constant` nodes
/// are read as stored tensors.
pub fn is_supported(op_type: &str) -> bool {
    [SPLIT, "Constant"].contains(&op_type) || RULES.iter().any(|(name, _)| *name == op_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_in_alphabetical_order() {
        assert!(RULES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    /// Both halves of every operator exist; what training lacks is named here, so that a rule
    /// added on one side is not forgotten on the other.
    #[test]
    fn every_rule_of_the_graph_has_a_rule_of_training_or_is_known_to_lack_it() {
        const LACKING: &[&str] = &[
            "Acos",
            "Acosh",
            "AffineGrid",
            "ArgMax",
            "ArgMin",
            "Asin",
            "Asinh",
            "Atan",
            "Atanh",
            "Attention",
            "Bernoulli",
            "BitShift",
            "BitwiseAnd",
            "BitwiseNot",
            "BitwiseOr",
            "BitwiseXor",
            "BlackmanWindow",
            "CenterCropPad",
            "Col2Im",
            "Compress",
            "ConvInteger",
            "Cosh",
            "CumProd",
            "CumSum",
            "DFT",
            "DeformConv",
            "DequantizeLinear",
            "Det",
            "DynamicQuantizeLinear",
            "Einsum",
            "EyeLike",
            "GRU",
            "GatherElements",
            "GatherND",
            "GlobalLpPool",
            "GridSample",
            "HammingWindow",
            "HannWindow",
            "Hardmax",
            "If",
            "IsInf",
            "IsNaN",
            "LRN",
            "LSTM",
            "Loop",
            "LpNormalization",
            "LpPool",
            "MatMulInteger",
            "MaxRoiPool",
            "MaxUnpool",
            "MeanVarianceNormalization",
            "MelWeightMatrix",
            "Multinomial",
            "NonMaxSuppression",
            "NonZero",
            "OneHot",
            "QLinearConv",
            "QLinearMatMul",
            "QuantizeLinear",
            "RMSNormalization",
            "RNN",
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "RandomUniformLike",
            "ReverseSequence",
            "RoiAlign",
            "RotaryEmbedding",
            "STFT",
            "Scan",
            "Scatter",
            "ScatterElements",
            "ScatterND",
            "Shrink",
            "SimplifiedLayerNormalization",
            "Sinh",
            "Tan",
            "TensorScatter",
            "TopK",
            "Trilu",
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
        for (name, _) in RULES.iter().filter(|(name, _)| *name != "CastLike") {
            assert!(graph.contains(name), "{name} has no rule of the graph");
        }
    }
}
