//! Operators on quantised numbers: an operator on plain numbers, with scales and zero points
//! among its inputs.
//!
//! Shapes, channels and multiply-adds are those of the plain operator on the inputs that hold
//! data. Scales and zero points of weights may be one a kernel, and go with it.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__QLinearConv.html>,
//! <https://onnx.ai/onnx/operators/onnx__QLinearMatMul.html>,
//! <https://onnx.ai/onnx/operators/onnx__ConvInteger.html>,
//! <https://onnx.ai/onnx/operators/onnx__MatMulInteger.html>, and `com.microsoft`:
//! <https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md>.

use super::quantise::{BLOCKS, known_zero_point, merge_along};
use super::rule::{Macs, OpRule, OutputShapes, Stored};
use super::{binary, concat, conv, linear, pool, reduce, softmax, unary};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Graph, Node};
use crate::labels::{LabelContext, Role};

/// Inputs that hold data, in the order of the plain operator's.
enum Data {
    Slots(&'static [usize]),
    /// Every third from this one on.
    Thirds(usize),
}

/// Weights with scales and zero points.
struct Weights {
    slot: usize,
    /// `None` where a product behind the node applies the scale.
    scale: Option<usize>,
    zero_point: usize,
    /// A bias that the plain operator lacks.
    bias: Option<usize>,
    /// True if the node takes scale and zero point of its data from the data.
    is_dynamic: bool,
}

pub(super) struct Quantised {
    plain: (&'static str, &'static dyn OpRule),
    data: Data,
    weights: Option<Weights>,
}

const fn layer(
    plain: (&'static str, &'static dyn OpRule),
    data: &'static [usize],
    (slot, scale, zero_point): (usize, Option<usize>, usize),
) -> Quantised {
    let weights = Weights {
        slot,
        scale,
        zero_point,
        bias: None,
        is_dynamic: false,
    };
    Quantised {
        plain,
        data: Data::Slots(data),
        weights: Some(weights),
    }
}

/// A matrix product with a float output.
const fn product((scale, zero_point, bias): (usize, usize, usize), is_dynamic: bool) -> Quantised {
    let weights = Weights {
        slot: 1,
        scale: Some(scale),
        zero_point,
        bias: Some(bias),
        is_dynamic,
    };
    Quantised {
        plain: ("MatMul", &linear::MatMul),
        data: Data::Slots(&[0, 1]),
        weights: Some(weights),
    }
}

const fn plain(plain: (&'static str, &'static dyn OpRule), data: &'static [usize]) -> Quantised {
    Quantised {
        plain,
        data: Data::Slots(data),
        weights: None,
    }
}

pub(super) static CONV: Quantised = layer(("Conv", &conv::Conv), &[0, 3, 8], (3, Some(4), 5));
pub(super) static CONV_INTEGER: Quantised = layer(("Conv", &conv::Conv), &[0, 1], (1, None, 3));
pub(super) static MATMUL: Quantised = layer(("MatMul", &linear::MatMul), &[0, 3], (3, Some(4), 5));
pub(super) static MATMUL_INTEGER: Quantised =
    layer(("MatMul", &linear::MatMul), &[0, 1], (1, None, 3));
pub(super) static MATMUL_TO_FLOAT: Quantised = product((3, 5, 6), false);
pub(super) static DYNAMIC_MATMUL: Quantised = product((2, 3, 4), true);
pub(super) static GEMM: Quantised = layer(("Gemm", &linear::Gemm), &[0, 3, 6], (3, Some(4), 5));
pub(super) static ADD: Quantised = plain(("Add", &binary::Broadcast::Affine), &[0, 3]);
pub(super) static MUL: Quantised = plain(("Mul", &binary::Broadcast::Affine), &[0, 3]);
pub(super) static WHERE: Quantised = plain(("Where", &binary::Broadcast::Plain), &[0, 1, 4]);
pub(super) static AVERAGE_POOL: Quantised = plain(("AveragePool", &pool::Pool), &[0]);
pub(super) static GLOBAL_AVERAGE_POOL: Quantised =
    plain(("GlobalAveragePool", &pool::GlobalPool), &[0]);
pub(super) static LEAKY_RELU: Quantised = plain(("LeakyRelu", &unary::Unary::Computes), &[0]);
pub(super) static SIGMOID: Quantised = plain(("Sigmoid", &unary::Unary::Computes), &[0]);
pub(super) static REDUCE_MEAN: Quantised = plain(("ReduceMean", &reduce::Reduce), &[0]);
pub(super) static SOFTMAX: Quantised = plain(("Softmax", &softmax::Softmax), &[0]);
pub(super) static CONCAT: Quantised = Quantised {
    plain: ("Concat", &concat::Concat),
    data: Data::Thirds(2),
    weights: None,
};

impl Quantised {
    /// The input that the plain operator's input `slot` is.
    fn slots(&self, node: &Node) -> Vec<usize> {
        match self.data {
            Data::Slots(slots) => slots.to_vec(),
            Data::Thirds(first) => (first..node.inputs.len()).step_by(3).collect(),
        }
    }

