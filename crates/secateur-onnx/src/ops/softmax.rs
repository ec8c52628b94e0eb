//! Operators that mix everything along an axis: those channels stay, unless mixing is allowed.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Softmax.html> (opset 1-13),
//! <https://onnx.ai/onnx/operators/onnx__LpNormalization.html>,
//! <https://onnx.ai/onnx/operators/onnx__CumSum.html>.

use super::axes::{axis_of, same_shape};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::Node;
use crate::labels::LabelContext;

const MIXES: &str = "mixes these channels";

pub(super) struct Softmax;

impl OpRule for Softmax {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(same_shape(node, context))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        // Before opset 13 everything from `axis` (default 1) on is normalised together.
        let old = context.graph().opset < 13;
        let axis = axis_of(node.attr_i("axis", if old { 1 } else { -1 }), axes.len())
            .ok_or("its axis lies outside the input")?;
        let normalised = if old {
            axis..axes.len()
        } else {
            axis..axis + 1
        };
        for labels in &axes[normalised] {
            context.mixes(node, labels, MIXES);
        }
        context.set_output(node, 0, axes);
        Ok(())
    }
}

/// `LpNormalization`, `CumSum` and `CumProd`: along one axis.
pub(super) struct AlongAxis;

impl OpRule for AlongAxis {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(same_shape(node, context))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        let axis = match node.op_type.as_str() {
            "CumSum" | "CumProd" => context
                .shapes()
                .integers(node, 1)
                .and_then(|v| v.first().copied()),
            _ => Some(node.attr_i("axis", -1)),
        };
        let axis = axis
            .and_then(|axis| axis_of(axis, axes.len()))
            .ok_or("its axis is computed, or lies outside the input")?;
        context.mixes(node, &axes[axis], MIXES);
        context.set_output(node, 0, axes);
        Ok(())
    }
}
