//! Values that are shapes, or are made from shapes.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Shape.html>,
//! <https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html>,
//! <https://onnx.ai/onnx/operators/onnx__Range.html>.

use super::axes::{extents_in, fixed_extents, product};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{Element, Format, IntValue, Number, ShapeContext};
use crate::graph::{Attribute, Dim, Node};
use crate::labels::LabelContext;

/// As [`fixed_output`], for an output that holds extents of the input: while they are not
/// followed as numbers, none may change.
fn extents_output(node: &Node, context: &mut LabelContext<'_>) -> std::result::Result<(), String> {
    let known = context.shapes().known;
    if !node
        .outputs
        .first()
        .is_some_and(|output| known.values.contains_key(output))
    {
        return Err("the extents that it reads are too many to follow".to_string());
    }
    fixed_output(node, context)
}

/// Axes that a `Shape` node reads.
fn read_axes(node: &Node, rank: usize) -> std::ops::Range<usize> {
    let last = rank as i64;
    let bound = |name: &str, default: i64| {
        let at = node.attr_i(name, default);
        (if at < 0 { at.saturating_add(last) } else { at }).clamp(0, last) as usize
    };
    bound("start", 0)..bound("end", last)
}

/// Gives the output labels that stay: it carries numbers, not channels.
fn fixed_output(node: &Node, context: &mut LabelContext<'_>) -> std::result::Result<(), String> {
    // Extents are followed as numbers; the input itself is free.
    for slot in 0..node.inputs.len() {
        context.input(node, slot)?;
    }
    let axes = context.new_axes(node, 0)?;
    context.pin_axes(&axes, node, "it makes numbers, not channels");
    context.set_output(node, 0, axes);
    Ok(())
}

pub(super) struct Shape;

impl OpRule for Shape {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let count = context
            .input(node, 0)
            .map(|shape| read_axes(node, shape.len()).len());
        Ok(vec![Some(vec![count.map_or(Dim::Unknown, Dim::Fixed)])])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let shape = context.input(node, 0)?;
        let name = node.input(0)?;
        let elements = read_axes(node, shape.len())
            .map(|axis| Element {
                number: Number::from(&shape[axis]),
                sources: vec![(name.to_string(), axis)],
                ratio: Some((1, 1)),
            })
            .collect();
        Some(IntValue::vector(elements))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        extents_output(node, context)
    }
}

pub(super) struct SizeOf;

impl OpRule for SizeOf {
    fn shapes(&self, _: &Node, _: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(vec![Some(Vec::new())])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let (name, shape) = (node.input(0)?, context.input(node, 0)?);
        let sources = (0..shape.len())
            .map(|axis| (name.to_string(), axis))
            .collect();
        let element = Element {
            number: Number::from(&product(shape)),
            sources,
            ratio: None,
        };
        Some(IntValue::scalar(element))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        extents_output(node, context)
    }
}

pub(super) struct ConstantOfShape;

impl OpRule for ConstantOfShape {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(vec![extents_in(node, context, 0)])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let extents = context.value(node, 0)?;
        let shape = fixed_extents(self.shapes(node, context))?;
        let value = match node.attributes.get("value") {
            Some(Attribute::Tensor(tensor)) => IntValue::from_tensor(tensor)?,
            // Zeros, of floats.
            None => IntValue {
                format: Format::Single,
                ..IntValue::scalar(Element::constant(0))
            },
            Some(_) => return None,
        };
        // The elements do not depend on extents, but their number does.
        let filled = value.reshaped(Vec::new())?.broadcast_to(shape)?;
        filled.depending_on([extents])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let output = context.new_axes(node, 0)?;
        let counts = output
            .iter()
            .enumerate()
            .filter_map(|(axis, labels)| Some((axis, labels.clone()?)))
            .collect();
        context.input_counts(node, 0, counts, None);
        context.set_output(node, 0, output);
        Ok(())
    }
}

pub(super) struct Range;

impl OpRule for Range {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let known = |slot| context.integers(node, slot)?.first().copied();
        let len = match (known(0), known(1), known(2)) {
            (Some(start), Some(limit), Some(delta)) if delta != 0 => {
                let span = i128::from(limit) - i128::from(start);
                let delta = i128::from(delta);
                // Rounded up; no elements if the limit lies on the other side of the start.
                let steps =
                    span / delta + i128::from(span % delta != 0 && (span > 0) == (delta > 0));
                usize::try_from(steps.max(0)).map_or(Dim::Unknown, Dim::Fixed)
            }
            _ => Dim::Unknown,
        };
        Ok(vec![Some(vec![len])])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let [start, limit, delta] = [0, 1, 2].map(|slot| context.value(node, slot));
        let (start, limit, delta) = (start?, limit?, delta?);
        let [len] = fixed_extents(self.shapes(node, context))?[..] else {
            return None;
        };
        let (first, step) = (start.known()?, delta.known()?);
        let (first, step) = (*first.first()?, *step.first()?);
        let elements = (0..i64::try_from(len).ok()?)
            .map(|index| {
                Some(Element::constant(
                    first.checked_add(step.checked_mul(index)?)?,
                ))
            })
            .collect::<Option<_>>()?;
        let value = IntValue {
            format: start.format,
            ..IntValue::vector(elements)
        };
        value.depending_on([start, limit, delta])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        fixed_output(node, context)
    }
}
