//! Concatenation: labels side by side.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Concat.html> (opset 1-13).

use super::{OpRule, OutputShapes, misfit};
use crate::coupling::{LabelContext, Labels};
use crate::error::Result;
use crate::graph::{Dim, Node};
use crate::shape::ShapeContext;

pub(super) struct Concat;

fn axis(node: &Node, rank: usize) -> Option<usize> {
    let axis = node.attr_i("axis", 1);
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

impl OpRule for Concat {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(first) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let mut shape = first.to_vec();
        let Some(axis) = axis(node, shape.len()) else {
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
            total = total
                .zip(other[axis].fixed())
                .and_then(|(a, b)| a.checked_add(b));
        }
        shape[axis] = total.map_or(Dim::Unknown, Dim::Fixed);
        Ok(vec![Some(shape)])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<Vec<i64>> {
        let mut values = Vec::new();
        for slot in 0..node.inputs.len() {
            values.extend_from_slice(context.constant(node, slot)?);
        }
        (values.len() <= 64).then_some(values)
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let mut output = context.input(node, 0)?;
        let axis = axis(node, output.len()).ok_or("its axis lies outside the input")?;
        let mut joined: Option<Vec<u32>> = Some(Vec::new());
        for slot in 0..node.inputs.len() {
            let axes = context.input(node, slot)?;
            if axes.len() != output.len() {
                return Err("its inputs have different ranks".to_string());
            }
            for (index, labels) in axes.iter().enumerate() {
                if index == axis {
                    match (labels, &mut joined) {
                        (Some(labels), Some(joined)) => joined.extend_from_slice(labels),
                        _ => joined = None,
                    }
                } else if let (Some(labels), Some(mine)) = (labels, &output[index]) {
                    let mine = mine.clone();
                    context.merge(&mine, labels);
                }
            }
        }
        if joined.is_none() {
            return Err("the number of channels of an input is not known".to_string());
        }
        output[axis] = joined.map(Labels::from);
        context.set_output(node, 0, output);
        Ok(())
    }
}
