//! Pixels read at computed places: channels pass, pixels are new ones.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__GridSample.html> (opset 16-22),
//! <https://onnx.ai/onnx/operators/onnx__RoiAlign.html> (10-22),
//! <https://onnx.ai/onnx/operators/onnx__MaxRoiPool.html>,
//! <https://onnx.ai/onnx/operators/onnx__AffineGrid.html> (20).

use super::axes::{extents_in, misfit};
use super::carry::carry;
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

const READS: &str = "it reads pixels at computed places";

/// `GridSample`: `[n, c, ...]` and a grid `[n, ..., 2 or 3]`.
pub(super) struct GridSample;

impl OpRule for GridSample {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let (Some(input), Some(grid)) = (context.input(node, 0), context.input(node, 1)) else {
            return Ok(vec![None]);
        };
        if input.len() != grid.len() || input.len() < 3 {
            return Err(misfit(context, node, "its input and grid have other ranks"));
        }
        let pixels = &grid[1..grid.len() - 1];
        Ok(vec![Some([&input[..2], pixels].concat())])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let rank = context.input(node, 0)?.len();
        carry(node, context, 0, &channels_alone(rank, Some(0)), READS)
    }
}

/// `RoiAlign` and `MaxRoiPool`: channels of `[n, c, h, w]` at so many regions.
pub(super) struct Regions;

impl OpRule for Regions {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let regions = context.input(node, 1).and_then(|regions| regions.first());
        let Some([_, channels, _, _]) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let extent = |size: i64| usize::try_from(size).map_or(Dim::Unknown, Dim::Fixed);
        let pixels = match node.attr_ints("pooled_shape") {
            Some(&[height, width]) => [height, width],
            Some(_) => {
                return Err(misfit(
                    context,
                    node,
                    "`pooled_shape` must hold two extents",
                ));
            }
            None => ["output_height", "output_width"].map(|name| node.attr_i(name, 1)),
        };
        let mut shape = vec![regions.cloned().unwrap_or(Dim::Unknown), channels.clone()];
        shape.extend(pixels.map(extent));
        Ok(vec![Some(shape)])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let rank = context.input(node, 0)?.len();
        carry(node, context, 0, &channels_alone(rank, None), READS)
    }
}

/// An output whose axis 1 are the channels of the input, and whose first axis is `first`.
fn channels_alone(rank: usize, first: Option<usize>) -> Vec<Option<usize>> {
    let axes = 0..rank;
    axes.map(|axis| match axis {
        0 => first,
        1 => Some(1),
        _ => None,
    })
    .collect()
}

/// `AffineGrid`: a grid of coordinates for `GridSample`.
pub(super) struct AffineGrid;

impl OpRule for AffineGrid {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        // [n, c, (d,) h, w] to [n, (d,) h, w, 2 or 3].
        let size = extents_in(node, context, 1).filter(|size| size.len() >= 3);
        let shape = size.map(|size| {
            let coordinates = Dim::Fixed(size.len() - 2);
            [&size[..1], &size[2..], &[coordinates]].concat()
        });
        Ok(vec![shape])
    }

    fn labels(&self, _: &Node, _: &mut LabelContext<'_>) -> Result<(), String> {
        Err("it makes coordinates, not channels".to_string())
    }
}