    /// The node on plain numbers.
    fn plain(&self, node: &Node) -> Node {
        let inputs = self.slots(node).into_iter();
        let mut inputs: Vec<_> = inputs
            .map(|slot| node.inputs.get(slot).cloned().flatten())
            .collect();
        while inputs.last().is_some_and(Option::is_none) {
            inputs.pop();
        }
        Node {
            op_type: self.plain.0.to_string(),
            domain: String::new(),
            inputs,
            ..node.clone()
        }
    }

    /// Merges scales and zero points with the kernels of the weights.
    fn merge_scales(
        &self,
        node: &Node,
        context: &mut LabelContext<'_>,
        weights: &Weights,
    ) -> std::result::Result<(), String> {
        let axes = context.input(node, weights.slot)?;
        let axis = self.producing_axis(node, axes.len());
        let axis = axis
            .filter(|&axis| axis < axes.len())
            .ok_or("its weights have too few axes")?;
        for slot in weights.scale.into_iter().chain([weights.zero_point]) {
            if !merge_along(node, context, slot, &axes[axis])? {
                return Err(BLOCKS.to_string());
            }
        }
        let scale = match weights.scale {
            Some(slot) => node.input(slot),
            None => scale_behind(context.graph(), node),
        };
        context.quantised(
            node,
            weights.slot,
            axis,
            (scale, node.input(weights.zero_point)),
        );
        let Some(bias) = weights.bias.filter(|&slot| node.input(slot).is_some()) else {
            return Ok(());
        };
        match context.input(node, bias)?.as_slice() {
            [labels] => {
                context.use_parameter(node, bias, 0, Role::Output);
                context.join(node, &axes[axis], labels).map(drop)
            }
            _ => Err("its bias is not a vector".to_string()),
        }
    }
}

/// The scale of the weights of a product of integers: it is multiplied by the scale of the
/// data, and the product of both is what the node's output, as floats, is multiplied by.
fn scale_behind<'a>(graph: &'a Graph, node: &Node) -> Option<&'a str> {
    let reader = |value: &str, op_type: &str| {
        let mut nodes = graph.nodes.iter();
        nodes.find(|node| {
            node.op_type == op_type && node.inputs.iter().flatten().any(|name| name == value)
        })
    };
    let as_float = reader(node.outputs.first()?, "Cast")?.outputs.first()?;
    let scaled = reader(as_float, "Mul")?;
    let scale = scaled
        .inputs
        .iter()
        .flatten()
        .find(|name| *name != as_float)?;
    let is_stored = |name: &&String| graph.initializers.contains_key(*name);
    if is_stored(&scale) {
        return Some(scale);
    }
    let both = graph
        .nodes
        .iter()
        .find(|node| node.outputs.contains(scale))?;
    both.inputs
        .iter()
        .flatten()
        .find(is_stored)
        .map(String::as_str)
}

impl OpRule for Quantised {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        self.plain.1.shapes(&self.plain(node), context)
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        if node.attr_i("channels_last", 0) != 0 {
            return Err("its channels lie last".to_string());
        }
        let plain = self.plain(node);
        let weights = self.weights.as_ref();
        if let Some(weights) = weights {
            known_zero_point(node, context, weights.slot, weights.zero_point)?;
        }
        if weights.is_some_and(|weights| weights.is_dynamic) {
            for labels in &context.input(node, 0)? {
                context.rounds(node, labels);
            }
        }
        self.plain.1.labels(&plain, context)?;
        if let Some(weights) = weights {
            self.merge_scales(node, context, weights)?;
        }
        // Scales and zero points of data are single numbers.
        for slot in 0..node.inputs.len() {
            if node.input(slot).is_some() {
                let axes = context.input(node, slot)?;
                let is_data = self.slots(node).contains(&slot);
                let of_weights = weights.is_some_and(|weights| weights.owns(slot));
                if !is_data && !of_weights {
                    context.pin_axes(&axes, node, "it takes this input as a whole");
                }
            }
        }
        Ok(())
    }

    fn stored(&self, slot: usize) -> Stored {
        let position = match self.data {
            Data::Slots(slots) => slots.iter().position(|&own| own == slot),
            Data::Thirds(first) => slot.checked_sub(first).filter(|at| at % 3 == 0),
        };
        let is_bias = |weights: &Weights| weights.bias == Some(slot);
        match position.map(|position| self.plain.1.stored(position)) {
            Some(Stored::Parameter(_) | Stored::Operand) => Stored::Quantised,
            _ if self.weights.as_ref().is_some_and(is_bias) => Stored::Quantised,
            Some(_) => Stored::Other,
            None => Stored::Formula,
        }
    }

    fn weights_slot(&self) -> usize {
        self.weights.as_ref().map_or(1, |weights| weights.slot)
    }

    fn producing_axis(&self, node: &Node, rank: usize) -> Option<usize> {
        self.plain.1.producing_axis(&self.plain(node), rank)
    }

    fn macs(&self, node: &Node, context: &ShapeContext<'_>) -> Macs {
        self.plain.1.macs(&self.plain(node), context)
    }

    fn is_conv(&self) -> bool {
        self.plain.1.is_conv()
    }
}

impl Weights {
    /// True for scales, zero points and a bias of the weights.
    fn owns(&self, slot: usize) -> bool {
        [self.scale, Some(self.zero_point), self.bias].contains(&Some(slot))
    }
}
