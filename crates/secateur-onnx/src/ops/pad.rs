//! Padding. Padded positions along channels may go like any others; the pads
//! follow.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Pad.html> (opset 2-25).

use super::axes::axis_of;
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{Parameter, ShapeContext};
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

pub(super) struct Pad;

/// Per axis of the input: pads in front and behind, and where the file keeps them.
struct Pads {
    sizes: Vec<(i64, i64)>,
    elements: Vec<Option<(usize, usize)>>,
}

fn pads(node: &Node, context: &ShapeContext<'_>, rank: usize) -> Option<Pads> {
    let Parameter::Known(values) = context.parameter(node, "pads", 1) else {
        return None;
    };
    let axes: Vec<usize> = if node.input(3).is_some() {
        context
            .integers(node, 3)?
            .iter()
            .map(|&axis| axis_of(axis, rank))
            .collect::<Option<_>>()?
    } else {
        (0..rank).collect()
    };
    if values.len() != 2 * axes.len() {
        return None;
    }
    let mut pads = Pads {
        sizes: vec![(0, 0); rank],
        elements: vec![None; rank],
    };
    for (index, &axis) in axes.iter().enumerate() {
        let behind = index + axes.len();
        pads.sizes[axis] = (values[index], values[behind]);
        pads.elements[axis] = Some((index, behind));
    }
    Some(pads)
}

impl OpRule for Pad {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let Some(pads) = pads(node, context, input.len()) else {
            return Ok(vec![Some(vec![Dim::Unknown; input.len()])]);
        };
        let shape = input
            .iter()
            .zip(&pads.sizes)
            .map(|(dim, &(front, behind))| {
                if (front, behind) == (0, 0) {
                    return dim.clone();
                }
                dim.fixed()
                    .and_then(|size| i64::try_from(size).ok())
                    .and_then(|size| size.checked_add(front)?.checked_add(behind))
                    .and_then(|size| usize::try_from(size).ok())
                    .map_or(Dim::Unknown, Dim::Fixed)
            });
        Ok(vec![Some(shape.collect())])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let pads = pads(node, &context.shapes(), input.len()).ok_or("its pads are computed")?;
        let constant = matches!(node.attr_s("mode").as_deref(), None | Some("" | "constant"));
        let mut output = context.new_axes_of_rank(node, 0, input.len())?;
        let mut counts = Vec::new();
        for (axis, labels) in input.iter().enumerate() {
            let (front, behind) = pads.sizes[axis];
            if (front, behind) == (0, 0) {
                output[axis] = labels.clone();
                continue;
            }
            let sizes = (
                usize::try_from(front),
                usize::try_from(behind),
                pads.elements[axis],
            );
            if let (Some(labels), Some(_), (Ok(front), Ok(behind), Some((first, last))), true) =
                (labels, &output[axis], sizes, constant)
                && context.may_switch(labels)
                && let (Some(before), Some(after)) = (context.fresh(front), context.fresh(behind))
            {
                let padded = before.iter().chain(labels.iter()).chain(after.iter());
                output[axis] = Some(padded.copied().collect());
                counts.extend([(first, before), (last, after)]);
            } else {
                let both = [labels.clone(), output[axis].clone()];
                context.pin_axes(&both, node, "it pads this axis");
            }
        }
        context.parameter_counts(node, "pads", 1, counts);
        context.set_output(node, 0, output);
        Ok(())
    }
}
