//! Reshape: axes are split and joined, elements keep their order.
//!
//! Its labels are those of [`super::relabel`]; what is left is what the target counts.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Reshape.html>.

use super::axes::{extents_in, fixed_extents, misfit};
use super::relabel::relabel;
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{IntValue, Number, ShapeContext};
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

pub(super) struct Reshape;

/// Output extents of a reshape.
fn target(
    node: &Node,
    input: &[Dim],
    target: &[Number],
) -> std::result::Result<Vec<Dim>, &'static str> {
    let allow_zero = node.attr_i("allowzero", 0) != 0;
    let mut shape = Vec::with_capacity(target.len());
    let mut open = None;
    for (axis, extent) in target.iter().enumerate() {
        shape.push(match extent.known() {
            Some(0) if !allow_zero => input
                .get(axis)
                .cloned()
                .ok_or("it copies an axis that the input lacks")?,
            Some(-1) => {
                if open.replace(axis).is_some() {
                    return Err("its target leaves two extents open");
                }
                Dim::Unknown
            }
            Some(extent) if extent < 0 => return Err("its target holds a negative extent"),
            _ => extent.dim(),
        });
    }
    let Some(open) = open else { return Ok(shape) };
    // The open extent is the input's size over the other extents; dynamic ones that appear on
    // both sides, such as the batch, cancel out.
    let mut left: Vec<&Dim> = input.iter().collect();
    let mut denominator = 1usize;
    for (_, dim) in shape.iter().enumerate().filter(|(axis, _)| *axis != open) {
        match dim.fixed() {
            Some(size) => {
                denominator = denominator
                    .checked_mul(size)
                    .ok_or("its extents are too large")?;
            }
            None => match left.iter().position(|d| *d == dim && **d != Dim::Unknown) {
                Some(at) => drop(left.remove(at)),
                None => return Ok(shape),
            },
        }
    }
    let total = left
        .iter()
        .filter_map(|dim| dim.fixed())
        .try_fold(1usize, usize::checked_mul)
        .ok_or("its extents are too large")?;
    let unknown: Vec<&&Dim> = left.iter().filter(|dim| dim.fixed().is_none()).collect();
    match unknown.as_slice() {
        [] if denominator > 0 && total % denominator == 0 => {
            shape[open] = Dim::Fixed(total / denominator);
        }
        [] if denominator > 0 => return Err("its target does not divide the input"),
        [dim] if total == denominator => shape[open] = (**dim).clone(),
        _ => {}
    }
    Ok(shape)
}

/// A constant target that gives the same shape, where dynamic extents allow it: an
/// extent is written out, copied by 0, or left open by -1.
fn constant_target(node: &Node, shapes: &ShapeContext<'_>) -> Option<Vec<i64>> {
    let (input, value) = (shapes.input(node, 0)?, shapes.value(node, 1)?);
    let allow_zero = node.attr_i("allowzero", 0) != 0;
    let mut open = value
        .elements
        .iter()
        .any(|element| element.number.known() == Some(-1));
    value
        .elements
        .iter()
        .enumerate()
        .map(|(axis, element)| match element.number.known() {
            Some(value) => Some(value),
            None if !allow_zero
                && matches!(element.number, Number::Named(_))
                && input.get(axis) == Some(&element.number.dim()) =>
            {
                Some(0)
            }
            None if !open => {
                open = true;
                Some(-1)
            }
            None => None,
        })
        .collect()
}

impl OpRule for Reshape {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let extents: Vec<Number> = match (context.value(node, 1), node.attr_ints("shape")) {
            (Some(value), _) => value.elements.iter().map(|e| e.number.clone()).collect(),
            // Before opset 5.
            (None, Some(shape)) => shape.iter().map(|&extent| Number::Known(extent)).collect(),
            // An extent that is not known may be a 0 or a -1 as well.
            (None, None) => return Ok(vec![extents_in(node, context, 1)]),
        };
        target(node, input, &extents)
            .map(|shape| vec![Some(shape)])
            .map_err(|reason| misfit(context, node, reason))
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let value = context.value(node, 0)?;
        let shape = fixed_extents(self.shapes(node, context))?;
        value.reshaped(shape)?.depending_on(context.value(node, 1))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        relabel(node, context)?;
        let output = match node.outputs.first() {
            Some(name) => context.value(name).unwrap_or_default(),
            None => Vec::new(),
        };
        let shapes = context.shapes();
        let written = |element: usize| match (node.attr_ints("shape"), shapes.value(node, 1)) {
            (Some(shape), _) => shape.get(element).copied(),
            (None, value) => value.and_then(|value| value.elements.get(element)?.number.known()),
        };
        // Extents that are copied or left open follow by themselves.
        let counts = output
            .iter()
            .enumerate()
            .filter(|(element, _)| written(*element).is_some_and(|extent| extent > 0))
            .filter_map(|(element, labels)| Some((element, labels.clone()?)))
            .collect();
        if node.attr_ints("shape").is_some() {
            context.parameter_counts(node, "shape", 1, counts);
        } else {
            let template = constant_target(node, &shapes);
            context.input_counts(node, 1, counts, template);
        }
        Ok(())
    }
}
