//! Repetition: broadcasting to a shape, and tiling.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Expand.html>,
//! <https://onnx.ai/onnx/operators/onnx__Tile.html>.

use super::axes::misfit;
use super::binary::{broadcast_labels, broadcast_shapes};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

pub(super) struct Expand;
pub(super) struct Tile;

impl OpRule for Expand {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let (Some(input), Some(target)) = (context.input(node, 0), context.value(node, 1)) else {
            return Ok(vec![None]);
        };
        let target: Vec<Dim> = target.elements.iter().map(|e| e.number.dim()).collect();
        let shape = broadcast_shapes(input, &target).map_err(|(a, b)| {
            misfit(
                context,
                node,
                format!("extents {a} and {b} do not broadcast"),
            )
        })?;
        Ok(vec![Some(shape)])
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
        let repeats = context.integers(node, 1);
        let shape = input.iter().enumerate().map(|(axis, dim)| {
            let times = repeats
                .as_ref()
                .and_then(|repeats| repeats.get(axis).copied());
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

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let repeats = context.shapes().integers(node, 1).unwrap_or_default();
        let mut output = context.new_axes_of_rank(node, 0, input.len())?;
        for (axis, labels) in input.iter().enumerate() {
            match (repeats.get(axis), labels, &output[axis]) {
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
