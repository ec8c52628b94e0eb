//! Element by element with one input: shape and channels stay.
//!
//! Activations, rounding, casts, dropout. Bounds of `Clip` and the like are scalars.

use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{Element, IntValue, Number, ShapeContext};
use crate::graph::Node;
use crate::labels::LabelContext;

/// Operators of one input, by whether they compute anything.
pub(super) enum Unary {
    /// `Identity`, `Cast`: the values stay.
    Copies,
    /// All others.
    Computes,
}

/// Data type numbers of floating point types, as targets of `Cast`.
const FLOAT_TYPES: [i64; 4] = [1, 10, 11, 16];

impl OpRule for Unary {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let shape = context.input(node, 0).map(<[_]>::to_vec);
        // Dropout's mask has the same shape.
        Ok(vec![shape; node.outputs.len()])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let mut value = context.value(node, 0)?.clone();
        match node.op_type.as_str() {
            "Identity" | "Floor" | "Ceil" | "Round" => {}
            "Cast" => value.is_float = FLOAT_TYPES.contains(&node.attr_i("to", 0)),
            "Neg" | "Not" | "Abs" => {
                let apply = |v: i64| match node.op_type.as_str() {
                    "Neg" => v.checked_neg(),
                    "Abs" => v.checked_abs(),
                    _ => Some(i64::from(v == 0)),
                };
                for element in &mut value.elements {
                    let number = element.number.known().and_then(apply);
                    let number = number.map_or(Number::Unknown, Number::Known);
                    *element = Element::computed(number, &[element]);
                }
            }
            _ => return None,
        }
        Some(value)
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        for slot in 0..node.outputs.len() {
            context.set_output(node, slot, axes.clone());
        }
        if self.copies() {
            context.view(node, &(0..axes.len()).collect::<Vec<_>>());
        }
        Ok(())
    }

    fn copies(&self) -> bool {
        matches!(self, Self::Copies)
    }
}

/// Operators whose output has the shape of the first input, and whose channels are not
/// followed.
pub(super) struct SameShape;

impl OpRule for SameShape {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(vec![context.input(node, 0).map(<[_]>::to_vec)])
    }

    fn labels(&self, node: &Node, _: &mut LabelContext<'_>) -> Result<(), String> {
        Err(format!("the channels of {} are not followed", node.op_type))
    }
}
