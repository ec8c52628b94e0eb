//! Single elements, or slices, picked by tensors of indices.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__GatherElements.html>,
//! <https://onnx.ai/onnx/operators/onnx__GatherND.html>.

use super::axes::{axis_of, fixed_extents, misfit};
use super::rule::{OpRule, OutputShapes};
use super::scatter::meet;
use crate::error::Result;
use crate::extents::{IntValue, ShapeContext};
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

const PICKS: &str = "it picks single positions";

/// `GatherElements`: an index for every element of the output.
pub(super) struct GatherElements;

impl OpRule for GatherElements {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(vec![context.input(node, 1).map(<[_]>::to_vec)])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let (value, indices) = (context.value(node, 0)?, context.value(node, 1)?);
        let axis = axis_of(node.attr_i("axis", 0), value.shape.len())?;
        let picked = value.arranged(indices.shape.clone(), |position| {
            let mut place = position.to_vec();
            let index = indices.at(position)?.number.known()?;
            *place.get_mut(axis)? = axis_of(index, value.shape[axis])?;
            Some(place)
        });
        picked?.depending_on([indices])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let (data, indices) = (context.input(node, 0)?, context.input(node, 1)?);
        let axis = axis_of(node.attr_i("axis", 0), data.len())
            .filter(|_| data.len() == indices.len())
            .ok_or("its axis lies outside the input")?;
        for (index, (own, other)) in data.iter().zip(&indices).enumerate() {
            if index == axis {
                context.pin_axes(&[own.clone(), other.clone()], node, PICKS);
            } else {
                meet(node, context, own, other, PICKS);
            }
        }
        context.set_output(node, 0, indices);
        Ok(())
    }
}

/// `GatherND`: an index of `k` numbers names a slice.
pub(super) struct GatherNd;

/// Axes of the batch, and how many numbers an index has; `None` where they do not fit.
fn depth(node: &Node, context: &ShapeContext<'_>) -> Option<(usize, usize)> {
    let (data, indices) = (context.input(node, 0)?, context.input(node, 1)?);
    let batch = usize::try_from(node.attr_i("batch_dims", 0)).ok()?;
    let named = indices.last()?.fixed()?;
    let fits = batch < indices.len() && batch.checked_add(named)? <= data.len();
    fits.then_some((batch, named))
}

impl OpRule for GatherNd {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let (Some(data), Some(indices)) = (context.input(node, 0), context.input(node, 1)) else {
            return Ok(vec![None]);
        };
        if indices.last().is_some_and(|last| last.fixed().is_none()) {
            return Ok(vec![None]);
        }
        let Some((batch, named)) = depth(node, context) else {
            return Err(misfit(context, node, "its indices do not fit its input"));
        };
        let front = &indices[..indices.len() - 1];
        Ok(vec![Some([front, &data[batch + named..]].concat())])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let (value, indices) = (context.value(node, 0)?, context.value(node, 1)?);
        let (batch, named) = depth(node, context)?;
        let front = indices.shape.len() - 1;
        let shape = fixed_extents(self.shapes(node, context))?;
        let picked = value.arranged(shape, |position| {
            let mut place = position[..batch].to_vec();
            for number in 0..named {
                let at = [&position[..front], &[number]].concat();
                let index = indices.at(&at)?.number.known()?;
                place.push(axis_of(index, value.shape[batch + number])?);
            }
            place.extend_from_slice(&position[front..]);
            Some(place)
        });
        picked?.depending_on([indices])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let (data, indices) = (context.input(node, 0)?, context.input(node, 1)?);
        let (batch, named) =
            depth(node, &context.shapes()).ok_or("which axes its indices name is not known")?;
        for (own, other) in data[..batch].iter().zip(&indices) {
            meet(node, context, own, other, PICKS);
        }
        context.pin_axes(&data[batch..batch + named], node, PICKS);
        context.pin_axes(&indices[batch..], node, PICKS);
        let front = &indices[..indices.len() - 1];
        let output = [front, &data[batch + named..]].concat();
        context.set_output(node, 0, output);
        Ok(())
    }
}

/// Extents of what a condition leaves of an axis are never known.
pub(super) struct Compress;

impl OpRule for Compress {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let Some(axis) = node.attributes.get("axis").map(|_| node.attr_i("axis", 0)) else {
            return Ok(vec![Some(vec![Dim::Unknown])]);
        };
        let Some(axis) = axis_of(axis, input.len()) else {
            return Err(misfit(context, node, "its axis lies outside the input"));
        };
        let mut shape = input.to_vec();
        shape[axis] = Dim::Unknown;
        Ok(vec![Some(shape)])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let rank = context.input(node, 0)?.len();
        if !node.attributes.contains_key("axis") {
            return Err("it picks single elements".to_string());
        }
        let axis =
            axis_of(node.attr_i("axis", 0), rank).ok_or("its axis lies outside the input")?;
        super::carry::carry(
            node,
            context,
            0,
            &super::carry::all_but(rank, &[axis]),
            PICKS,
        )
    }
}
