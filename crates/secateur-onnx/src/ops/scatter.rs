//! Elements written into a tensor: the axes that indices point into stay, the others pass.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__ScatterND.html>,
//! <https://onnx.ai/onnx/operators/onnx__ScatterElements.html>,
//! <https://onnx.ai/onnx/operators/onnx__TensorScatter.html> (opset 24).

use super::axes::{axis_of, same_shape};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::{AxisLabels, LabelContext};

const WRITES: &str = "it writes at single positions";

/// Merges an axis with the same axis of another input; both stay where the other one is shorter.
pub(super) fn meet(
    node: &Node,
    context: &mut LabelContext<'_>,
    own: &AxisLabels,
    other: &AxisLabels,
    reason: &str,
) {
    match (own, other) {
        (Some(own), Some(other)) if own.len() == other.len() => context.merge(own, other),
        _ => context.pin_axes(&[own.clone(), other.clone()], node, reason),
    }
}

/// `ScatterND`: an index of `k` numbers names a slice of the axes behind the first `k`.
pub(super) struct ScatterNd;

impl OpRule for ScatterNd {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(same_shape(node, context))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let (data, updates) = (context.input(node, 0)?, context.input(node, 2)?);
        let shapes = context.shapes();
        let indices = shapes.input(node, 1).unwrap_or_default();
        let named = indices.last().and_then(Dim::fixed);
        let named = named.filter(|&named| named <= data.len());
        let named = named.ok_or("which axes its indices name is not known")?;
        context.pin_axes(&data[..named], node, WRITES);
        // Behind the axes of the indices, updates have those of the slices.
        let front = indices.len() - 1;
        if updates.len() != front + data.len() - named {
            return Err("its updates do not fit its indices".to_string());
        }
        context.pin_axes(&updates[..front], node, WRITES);
        for (own, other) in data[named..].iter().zip(&updates[front..]) {
            meet(node, context, own, other, WRITES);
        }
        context.set_output(node, 0, data);
        Ok(())
    }
}

/// `ScatterElements`, in old files `Scatter`, and `TensorScatter`: along one axis, which attribute
/// `axis` names.
pub(super) enum AlongAxis {
    /// Indices (slot 1) of the shape of the updates (slot 2).
    Elements,
    /// Runs of updates (slot 1) that begin at an index each.
    Runs,
}

impl OpRule for AlongAxis {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(same_shape(node, context))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let data = context.input(node, 0)?;
        let (default, slots): (i64, &[usize]) = match self {
            Self::Elements => (0, &[1, 2]),
            Self::Runs => (-2, &[1]),
        };
        let axis = axis_of(node.attr_i("axis", default), data.len())
            .ok_or("its axis lies outside the input")?;
        context.pin_axes(&data[axis..=axis], node, WRITES);
        for &slot in slots {
            let others = context.input(node, slot)?;
            if others.len() != data.len() {
                return Err("its inputs have different ranks".to_string());
            }
            for (index, (own, other)) in data.iter().zip(&others).enumerate() {
                if index == axis {
                    context.pin_axes(std::slice::from_ref(other), node, WRITES);
                } else {
                    meet(node, context, own, other, WRITES);
                }
            }
        }
        context.set_output(node, 0, data);
        Ok(())
    }
}
