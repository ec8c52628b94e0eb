//! Reductions: the axes that are reduced stay whole, unless mixing is allowed.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__ReduceMean.html> (and its like),
//! <https://onnx.ai/onnx/operators/onnx__ArgMax.html>.

use std::collections::BTreeMap;

use super::arithmetic::Arithmetic;
use super::axes::{axes_of, axis_of, fixed_extents, misfit};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{Element, IntValue, Parameter, ShapeContext, positions};
use crate::graph::{Dim, Node};
use crate::labels::{AxisLabels, LabelContext};

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

/// What a reduction does to the channels that it runs over.
fn mixing(op_type: &str) -> &'static str {
    match op_type {
        "ReduceMean" => "takes a mean over these channels",
        "ReduceMax" => "takes the largest of these channels",
        "ReduceMin" => "takes the smallest of these channels",
        "ReduceL1" | "ReduceL2" => "takes a norm over these channels",
        _ => "reduces over these channels",
    }
}

/// Labels with the reduced axes replaced; `reduces` says what becomes of their old ones.
fn relabel(
    node: &Node,
    context: &mut LabelContext<'_>,
    axes: &[usize],
    reduces: impl Fn(&mut LabelContext<'_>, &AxisLabels),
) -> std::result::Result<(), String> {
    let input = context.input(node, 0)?;
    let keep = node.attr_i("keepdims", 1) != 0;
    let mut output = Vec::with_capacity(input.len());
    for (axis, labels) in input.iter().enumerate() {
        if !axes.contains(&axis) {
            output.push(labels.clone());
            continue;
        }
        reduces(context, labels);
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

/// What a reduction makes of some elements; `empty` is what it makes of none.
fn reduce(operator: &Arithmetic<'_>, empty: Option<i64>, group: &[&Element]) -> Option<Element> {
    let Some((first, others)) = group.split_first() else {
        return empty.map(Element::constant);
    };
    // A pair keeps track of what a removal does to it; of more, the sources are known.
    if others.len() <= 1 {
        return operator.apply(group);
    }
    let number = others.iter().fold(first.number.clone(), |number, other| {
        operator.number(&number, &other.number)
    });
    Some(Element::computed(number, group))
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
        let (operator, empty) = match node.op_type.as_str() {
            "ReduceProd" => ("Mul", Some(1)),
            "ReduceSum" => ("Add", Some(0)),
            "ReduceMax" => ("Max", None),
            "ReduceMin" => ("Min", None),
            _ => return None,
        };
        let value = context.value(node, 0)?;
        let operator = Arithmetic::named(operator, value.format);
        let axes = reduced(node, context, value.shape.len())?;
        let shape = fixed_extents(self.shapes(node, context))?;
        let mut groups: BTreeMap<Vec<usize>, Vec<&Element>> = positions(&shape)?
            .map(|position| (position, Vec::new()))
            .collect();
        for (position, element) in positions(&value.shape)?.zip(&value.elements) {
            let own = position.iter().enumerate();
            let own: Vec<usize> = own
                .filter_map(|(axis, &at)| match axes.contains(&axis) {
                    true => (node.attr_i("keepdims", 1) != 0).then_some(0),
                    false => Some(at),
                })
                .collect();
            groups.get_mut(&own)?.push(element);
        }
        let elements = groups.values().map(|group| reduce(&operator, empty, group));
        let elements = elements.collect::<Option<_>>()?;
        Some(IntValue::new(shape, value.format, elements))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let rank = context.input(node, 0)?.len();
        let axes = reduced(node, &context.shapes(), rank).ok_or("its axes are computed")?;
        let what = mixing(&node.op_type);
        relabel(node, context, &axes, |context, labels| {
            context.mixes(node, labels, what);
        })
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
        relabel(node, context, &[axis], |context, labels| {
            let reason = "it gives a position along them";
            context.pin_axes(std::slice::from_ref(labels), node, reason);
        })
    }
}
