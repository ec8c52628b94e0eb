//! Softmax mixes everything along its axis: those channels stay.

use super::{OpRule, OutputShapes};
use crate::coupling::LabelContext;
use crate::error::Result;
use crate::graph::Node;
use crate::shape::ShapeContext;

pub(super) struct Softmax;

impl OpRule for Softmax {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(vec![context.input(node, 0).map(<[_]>::to_vec)])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        // Before opset 13 everything from `axis` (default 1) on is normalised together.
        let old = context.graph().opset < 13;
        let axis = node.attr_i("axis", if old { 1 } else { -1 });
        let rank = axes.len() as i64;
        let first = (if axis < 0 { axis + rank } else { axis }).clamp(0, rank) as usize;
        let normalised = if old {
            first..axes.len()
        } else {
            first..(first + 1).min(axes.len())
        };
        for labels in axes[normalised].iter().flatten() {
            context.pin(labels, node, "it normalises across these channels");
        }
        context.set_output(node, 0, axes);
        Ok(())
    }
}
