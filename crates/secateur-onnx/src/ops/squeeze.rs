//! Axes of extent 1 taken away and put in.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Squeeze.html>,
//! <https://onnx.ai/onnx/operators/onnx__Unsqueeze.html> (axes: attribute until opset 12).

use super::axes::{axes_of, fixed_extents, misfit};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{IntValue, Parameter, ShapeContext};
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

pub(super) struct Squeeze;
pub(super) struct Unsqueeze;

/// Axes that a squeeze takes away.
fn squeezed(node: &Node, context: &ShapeContext<'_>, input: &[Dim]) -> Option<Vec<usize>> {
    match context.parameter(node, "axes", 1) {
        Parameter::Known(axes) => axes_of(&axes, input.len()),
        Parameter::Computed => None,
        // All axes of extent 1: which they are is not known if some extents are dynamic.
        Parameter::Absent => input
            .iter()
            .enumerate()
            .map(|(axis, dim)| dim.fixed().map(|size| (axis, size)))
            .collect::<Option<Vec<_>>>()
            .map(|sizes| {
                sizes
                    .iter()
                    .filter(|(_, size)| *size == 1)
                    .map(|(a, _)| *a)
                    .collect()
            }),
    }
}

/// Axes of the output that an unsqueeze puts in.
fn inserted(node: &Node, context: &ShapeContext<'_>, rank: usize) -> Option<Vec<usize>> {
    match context.parameter(node, "axes", 1) {
        Parameter::Known(axes) => axes_of(&axes, rank.checked_add(axes.len())?),
        _ => None,
    }
}

impl OpRule for Squeeze {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let Some(axes) = squeezed(node, context, input) else {
            return Ok(vec![None]);
        };
        if let Some(&axis) = axes
            .iter()
            .find(|&&a| input[a].fixed().is_some_and(|d| d != 1))
        {
            let reason = format!("axis {axis} has extent {}, expected 1", input[axis]);
            return Err(misfit(context, node, reason));
        }
        let left = (0..input.len()).filter(|axis| !axes.contains(axis));
        Ok(vec![Some(left.map(|axis| input[axis].clone()).collect())])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let shape = fixed_extents(self.shapes(node, context))?;
        context.value(node, 0)?.reshaped(shape)
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let shapes = context.shapes();
        let dims = shapes.input(node, 0).unwrap_or_default();
        let axes = squeezed(node, &shapes, dims).ok_or("which axes it takes away is not known")?;
        if node.attr_ints("axes").is_none() && node.input(1).is_none() {
            // An axis of which surgery leaves one position would be taken away as well.
            context.pin_axes(&input, node, "it takes away all axes of extent 1");
        }
        let mut output = Vec::with_capacity(input.len());
        let mut kept = Vec::with_capacity(input.len());
        for (axis, labels) in input.iter().enumerate() {
            if axes.contains(&axis) {
                context.pin_axes(
                    std::slice::from_ref(labels),
                    node,
                    "it takes this axis away",
                );
            } else {
                output.push(labels.clone());
                kept.push(axis);
            }
        }
        context.view(node, &kept);
        context.set_output(node, 0, output);
        Ok(())
    }

    fn is_view(&self) -> bool {
        true
    }
}

impl OpRule for Unsqueeze {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let Some(axes) = inserted(node, context, input.len()) else {
            return Ok(vec![None]);
        };
        let mut left = input.iter();
        let shape = (0..input.len() + axes.len()).map(|axis| {
            if axes.contains(&axis) {
                None
            } else {
                left.next()
            }
            .cloned()
            .unwrap_or(Dim::Fixed(1))
        });
        Ok(vec![Some(shape.collect())])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let shape = fixed_extents(self.shapes(node, context))?;
        context.value(node, 0)?.reshaped(shape)
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let axes = inserted(node, &context.shapes(), input.len()).ok_or("its axes are computed")?;
        let mut left = input.into_iter();
        let mut output = Vec::new();
        for axis in 0..left.len() + axes.len() {
            let labels = if axes.contains(&axis) {
                context.fresh(1)
            } else {
                left.next().flatten()
            };
            output.push(labels);
        }
        context.set_output(node, 0, output);
        Ok(())
    }
}
