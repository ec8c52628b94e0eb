//! Element by element with one input: shape and channels stay.
//!
//! Activations, rounding, casts, dropout. Bounds of `Clip` and the like are scalars.

use super::arithmetic::Arithmetic;
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{Element, Format, IntValue, Number, ShapeContext};
use crate::graph::Node;
use crate::labels::LabelContext;

/// Operators of one input, by whether they compute anything.
pub(super) enum Unary {
    /// `Identity`, `Cast`: the values stay.
    Copies,
    /// All others.
    Computes,
}

/// Operators that are followed on the numbers of shape computations.
const FOLDED: [&str; 11] = [
    "Abs",
    "Cast",
    "Ceil",
    "Floor",
    "Identity",
    "Neg",
    "Not",
    "Reciprocal",
    "Relu",
    "Round",
    "Sign",
];

/// Data type number of truth values.
const BOOL: i64 = 9;

/// Data type numbers of 32 and 64 bits in floating point.
const SINGLE: i64 = 1;
const DOUBLE: i64 = 11;

/// Data type numbers of floating point types, as targets of `Cast`.
const FLOAT_TYPES: [i64; 4] = [1, 10, 11, 16];

/// A fraction that is rounded, or cast to that format; `None` for what stays as it is.
fn rounded(node: &Node, to: Format, number: &Number) -> Option<Number> {
    let Number::Fraction(_) = number else {
        return None;
    };
    let value = number.single()?;
    Some(Number::of_single(match node.op_type.as_str() {
        "Floor" => value.floor(),
        "Ceil" => value.ceil(),
        "Round" => value.round_ties_even(),
        // To integers fractions are cut off.
        _ if to == Format::Integer => value.trunc(),
        _ if to == Format::Single || node.attr_i("to", 0) == DOUBLE => return None,
        // It may lose digits.
        _ => return Some(Number::Unknown),
    }))
}

/// What an operator makes of a number.
fn apply(node: &Node, format: Format, number: &Number) -> Option<Number> {
    if format == Format::Single {
        let value = number.single()?;
        return Some(match node.op_type.as_str() {
            "Neg" => Number::of_single(-value),
            "Abs" => Number::of_single(value.abs()),
            "Relu" => Number::of_single(value.max(0.0)),
            "Sign" if value != 0.0 => Number::of_single(value.signum()),
            "Reciprocal" => Number::of_single(1.0 / value),
            // To a truth value.
            "Cast" => Number::Known(i64::from(value != 0.0)),
            _ => return None,
        });
    }
    let value = number.known()?;
    let result = match node.op_type.as_str() {
        "Neg" => value.checked_neg(),
        "Abs" => value.checked_abs(),
        "Sign" => Some(value.signum()),
        "Relu" => Some(value.max(0)),
        "Not" => Some(i64::from(value == 0)),
        "Cast" => Some(i64::from(value != 0)),
        _ => None,
    };
    result.map(Number::Known)
}

/// A bound of a `Clip`, which older opsets write as an attribute.
enum Bound {
    /// There is none.
    Absent,
    /// One number.
    Given(Element),
}

/// The bound of that name; `None` if it is computed and cannot be followed.
fn bound(node: &Node, context: &ShapeContext<'_>, name: &str, slot: usize) -> Option<Bound> {
    let stated = node.attr_f(name, f32::NAN);
    if !stated.is_nan() {
        return Some(Bound::Given(Element::of(Number::of_single(stated))));
    }
    if node.input(slot).is_none() {
        return Some(Bound::Absent);
    }
    match context.value(node, slot)?.elements.as_slice() {
        [element] => Some(Bound::Given(element.clone())),
        _ => None,
    }
}

/// Sizes between bounds, such as a padding that is not to be negative.
fn clipped(node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
    let mut value = context.value(node, 0)?.clone();
    // A lower bound above the upper one gives the upper one, as runtimes do it.
    for (name, slot, operator) in [("min", 1, "Max"), ("max", 2, "Min")] {
        if let Bound::Given(bound) = bound(node, context, name, slot)? {
            let arithmetic = Arithmetic::named(operator, value.format);
            for element in &mut value.elements {
                *element = arithmetic.apply(&[&*element, &bound])?;
            }
        }
    }
    Some(value)
}

impl OpRule for Unary {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let shape = context.input(node, 0).map(<[_]>::to_vec);
        // Dropout's mask has the same shape.
        Ok(vec![shape; node.outputs.len()])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        if node.op_type == "Clip" {
            return clipped(node, context);
        }
        if !FOLDED.contains(&node.op_type.as_str()) {
            return None;
        }
        let mut value = context.value(node, 0)?.clone();
        let from = value.format;
        if node.op_type == "Cast" {
            value.format = match node.attr_i("to", 0) {
                SINGLE => Format::Single,
                to if FLOAT_TYPES.contains(&to) => Format::Float,
                _ => Format::Integer,
            };
        }
        let to_bool = node.attr_i("to", 0) == BOOL;
        for element in &mut value.elements {
            let number = match node.op_type.as_str() {
                "Identity" => continue,
                "Floor" | "Ceil" | "Round" | "Cast" if !to_bool => {
                    match rounded(node, value.format, &element.number) {
                        // A whole number stays what it is.
                        None => continue,
                        number => number,
                    }
                }
                _ => apply(node, from, &element.number),
            };
            let number = number.unwrap_or(Number::Unknown);
            *element = Element::computed(number, &[element]);
        }
        Some(value)
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        for slot in 0..node.outputs.len() {
            context.set_output(node, slot, axes.clone());
        }
        if self.is_view() {
            context.view(node, &(0..axes.len()).collect::<Vec<_>>());
        }
        Ok(())
    }

    fn is_view(&self) -> bool {
        matches!(self, Self::Copies)
    }
}
