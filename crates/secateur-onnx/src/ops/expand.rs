//! Repetition: broadcasting to a shape, and tiling.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Expand.html>,
//! <https://onnx.ai/onnx/operators/onnx__Tile.html>.

use super::axes::{extents_in, fixed_extents, misfit};
use super::binary::{broadcast_labels, broadcast_shapes};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{IntValue, ShapeContext};
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

pub(super) struct Expand;
pub(super) struct Tile;

impl OpRule for Expand {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let (Some(input), Some(target)) = (context.input(node, 0), extents_in(node, context, 1))
        else {
            return Ok(vec![None]);
        };
        let shape = broadcast_shapes(input, &target).map_err(|(a, b)| {
            misfit(
                context,
                node,
                format!("extents {a} and {b} do not broadcast"),
            )
        })?;
        Ok(vec![Some(shape)])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let shape = fixed_extents(self.shapes(node, context))?;
        let repeated = context.value(node, 0)?.broadcast_to(shape)?;
        repeated.depending_on(context.value(node, 1))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let target = context.new_axes(node, 0)?;
        let output = broadcast_labels(node, context, &target, &input)?;
        let shapes = context.shapes();
        let len = shapes
            .value(node, 1)
            .map_or(0, |value| value.elements.len());
        if len > output.len() {
            return Err("its shape does not fit its output".to_string());
        }
        let offset = output.len() - len;
        if let Some(value) = shapes
            .value(node, 1)
            .filter(|value| value.known().is_none())
        {
            // No constant can stand for the shape: an extent that it takes from another value
            // follows by itself if both lose the same channels.
            for (element, labels) in value.elements.iter().zip(&output[offset..]) {
                if let ([(name, axis)], Some((1, 1)), Some(labels)) =
                    (&element.sources[..], element.ratio, labels)
                    && let Some(Some(source)) =
                        context.value(name).and_then(|v| v.into_iter().nth(*axis))
                    && source.len() == labels.len()
                {
                    context.merge(&source, labels);
                }
            }
        }
        let is_one = |element: usize| {
            shapes
                .value(node, 1)
                .and_then(|v| v.elements.get(element)?.number.known())
                == Some(1)
        };
        let counts = (0..len)
            // An extent of 1 leaves the axis as it is.
            .filter(|&element| !is_one(element))
            .filter_map(|element| Some((element, output[offset + element].clone()?)))
            .collect();
        context.input_counts(node, 1, counts, None);
        context.set_output(node, 0, output);
        Ok(())
    }
}

impl OpRule for Tile {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let repeats = context.list(node, "repeats", 1).unwrap_or_default();
        let shape = input.iter().enumerate().map(|(axis, dim)| {
            let times = repeats.get(axis).copied().flatten();
            match (times, dim.fixed()) {
                (Some(1), _) => dim.clone(),
                (Some(times), Some(size)) => usize::try_from(times)
                    .ok()
                    .and_then(|times| times.checked_mul(size))
                    .map_or(Dim::Unknown, Dim::Fixed),
                _ => Dim::Unknown,
            }
        });
        Ok(vec![Some(shape.collect())])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let value = context.value(node, 0)?;
        let shape = fixed_extents(self.shapes(node, context))?;
        let tiled = value.arranged(shape, |position| {
            let own = position.iter().zip(&value.shape);
            own.map(|(at, &extent)| at.checked_rem(extent)).collect()
        });
        tiled?.depending_on(context.value(node, 1))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let shapes = context.shapes();
        let repeats = shapes.list(node, "repeats", 1).unwrap_or_default();
        let mut output = context.new_axes_of_rank(node, 0, input.len())?;
        for (axis, labels) in input.iter().enumerate() {
            match (repeats.get(axis).copied().flatten(), labels, &output[axis]) {
                (Some(1), ..) => output[axis] = labels.clone(),
                (Some(_), Some(labels), Some(tiled)) => {
                    let repeated = labels.iter().cycle().take(tiled.len()).copied();
                    output[axis] = Some(repeated.collect());
                }
                _ => {
                    let both = [labels.clone(), output[axis].clone()];
                    context.pin_axes(&both, node, "the number of repetitions is computed");
                }
            }
        }
        context.set_output(node, 0, output);
        Ok(())
    }
}
