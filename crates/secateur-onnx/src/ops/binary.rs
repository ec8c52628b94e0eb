//! Element by element with broadcasting, over any number of inputs.
//!
//! Spec: <https://onnx.ai/onnx/repo-docs/Broadcasting.html>: axes are aligned at
//! the end; an extent of 1 repeats. Channels that meet must go together.

use super::axes::misfit;
use super::rule::{OpRule, OutputShapes, Stored, WeightRole};
use crate::error::Result;
use crate::extents::{Element, IntValue, Number, ShapeContext};
use crate::graph::{Dim, Node};
use crate::labels::{AxisLabels, LabelContext, Role};

/// Operators that broadcast, by what a stored operand is to them.
pub(super) enum Broadcast {
    /// `Add`, `Mul`, `Sub`: a bias or a scale may be added or multiplied.
    Affine,
    /// `PRelu`: the second operand holds the slopes.
    Slope,
    /// All others.
    Plain,
}

/// From this opset on, axes are aligned at the end; before, by attributes.
const NUMPY_STYLE: i64 = 7;

/// Extent of two aligned axes; `None` if they do not broadcast.
fn broadcast(a: &Dim, b: &Dim) -> Option<Dim> {
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (Dim::Fixed(1), other) | (other, Dim::Fixed(1)) => other.clone(),
        (Dim::Fixed(_), Dim::Fixed(_)) => return None,
        // The known extent is not 1, so the other one must be equal to it, or 1.
        (Dim::Fixed(size), _) | (_, Dim::Fixed(size)) => Dim::Fixed(*size),
        _ => Dim::Unknown,
    })
}

/// Shape of two values broadcast against each other; the extents that do not fit otherwise.
pub(super) fn broadcast_shapes(a: &[Dim], b: &[Dim]) -> std::result::Result<Vec<Dim>, (Dim, Dim)> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let mut shape = long.to_vec();
    let offset = long.len() - short.len();
    for (mine, other) in shape[offset..].iter_mut().zip(short) {
        *mine = broadcast(mine, other).ok_or_else(|| (mine.clone(), other.clone()))?;
    }
    Ok(shape)
}

/// Labels of two values broadcast against each other.
pub(super) fn broadcast_labels(
    node: &Node,
    context: &mut LabelContext<'_>,
    a: &[AxisLabels],
    b: &[AxisLabels],
) -> std::result::Result<Vec<AxisLabels>, String> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let mut output = long.to_vec();
    let offset = long.len() - short.len();
    for (mine, other) in output[offset..].iter_mut().zip(short) {
        let repeated = |labels: &AxisLabels| labels.as_ref().is_some_and(|l| l.len() == 1);
        *mine = match (repeated(mine), repeated(other)) {
            (true, false) | (false, true) => {
                let (one, all) = if repeated(mine) {
                    (&*mine, other)
                } else {
                    (other, &*mine)
                };
                // A position that is repeated along an axis belongs to all positions there.
                context.pin_axes(
                    std::slice::from_ref(one),
                    node,
                    "it is repeated over an axis",
                );
                all.clone()
            }
            _ => context.join(node, mine, other)?,
        };
    }
    Ok(output)
}

/// Integer arithmetic; `None` where it is undefined or not a whole number.
fn compute(op_type: &str, is_float: bool, a: i64, b: i64) -> Option<i64> {
    match op_type {
        "Add" | "Sum" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        "Div" if is_float => (b != 0 && a.checked_rem(b)? == 0).then(|| a / b),
        "Div" => a.checked_div(b),
        "Mod" => a.checked_rem_euclid(b),
        "Max" => Some(a.max(b)),
        "Min" => Some(a.min(b)),
        "Equal" => Some(i64::from(a == b)),
        "Greater" => Some(i64::from(a > b)),
        "GreaterOrEqual" => Some(i64::from(a >= b)),
        "Less" => Some(i64::from(a < b)),
        "LessOrEqual" => Some(i64::from(a <= b)),
        "And" => Some(i64::from(a != 0 && b != 0)),
        "Or" => Some(i64::from(a != 0 || b != 0)),
        _ => None,
    }
}

