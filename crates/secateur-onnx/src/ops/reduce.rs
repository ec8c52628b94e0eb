//! Reductions: the axes that are reduced stay whole.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__ReduceMean.html> (and its like),
//! <https://onnx.ai/onnx/operators/onnx__ArgMax.html>.

use super::axes::{axes_of, axis_of, misfit};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{Element, IntValue, Number, Parameter, ShapeContext};
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

pub(super) struct Reduce;
pub(super) struct ArgReduce;

/// The axes that are reduced; `None` where they are computed.
fn reduced(node: &Node, context: &ShapeContext<'_>, rank: usize) -> Option<Vec<usize>> {
    match context.parameter(node, "axes", 1) {
        Parameter::Known(axes) if !axes.is_empty() => axes_of(&axes, rank),
        Parameter::Computed => None,
        _ if node.attr_i("noop_with_empty_axes", 0) != 0 => Some(Vec::new()),
        _ => Some((0..rank).collect()),
    }
}

/// Labels with the reduced axes replaced.
fn relabel(
    node: &Node,
    context: &mut LabelContext<'_>,
    axes: &[usize],
    reason: &str,
) -> std::result::Result<(), String> {
    let input = context.input(node, 0)?;
    let keep = node.attr_i("keepdims", 1) != 0;
    let mut output = Vec::with_capacity(input.len());
    for (axis, labels) in input.iter().enumerate() {
        if !axes.contains(&axis) {
            output.push(labels.clone());
            continue;
        }
        context.pin_axes(std::slice::from_ref(labels), node, reason);
        if keep {
            output.push(context.fresh(1));
        }
    }
    context.set_output(node, 0, output);
    Ok(())
}

fn shapes_of(input: &[Dim], axes: &[usize], keep: bool) -> Vec<Dim> {
    input
        .iter()
        .enumerate()
        .filter_map(|(axis, dim)| match axes.contains(&axis) {
            true => keep.then_some(Dim::Fixed(1)),
            false => Some(dim.clone()),
        })
        .collect()
}

impl OpRule for Reduce {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let keep = node.attr_i("keepdims", 1) != 0;
        let shape = reduced(node, context, input.len())
            .map(|axes| shapes_of(input, &axes, keep))
            .or_else(|| keep.then(|| vec![Dim::Unknown; input.len()]));
        Ok(vec![shape])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let value = context.value(node, 0)?;
        let whole = reduced(node, context, 1)? == [0] && !value.scalar;
        if node.op_type != "ReduceProd" || !whole {
            return None;
        }
        let number = value
            .known()
            .and_then(|values| values.iter().try_fold(1i64, |a, &b| a.checked_mul(b)))
            .map_or(Number::Unknown, Number::Known);
        let inputs: Vec<&Element> = value.elements.iter().collect();
        Some(IntValue {
            scalar: node.attr_i("keepdims", 1) == 0,
            is_float: value.is_float,
            elements: vec![Element::computed(number, &inputs)],
        })
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let rank = context.input(node, 0)?.len();
        let axes = reduced(node, &context.shapes(), rank).ok_or("its axes are computed")?;
        relabel(node, context, &axes, "it reduces over them")
    }
}

impl OpRule for ArgReduce {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let Some(axis) = axis_of(node.attr_i("axis", 0), input.len()) else {
            return Err(misfit(context, node, "its axis lies outside the input"));
        };
        Ok(vec![Some(shapes_of(
            input,
            &[axis],
            node.attr_i("keepdims", 1) != 0,
        ))])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let rank = context.input(node, 0)?.len();
        let axis =
            axis_of(node.attr_i("axis", 0), rank).ok_or("its axis lies outside the input")?;
        relabel(node, context, &[axis], "it gives a position along them")
    }
}
