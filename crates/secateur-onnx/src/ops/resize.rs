//! Resizing: an axis with scale 1 keeps its channels, the others are pixels.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Resize.html> (opset 10-19),
//! <https://onnx.ai/onnx/operators/onnx__Upsample.html> (opset 7-9).

use super::axes::axis_of;
use super::rule::{OpRule, OutputShapes, Stored};
use crate::error::Result;
use crate::extents::{Number, ShapeContext};
use crate::graph::{Attribute, Dim, Node};
use crate::labels::LabelContext;
use crate::model::Tensor;

pub(super) struct Resize;

/// What one axis becomes.
enum Axis {
    /// Left alone.
    Kept,
    /// Scaled by a known factor.
    Scaled(f32),
    /// Given a size by element of the `sizes` input.
    Sized(usize, Number),
    /// Not known.
    Computed,
}

/// Slot of `sizes`.
const SIZES: usize = 3;

/// What the axes become. (Where the aspect ratio is kept, sizes are only bounds.)
fn axes(node: &Node, context: &ShapeContext<'_>, rank: usize) -> Option<Vec<Axis>> {
    let places: Vec<usize> = match node.attr_ints("axes") {
        Some(axes) => axes
            .iter()
            .map(|&axis| axis_of(axis, rank))
            .collect::<Option<_>>()?,
        None => (0..rank).collect(),
    };
    let mut found: Vec<Axis> = (0..rank).map(|_| Axis::Kept).collect();
    let resizes = node.op_type == "Resize";
    if resizes && node.input(SIZES).is_some() {
        let exact = matches!(
            node.attr_s("keep_aspect_ratio_policy").as_deref(),
            None | Some("stretch")
        );
        for (element, &axis) in places.iter().enumerate() {
            let number = context
                .value(node, SIZES)
                .and_then(|value| Some(value.elements.get(element)?.number.clone()));
            found[axis] = match number {
                Some(number) if exact => Axis::Sized(element, number),
                _ => Axis::Computed,
            };
        }
        return Some(found);
    }
    // In opset 10 the scales are input 1; later a region of interest comes before them.
    let slot = if resizes && node.inputs.len() > 2 {
        2
    } else {
        1
    };
    let scales = scales(node, context, slot);
    for (element, &axis) in places.iter().enumerate() {
        found[axis] = match scales.get(element).copied().flatten() {
            Some(1.0) => Axis::Kept,
            Some(scale) => Axis::Scaled(scale),
            None => Axis::Computed,
        };
    }
    Some(found)
}

/// Factors that attribute `scales` or input `slot` holds; some may be computed.
fn scales(node: &Node, context: &ShapeContext<'_>, slot: usize) -> Vec<Option<f32>> {
    if let Some(Attribute::Floats(scales)) = node.attributes.get("scales") {
        return scales.iter().copied().map(Some).collect();
    }
    if let Some(scales) = context.stored(node, slot).and_then(Tensor::as_f32) {
        return scales.iter().copied().map(Some).collect();
    }
    let Some(value) = context.value(node, slot) else {
        return Vec::new();
    };
    let scales = value.elements.iter();
    scales.map(|element| element.number.single()).collect()
}

impl OpRule for Resize {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let Some(axes) = axes(node, context, input.len()) else {
            return Ok(vec![None]);
        };
        let shape = input.iter().zip(&axes).map(|(dim, axis)| match axis {
            Axis::Kept => dim.clone(),
            Axis::Scaled(scale) => dim
                .fixed()
                // In 32 bits, as runtimes compute it: 5 times 1.8 is 9 there, and less in 64.
                .map(|size| (size as f32 * *scale).floor())
                .filter(|size| (0.0..1e15).contains(size))
                .map_or(Dim::Unknown, |size| Dim::Fixed(size as usize)),
            Axis::Sized(_, number) => number.dim(),
            Axis::Computed => Dim::Unknown,
        });
        Ok(vec![Some(shape.collect())])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let axes =
            axes(node, &context.shapes(), input.len()).ok_or("its axes lie outside the input")?;
        let mut output = context.new_axes_of_rank(node, 0, input.len())?;
        let mut counts = Vec::new();
        for (axis, labels) in input.iter().enumerate() {
            let kept = match &axes[axis] {
                Axis::Kept => true,
                Axis::Sized(element, number) => {
                    let same = labels.as_ref().filter(|l| {
                        number.known().and_then(|n| usize::try_from(n).ok()) == Some(l.len())
                    });
                    if let Some(labels) = same {
                        counts.push((*element, labels.clone()));
                    }
                    same.is_some()
                }
                _ => false,
            };
            if kept {
                output[axis] = labels.clone();
            } else {
                let both = [labels.clone(), output[axis].clone()];
                context.pin_axes(&both, node, "it resizes this axis");
            }
        }
        if node.op_type == "Resize" && node.input(SIZES).is_some() {
            let template = sizes_template(node, &context.shapes());
            context.input_counts(node, SIZES, counts, template);
        }
        context.set_output(node, 0, output);
        Ok(())
    }

    /// Scales, and a region in relative units.
    fn stored(&self, _: usize) -> Stored {
        Stored::Formula
    }
}

/// Sizes as constants, if all are known.
fn sizes_template(node: &Node, shapes: &ShapeContext<'_>) -> Option<Vec<i64>> {
    shapes.integers(node, SIZES)
}
