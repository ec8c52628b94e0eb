//! Split: every part takes its run of labels; sizes follow.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Split.html> (opset 1-18).

use super::axes::{axis_of, misfit};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{IntValue, Parameter, ShapeContext};
use crate::graph::{Dim, Node};
use crate::labels::{LabelContext, Labels};

pub(super) struct Split;

/// Sizes of the parts; `None` where they are computed.
fn sizes(node: &Node, context: &ShapeContext<'_>, extent: &Dim) -> Option<Vec<Dim>> {
    let mut sizes = stated_sizes(node, context, extent)?;
    // One that is not known is what the others leave.
    let mut open = (0..sizes.len()).filter(|&part| sizes[part].fixed().is_none());
    if let (Some(part), None, Some(left)) = (open.next(), open.next(), extent.fixed()) {
        let left = sizes
            .iter()
            .filter_map(Dim::fixed)
            .try_fold(left, usize::checked_sub);
        if let Some(left) = left {
            sizes[part] = Dim::Fixed(left);
        }
    }
    Some(sizes)
}

fn stated_sizes(node: &Node, context: &ShapeContext<'_>, extent: &Dim) -> Option<Vec<Dim>> {
    match context.parameter(node, "split", 1) {
        Parameter::Known(sizes) => sizes
            .iter()
            .map(|&size| usize::try_from(size).ok().map(Dim::Fixed))
            .collect::<Option<_>>(),
        Parameter::Computed => {
            let value = context.value(node, 1)?;
            Some(
                value
                    .elements
                    .iter()
                    .map(|element| element.number.dim())
                    .collect(),
            )
        }
        Parameter::Absent => {
            let count = node.outputs.len();
            let Some(extent) = extent.fixed().filter(|_| count > 0) else {
                return Some(vec![Dim::Unknown; count]);
            };
            // Equal parts, the last one smaller if need be (opset 18).
            let even = extent.div_ceil(count);
            let part = |index: usize| even.min(extent.saturating_sub(even.saturating_mul(index)));
            Some((0..count).map(|index| Dim::Fixed(part(index))).collect())
        }
    }
}

impl OpRule for Split {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None; node.outputs.len()]);
        };
        let Some(axis) = axis_of(node.attr_i("axis", 0), input.len()) else {
            return Err(misfit(context, node, "its axis lies outside the input"));
        };
        let sizes = sizes(node, context, &input[axis])
            .unwrap_or_else(|| vec![Dim::Unknown; node.outputs.len()]);
        if sizes.len() != node.outputs.len() {
            return Err(misfit(
                context,
                node,
                format!(
                    "it has {} sizes for {} outputs",
                    sizes.len(),
                    node.outputs.len()
                ),
            ));
        }
        let total = sizes
            .iter()
            .try_fold(0usize, |total, size| total.checked_add(size.fixed()?));
        if let (Some(total), Some(extent)) = (total, input[axis].fixed())
            && total != extent
        {
            return Err(misfit(
                context,
                node,
                format!("its parts hold {total} positions, its input {extent}"),
            ));
        }
        Ok(sizes
            .into_iter()
            .map(|size| {
                let mut shape = input.to_vec();
                shape[axis] = size;
                Some(shape)
            })
            .collect())
    }

    fn fold_all(&self, node: &Node, context: &ShapeContext<'_>) -> Vec<IntValue> {
        let parts = context.value(node, 0).and_then(|value| {
            let axis = axis_of(node.attr_i("axis", 0), value.shape.len())?;
            let sizes = sizes(node, context, &Dim::Fixed(value.shape[axis]))?;
            let mut start = 0;
            let parts = sizes.iter().map(|size| {
                let mut shape = value.shape.clone();
                shape[axis] = size.fixed()?;
                let part = value.arranged(shape, |position| {
                    let mut place = position.to_vec();
                    place[axis] += start;
                    Some(place)
                });
                start += size.fixed()?;
                part?.depending_on(context.value(node, 1))
            });
            parts.collect::<Option<Vec<_>>>()
        });
        parts.unwrap_or_default()
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let axis = axis_of(node.attr_i("axis", 0), input.len())
            .ok_or("its axis lies outside the input")?;
        let shapes = context.shapes();
        let extent = shapes
            .input(node, 0)
            .map_or(Dim::Unknown, |shape| shape[axis].clone());
        let sizes: Option<Vec<usize>> =
            sizes(node, &shapes, &extent).and_then(|sizes| sizes.iter().map(Dim::fixed).collect());
        let (Some(labels), Some(sizes)) = (&input[axis], sizes) else {
            let reason = "the sizes of its parts are computed";
            context.pin_axes(&input[axis..=axis], node, reason);
            for slot in 0..node.outputs.len() {
                let mut output = input.clone();
                output[axis] = context.new_axes_of_rank(node, slot, input.len())?[axis].clone();
                context.pin_axes(&output[axis..=axis], node, reason);
                context.set_output(node, slot, output);
            }
            return Ok(());
        };
        let total = sizes
            .iter()
            .try_fold(0usize, |total, &size| total.checked_add(size));
        if sizes.len() != node.outputs.len() || total != Some(labels.len()) {
            return Err("its parts do not fit its input".to_string());
        }
        let mut start = 0;
        let mut parts: Vec<Labels> = Vec::with_capacity(sizes.len());
        for (slot, size) in sizes.into_iter().enumerate() {
            let part = Labels::from(&labels[start..start + size]);
            start += size;
            let mut output = input.clone();
            output[axis] = Some(part.clone());
            context.set_output(node, slot, output);
            parts.push(part);
        }
        if node.attr_ints("split").is_none() && node.input(1).is_none() {
            context.splits_evenly(node, parts);
        } else {
            context.parameter_counts(node, "split", 1, parts.into_iter().enumerate().collect());
        }
        Ok(())
    }
}
