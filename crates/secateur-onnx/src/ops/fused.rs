//! Operators of ONNX Runtime's optimiser that stand for several standard ones.
//!
//! Shapes, channels and multiply-adds are those of the operator that does the work; an activation
//! behind it changes none of them, and a summand goes with the channels that it is added to.
//!
//! Spec: <https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md>.

use super::rule::{Macs, OpRule, OutputShapes, Stored};
use super::{binary, conv, linear, unary};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::Node;
use crate::labels::LabelContext;

/// An operator with an activation behind it, and perhaps a summand in front of that.
pub(super) struct Fused {
    work: &'static dyn OpRule,
    /// The input that is added to the result.
    summand: Option<usize>,
}

/// `FusedMatMul`: a matrix product with a factor, and operands that may be transposed.
pub(super) struct FusedMatMul;

pub(super) static CONV: Fused = Fused {
    work: &conv::Conv,
    summand: Some(3),
};
pub(super) static GEMM: Fused = Fused {
    work: &linear::Gemm,
    summand: None,
};
/// An activation of a sum with a vector.
pub(super) static BIAS_GELU: Fused = Fused {
    work: &binary::Broadcast::Affine,
    summand: None,
};
pub(super) static GELU: Fused = Fused {
    work: &unary::Unary::Computes,
    summand: None,
};

impl OpRule for Fused {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        self.work.shapes(node, context)
    }

    fn labels(
        &self,
        node: &Node,
        context: &mut LabelContext<'_>,
    ) -> std::result::Result<(), String> {
        self.work.labels(node, context)?;
        let Some(slot) = self.summand.filter(|&slot| node.input(slot).is_some()) else {
            return Ok(());
        };
        let summand = context.input(node, slot)?;
        let output = node.outputs.first().and_then(|name| context.value(name));
        let output = output.unwrap_or_default();
        if output.len() != summand.len() {
            return Err("what it adds does not fit its output".to_string());
        }
        for (one, other) in output.iter().zip(&summand) {
            context.join(node, one, other)?;
        }
        Ok(())
    }

    fn stored(&self, slot: usize) -> Stored {
        self.work.stored(slot)
    }

    fn weights_slot(&self) -> usize {
        self.work.weights_slot()
    }

    fn producing_axis(&self, node: &Node, rank: usize) -> Option<usize> {
        self.work.producing_axis(node, rank)
    }

    fn macs(&self, node: &Node, context: &ShapeContext<'_>) -> Macs {
        self.work.macs(node, context)
    }

    fn is_conv(&self) -> bool {
        self.work.is_conv()
    }
}

/// True if both operands are taken as they are.
fn is_plain(node: &Node) -> bool {
    let turns = ["transA", "transB", "transBatchA", "transBatchB"];
    turns.iter().all(|name| node.attr_i(name, 0) == 0)
}

/// Rank of an operand, and its last two axes in the order in which the product takes them; `None`
/// where other axes move too.
fn matrix_axes(
    node: &Node,
    context: &ShapeContext<'_>,
    (slot, operand): (usize, &str),
) -> Option<(usize, [usize; 2])> {
    let rank = context.input(node, slot)?.len();
    let is_moved = node.attr_i(&format!("transBatch{operand}"), 0) != 0;
    let (row, column) = (rank.checked_sub(2)?, rank - 1);
    let is_turned = node.attr_i(&format!("trans{operand}"), 0) != 0;
    let axes = if is_turned {
        [column, row]
    } else {
        [row, column]
    };
    (!is_moved).then_some((rank, axes))
}

impl OpRule for FusedMatMul {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let shape = || {
            let (rank_a, [row, _]) = matrix_axes(node, context, (0, "A"))?;
            let (rank_b, [_, column]) = matrix_axes(node, context, (1, "B"))?;
            let (a, b) = (context.input(node, 0)?, context.input(node, 1)?);
            let mut shape = binary::broadcast_shapes(&a[..rank_a - 2], &b[..rank_b - 2]).ok()?;
            shape.extend([a[row].clone(), b[column].clone()]);
            Some(shape)
        };
        Ok(vec![shape()])
    }

    fn labels(
        &self,
        node: &Node,
        context: &mut LabelContext<'_>,
    ) -> std::result::Result<(), String> {
        match is_plain(node) {
            true => linear::MatMul.labels(node, context),
            false => Err("its operands are transposed".to_string()),
        }
    }

    fn stored(&self, slot: usize) -> Stored {
        linear::MatMul.stored(slot)
    }

    fn producing_axis(&self, node: &Node, rank: usize) -> Option<usize> {
        is_plain(node).then(|| linear::MatMul.producing_axis(node, rank))?
    }

    fn macs(&self, node: &Node, context: &ShapeContext<'_>) -> Macs {
        let axes = |slot, operand| matrix_axes(node, context, (slot, operand));
        let (Some((_, [row, inner_a])), Some((_, [inner_b, column]))) =
            (axes(0, "A"), axes(1, "B"))
        else {
            return Macs::Unknown;
        };
        linear::product_macs(node, context, (Some(row), inner_a), (inner_b, Some(column)))
    }
}
