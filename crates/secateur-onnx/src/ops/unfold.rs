//! What undoes pooling and windows: pixels get their places back.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__MaxUnpool.html>,
//! <https://onnx.ai/onnx/operators/onnx__Col2Im.html> (opset 18).

use super::axes::{extents_in, misfit};
use super::pool;
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::{LabelContext, Labels};

/// `MaxUnpool`: values go to the places that a `MaxPool` has noted.
pub(super) struct MaxUnpool;

impl OpRule for MaxUnpool {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        if node.input(2).is_some() {
            return Ok(vec![extents_in(node, context, 2)]);
        }
        let rank = input.len().saturating_sub(2);
        let window = pool::extents(node, context, "kernel_shape", 1, rank)?;
        let strides = pool::extents(node, context, "strides", 1, rank)?;
        let pads = pool::extents(node, context, "pads", 0, 2 * rank)?;
        let mut shape = input[..input.len() - rank].to_vec();
        for axis in 0..rank {
            let extent = input[axis + 2].fixed().and_then(|extent| {
                let steps = extent.checked_sub(1)?.checked_mul(strides[axis])?;
                steps
                    .checked_add(window[axis])?
                    .checked_sub(pads[axis] + pads[axis + rank])
            });
            shape.push(extent.map_or(Dim::Unknown, Dim::Fixed));
        }
        Ok(vec![Some(shape)])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let (input, places) = (context.input(node, 0)?, context.input(node, 1)?);
        if input.len() < 2 || places.len() != input.len() {
            return Err("its inputs have different ranks".to_string());
        }
        if context.is_stored(node, 1) || node.input(2).is_some() {
            // Places count through all channels.
            return Err("its places, or its size, are not those of a pooling".to_string());
        }
        let mut output = context.new_axes_of_rank(node, 0, input.len())?;
        for axis in 0..2 {
            output[axis] = context.join(node, &input[axis], &places[axis])?;
        }
        for axes in [&input, &places] {
            context.pin_axes(&axes[2..], node, "a window slides over it");
        }
        context.set_output(node, 0, output);
        Ok(())
    }
}

/// `Col2Im`: `[n, c · window, places]` to an image; windows that overlap are added.
pub(super) struct Col2Im;

/// Number of positions of the window.
fn window(node: &Node, context: &ShapeContext<'_>) -> Option<usize> {
    let block = context.integers(node, 2)?;
    let mut sizes = block.iter().map(|&size| usize::try_from(size).ok());
    let size = sizes.try_fold(1usize, |all, size| all.checked_mul(size?));
    size.filter(|&size| size > 0)
}

impl OpRule for Col2Im {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let (Some(input), Some(image)) = (context.input(node, 0), extents_in(node, context, 1))
        else {
            return Ok(vec![None]);
        };
        let [batch, columns, _] = input else {
            return Err(misfit(context, node, "expected [n, c · window, places]"));
        };
        let channels = columns.fixed().zip(window(node, context));
        let channels = channels.map_or(Dim::Unknown, |(all, own)| Dim::Fixed(all / own));
        Ok(vec![Some(
            [&[batch.clone(), channels], &image[..]].concat(),
        )])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let own = window(node, &context.shapes()).ok_or("the size of its window is computed")?;
        let columns = input.get(1).cloned().flatten();
        let columns = columns.ok_or("the number of channels is not known")?;
        if input.len() != 3 || columns.len() % own != 0 {
            return Err("its columns do not divide into windows".to_string());
        }
        // All positions of a channel's window go together.
        for (index, &column) in columns.iter().enumerate() {
            context.merge_one(column, columns[index / own * own]);
        }
        context.pin_axes(&input[2..], node, "it puts windows together");
        let name = node.outputs.first();
        let rank = name.and_then(|name| Some(context.shapes().known.shapes.get(name)?.len()));
        let rank = rank.ok_or("the shape of its output is not known")?;
        let mut output = context.new_axes_of_rank(node, 0, rank)?;
        output[0].clone_from(&input[0]);
        output[1] = Some(columns.iter().step_by(own).copied().collect::<Labels>());
        context.set_output(node, 0, output);
        Ok(())
    }
}
