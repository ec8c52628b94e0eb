//! How far outputs may differ, from the numbers that a file computes in.

use super::difference::Difference;
use secateur_onnx::graph::{Graph, Node};
use secateur_onnx::model::Values;

/// Largest difference of outputs, relative to the largest output: sums of f32 run in
/// another order in a smaller network.
pub const TOLERANCE: f32 = 1e-4;

/// Half of the distance of neighbouring numbers at 1: f16 has 11 significant bits, bfloat16 8.
const ROUNDING_F16: f64 = 1.0 / (1 << 11) as f64;
const ROUNDING_BF16: f64 = 1.0 / (1 << 8) as f64;

/// Steps of 8 bits that an output may differ by.
const STEPS: f64 = 2.0;
/// Largest difference that is allowed for a network that amplifies rounding.
const MOST_MOVED: f64 = 0.25;
/// Steps from zero to the largest value, where 8 bits have a sign.
const STEPS_TO_LARGEST: f64 = 127.0;

/// ONNX data type numbers.
const U8: i32 = 2;
const I8: i32 = 3;
const F16: i32 = 10;
const BF16: i32 = 16;

/// What outputs may differ by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tolerance {
    /// Of floats, relative to the largest.
    pub relative: f64,
    /// Of outputs of 8 bits; other whole numbers must be equal.
    pub steps: f64,
    /// Why it is more than that of f32; empty where it is not.
    pub reason: &'static str,
}

impl Tolerance {
    /// Of a file.
    ///
    /// In 16 bits each layer rounds its outputs, in each of the two networks on its own. Errors
    /// of rounding are independent, so that over n nodes they add up to √n of one: 2 · √n · u,
    /// with u the error of one rounding.
    ///
    /// Where activations are quantised to 8 bits, a sum that lies between two steps may be
    /// rounded the other way. It moves an output by a step, and a second one allows for two
    /// layers that do so; steps are 1/127 of the largest value where numbers have a sign.
    pub(super) fn of(graph: &Graph) -> Self {
        let layers = (graph.nodes.len().max(1) as f64).sqrt();
        let rounding = |u: f64| (2.0 * layers * u).max(f64::from(TOLERANCE));
        let quantised = graph.nodes.iter().any(|node| quantises(&node.op_type));
        let mut tolerance = if computes_in(graph, BF16) {
            Self {
                relative: rounding(ROUNDING_BF16),
                steps: 0.0,
                reason: "bfloat16",
            }
        } else if computes_in(graph, F16) {
            Self {
                relative: rounding(ROUNDING_F16),
                steps: 0.0,
                reason: "half precision",
            }
        } else {
            Self {
                relative: f64::from(TOLERANCE),
                steps: 0.0,
                reason: "",
            }
        };
        if quantised {
            tolerance.relative = tolerance.relative.max(STEPS / STEPS_TO_LARGEST);
            tolerance.steps = STEPS;
            tolerance.reason = "two steps of 8 bits: activations are quantised";
        }
        tolerance
    }

    /// Allows for what rounding alone does to a network that amplifies it, in deep quantised
    /// ones above all: `moved` is how far its own outputs move with inputs moved by a millionth.
    /// The other network rounds in another place, so that twice as much may lie between them.
    /// A network that moves by more than [`MOST_MOVED`] is given no allowance: agreement within
    /// that would say nothing.
    pub(super) fn allow_for(&mut self, moved: Difference) {
        let allowed = 2.0 * moved.relative;
        if allowed > self.relative && allowed <= MOST_MOVED {
            self.relative = allowed;
            self.reason = "twice what inputs moved by a millionth change in the masked network";
        }
    }

    /// For an output of this ONNX type.
    pub(super) fn steps_of(&self, elem_type: i32) -> f64 {
        match elem_type {
            U8 | I8 => self.steps,
            _ => 0.0,
        }
    }
}

/// Operators that round activations to 8 bits. `DequantizeLinear` alone is not one of them:
/// stored weights are read through it.
fn quantises(op_type: &str) -> bool {
    matches!(
        op_type,
        "QuantizeLinear" | "DynamicQuantizeLinear" | "ConvInteger" | "MatMulInteger"
    ) || op_type.starts_with("QLinear")
        || op_type.starts_with("QGemm")
        || op_type.starts_with("DynamicQuantize")
}

/// True if some value is computed in this float type of 16 bits. Weights that are only stored
/// in it and widened by `Cast` are not.
fn computes_in(graph: &Graph, elem_type: i32) -> bool {
    let stored = |name: &str| {
        let tensor = graph.initializers.get(name);
        tensor.is_some_and(|tensor| match tensor.values {
            Values::F16(_) => elem_type == F16,
            Values::Bf16(_) => elem_type == BF16,
            Values::Unread { data_type } => data_type == elem_type,
            _ => false,
        })
    };
    let reads = |node: &Node| match node.op_type.as_str() {
        "Cast" => node.attr_i("to", 0) == i64::from(elem_type),
        _ => node.inputs.iter().flatten().any(|name| stored(name)),
    };
    let mut ends = graph.inputs.iter().chain(&graph.outputs);
    ends.any(|value| value.elem_type == elem_type) || graph.nodes.iter().any(reads)
}