fn combine(op_type: &str, is_float: bool, a: &Element, b: &Element) -> Element {
    let negative = |e: &Element| e.sources.is_empty() && e.number.known().is_some_and(|v| v < 0);
    if op_type == "Equal" && (a.is_extent() && negative(b) || negative(a) && b.is_extent()) {
        return Element::constant(0);
    }
    let number = match (&a.number, &b.number) {
        (Number::Known(x), Number::Known(y)) => {
            compute(op_type, is_float, *x, *y).map_or(Number::Unknown, Number::Known)
        }
        (named @ Number::Named(_), Number::Known(v)) => match (op_type, v) {
            ("Mul" | "Div", 1) | ("Add" | "Sub", 0) => named.clone(),
            _ => Number::Unknown,
        },
        (Number::Known(v), named @ Number::Named(_)) => match (op_type, v) {
            ("Mul", 1) | ("Add", 0) => named.clone(),
            _ => Number::Unknown,
        },
        _ => Number::Unknown,
    };
    let constant = |e: &Element| e.number.known().filter(|_| e.sources.is_empty());
    match (op_type, constant(a), constant(b)) {
        ("Mul", _, Some(times)) => a.scaled(number, times, 1),
        ("Mul", Some(times), _) => b.scaled(number, times, 1),
        ("Div", _, Some(by)) => a.scaled(number, 1, by),
        _ => Element::computed(number, &[a, b]),
    }
}

/// Element `index` of a value with `len` elements after broadcasting.
fn element(value: &IntValue, index: usize) -> Option<&Element> {
    value
        .elements
        .get(if value.elements.len() == 1 { 0 } else { index })
}

impl OpRule for Broadcast {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        if context.graph.opset < NUMPY_STYLE {
            // In these opsets only the second input may be repeated.
            return Ok(vec![context.input(node, 0).map(<[_]>::to_vec)]);
        }
        let mut shape: Vec<Dim> = Vec::new();
        for slot in 0..node.inputs.len() {
            let Some(other) = context.input(node, slot) else {
                return Ok(vec![None]);
            };
            shape = broadcast_shapes(&shape, other).map_err(|(a, b)| {
                misfit(
                    context,
                    node,
                    format!("inputs with extents {a} and {b} do not broadcast"),
                )
            })?;
        }
        Ok(vec![Some(shape)])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let inputs: Vec<&IntValue> = (0..node.inputs.len())
            .map(|slot| context.value(node, slot))
            .collect::<Option<_>>()?;
        let len = inputs.iter().map(|value| value.elements.len()).max()?;
        let scalar = inputs.iter().all(|value| value.scalar);
        let is_float = inputs.last()?.is_float;
        let elements = (0..len)
            .map(|index| {
                let mut own = inputs.iter().map(|value| element(value, index));
                let first = own.next()??;
                if node.op_type == "Where" {
                    let (yes, no) = (own.next()??, own.next()??);
                    return Some(match first.number.known() {
                        // Only a condition that no removal changes decides for good.
                        Some(chosen) if first.sources.is_empty() => {
                            if chosen != 0 {
                                yes.clone()
                            } else {
                                no.clone()
                            }
                        }
                        Some(chosen) => {
                            let chosen = if chosen != 0 { yes } else { no };
                            Element::computed(chosen.number.clone(), &[first, chosen])
                        }
                        None => Element::computed(Number::Unknown, &[first, yes, no]),
                    });
                }
                let mut result = first.clone();
                for other in own {
                    result = combine(&node.op_type, is_float, &result, other?);
                }
                Some(result)
            })
            .collect::<Option<Vec<_>>>()?;
        Some(IntValue {
            scalar,
            is_float,
            elements,
        })
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        if context.graph().opset < NUMPY_STYLE {
            return Err(format!(
                "broadcasting before opset {NUMPY_STYLE} is not followed"
            ));
        }
        let mut output = Vec::new();
        for slot in 0..node.inputs.len() {
            let axes = context.input(node, slot)?;
            for (axis, labels) in axes.iter().enumerate() {
                if labels.as_ref().is_some_and(|labels| labels.len() > 1) {
                    context.use_parameter(node, slot, axis, Role::Norm);
                }
            }
            output = broadcast_labels(node, context, &output, &axes)?;
        }
        context.set_output(node, 0, output);
        Ok(())
    }

    fn stored(&self, slot: usize) -> Stored {
        match (self, slot) {
            (Self::Affine, _) => Stored::Operand,
            (Self::Slope, 1) => Stored::Parameter(WeightRole::Vector),
            _ => Stored::Other,
        }
    }
}
