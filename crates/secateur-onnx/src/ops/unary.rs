//! Element by element with one input: shape and channels stay.

use super::{OpRule, OutputShapes};
use crate::coupling::LabelContext;
use crate::error::Result;
use crate::graph::Node;
use crate::shape::ShapeContext;

pub(super) struct Unary;

impl OpRule for Unary {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let shape = context.input(node, 0).map(<[_]>::to_vec);
        // Dropout's mask has the same shape.
        Ok(vec![shape; node.outputs.len()])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        for slot in 0..node.outputs.len() {
            context.set_output(node, slot, axes.clone());
        }
        Ok(())
    }
}
