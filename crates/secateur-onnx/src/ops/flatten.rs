//! Flatten: a reshape to two axes.
//!
//! Flattening repeats a channel's label over its pixels: a consumer loses as
//! many columns as the channel has pixels.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Flatten.html>.

use super::axes::{fixed_extents, misfit, product};
use super::relabel::relabel;
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{IntValue, ShapeContext};
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

pub(super) struct Flatten;

/// Number of axes in front; `None` if the axis lies outside.
fn split(node: &Node, rank: usize) -> Option<usize> {
    let axis = node.attr_i("axis", 1);
    let axis = if axis < 0 {
        axis.checked_add(i64::try_from(rank).ok()?)?
    } else {
        axis
    };
    usize::try_from(axis).ok().filter(|&axis| axis <= rank)
}

impl OpRule for Flatten {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(shape) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let Some(split) = split(node, shape.len()) else {
            return Err(misfit(context, node, "its axis lies outside the input"));
        };
        let (rows, columns) = shape.split_at(split);
        let joined = |dims: &[Dim]| {
            if dims.is_empty() {
                Dim::Fixed(1)
            } else {
                product(dims)
            }
        };
        Ok(vec![Some(vec![joined(rows), joined(columns)])])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let shape = fixed_extents(self.shapes(node, context))?;
        context.value(node, 0)?.reshaped(shape)
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        relabel(node, context)
    }
}
