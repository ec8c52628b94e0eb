//! Concatenation: labels side by side.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Concat.html> (opset 1-13).

use super::axes::{axis_of, fixed_extents, misfit};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{IntValue, ShapeContext, positions};
use crate::graph::{Dim, Node};
use crate::labels::{AxisLabels, LabelContext};

pub(super) struct Concat;

impl OpRule for Concat {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(first) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let mut shape = first.to_vec();
        let Some(axis) = axis_of(node.attr_i("axis", 1), shape.len()) else {
            return Err(misfit(context, node, "its axis lies outside the input"));
        };
        let mut total = Some(0usize);
        for slot in 0..node.inputs.len() {
            let Some(other) = context.input(node, slot) else {
                return Ok(vec![None]);
            };
            if other.len() != shape.len() {
                return Err(misfit(context, node, "its inputs have different ranks"));
            }
            for (index, dim) in other.iter().enumerate().filter(|(index, _)| *index != axis) {
                match (shape[index].fixed(), dim.fixed()) {
                    (Some(a), Some(b)) if a != b => {
                        return Err(misfit(
                            context,
                            node,
                            format!("its inputs have extents {a} and {b} on axis {index}"),
                        ));
                    }
                    (None, Some(_)) => shape[index] = dim.clone(),
                    _ => {}
                }
            }
            total = total
                .zip(other[axis].fixed())
                .and_then(|(a, b)| a.checked_add(b));
        }
        shape[axis] = total.map_or(Dim::Unknown, Dim::Fixed);
        Ok(vec![Some(shape)])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let parts = (0..node.inputs.len())
            .map(|slot| context.value(node, slot))
            .collect::<Option<Vec<_>>>()?;
        let shape = fixed_extents(self.shapes(node, context))?;
        let axis = axis_of(node.attr_i("axis", 1), shape.len())?;
        let elements = positions(&shape)?
            .map(|mut position| {
                let part = parts.iter().find(|part| {
                    let extent = part.shape[axis];
                    let inside = position[axis] < extent;
                    if !inside {
                        position[axis] -= extent;
                    }
                    inside
                });
                part?.at(&position).cloned()
            })
            .collect::<Option<_>>()?;
        Some(IntValue::new(shape, parts[0].format, elements))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let mut output = context.input(node, 0)?;
        let axis = axis_of(node.attr_i("axis", 1), output.len())
            .ok_or("its axis lies outside the input")?;
        let mut parts: Vec<AxisLabels> = Vec::with_capacity(node.inputs.len());
        for slot in 0..node.inputs.len() {
            let axes = context.input(node, slot)?;
            if axes.len() != output.len() {
                return Err("its inputs have different ranks".to_string());
            }
            for (index, labels) in axes.iter().enumerate() {
                if index == axis {
                    parts.push(labels.clone());
                } else {
                    output[index] = context.join(node, &output[index], labels)?;
                }
            }
        }
        let total = parts.iter().try_fold(0usize, |total, labels| {
            total.checked_add(labels.as_ref()?.len())
        });
        output[axis] = if total.is_some_and(LabelContext::can_follow) {
            let labels = parts.iter().flatten().flat_map(|labels| labels.iter());
            Some(labels.copied().collect())
        } else {
            // Without labels nobody could say which positions to remove.
            let reason = match total {
                Some(_) => "it joins more positions than can be followed",
                None => "it joins an axis of unknown extent",
            };
            context.pin_axes(&parts, node, reason);
            None
        };
        context.set_output(node, 0, output);
        Ok(())
    }
}
