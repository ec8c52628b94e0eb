//! Gather with constant indices picks channels; with others it pins the axis.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Gather.html>.

use super::axes::{axis_of, fixed_extents, misfit};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{IntValue, ShapeContext};
use crate::graph::Node;
use crate::labels::{LabelContext, Labels};

pub(super) struct Gather;

impl OpRule for Gather {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let (Some(input), Some(indices)) = (context.input(node, 0), context.input(node, 1)) else {
            return Ok(vec![None]);
        };
        let Some(axis) = axis_of(node.attr_i("axis", 0), input.len()) else {
            return Err(misfit(context, node, "its axis lies outside the input"));
        };
        let mut shape = input[..axis].to_vec();
        shape.extend_from_slice(indices);
        shape.extend_from_slice(&input[axis + 1..]);
        Ok(vec![Some(shape)])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let (value, indices) = (context.value(node, 0)?, context.value(node, 1)?);
        let axis = axis_of(node.attr_i("axis", 0), value.shape.len())?;
        let behind = axis + indices.shape.len();
        let picked = value.arranged(fixed_extents(self.shapes(node, context))?, |position| {
            let index = indices.at(&position[axis..behind])?.number.known()?;
            let pick = axis_of(index, value.shape[axis])?;
            Some([&position[..axis], &[pick], &position[behind..]].concat())
        });
        picked?.depending_on([indices])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let mut output = context.new_axes(node, 0)?;
        let axis = axis_of(node.attr_i("axis", 0), input.len())
            .ok_or("its axis lies outside the input")?;
        let inserted = (output.len() + 1)
            .checked_sub(input.len())
            .ok_or("its ranks do not fit")?;
        for (index, labels) in input.iter().enumerate() {
            if index < axis {
                output[index] = labels.clone();
            } else if index > axis {
                output[index + inserted - 1] = labels.clone();
            }
        }
        let shapes = context.shapes();
        let indices = shapes.value(node, 1).filter(|_| inserted == 1);
        let picks: Option<Vec<usize>> = input[axis].as_ref().and_then(|labels| {
            let indices = indices?.known()?;
            indices
                .iter()
                .map(|&index| axis_of(index, labels.len()))
                .collect()
        });
        match (picks, &input[axis]) {
            (Some(picks), Some(labels)) if context.is_stored(node, 1) => {
                let labels: Labels = labels.clone();
                output[axis] = Some(picks.iter().map(|&pick| labels[pick]).collect());
                context.input_indexes(node, 1, &labels, &picks);
            }
            _ => {
                let reason = "it picks single positions, or computed ones";
                context.pin_axes(&input[axis..=axis], node, reason);
                context.pin_axes(&output[axis..axis + inserted], node, reason);
            }
        }
        context.set_output(node, 0, output);
        Ok(())
    }
}
