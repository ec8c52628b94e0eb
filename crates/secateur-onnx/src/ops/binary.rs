//! Element by element with broadcasting, over any number of inputs.
//!
//! Spec: <https://onnx.ai/onnx/repo-docs/Broadcasting.html>: axes are aligned at
//! the end; an extent of 1 repeats. Channels that meet must go together.

use super::{OpRule, OutputShapes, misfit};
use crate::coupling::{LabelContext, Role};
use crate::error::Result;
use crate::graph::{Dim, Node};
use crate::shape::ShapeContext;

pub(super) struct Broadcast;

impl OpRule for Broadcast {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let mut shape: Vec<Dim> = Vec::new();
        for slot in 0..node.inputs.len() {
            let Some(other) = context.input(node, slot) else {
                return Ok(vec![None]);
            };
            while shape.len() < other.len() {
                shape.insert(0, Dim::Fixed(1));
            }
            let offset = shape.len() - other.len();
            for (axis, dim) in other.iter().enumerate() {
                let mine = &mut shape[offset + axis];
                match (&*mine, dim) {
                    (a, b) if a == b => {}
                    (_, Dim::Fixed(1)) => {}
                    (Dim::Fixed(1), b) => *mine = b.clone(),
                    (Dim::Fixed(a), Dim::Fixed(b)) => {
                        return Err(misfit(
                            context,
                            node,
                            format!("inputs with extents {a} and {b} do not broadcast"),
                        ));
                    }
                    // One is known and not 1: the other must be it or 1.
                    (_, Dim::Fixed(b)) => *mine = Dim::Fixed(*b),
                    (Dim::Fixed(_), _) => {}
                    _ => *mine = Dim::Unknown,
                }
            }
        }
        Ok(vec![Some(shape)])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let mut output = Vec::new();
        for slot in 0..node.inputs.len() {
            let axes = context.input(node, slot)?;
            while output.len() < axes.len() {
                output.insert(0, None);
            }
            let offset = output.len() - axes.len();
            for (axis, labels) in axes.iter().enumerate() {
                let Some(labels) = labels else { continue };
                context.use_parameter(node, slot, axis, Role::Norm);
                match &output[offset + axis] {
                    None => output[offset + axis] = Some(labels.clone()),
                    Some(mine) if mine.len() == labels.len() => {
                        let mine = mine.clone();
                        context.merge(&mine, labels);
                    }
                    Some(mine) if mine.len() == 1 => output[offset + axis] = Some(labels.clone()),
                    Some(_) if labels.len() == 1 => {}
                    Some(mine) => {
                        return Err(format!(
                            "extents {} and {} do not broadcast",
                            mine.len(),
                            labels.len()
                        ));
                    }
                }
            }
        }
        context.set_output(node, 0, output);
        Ok(())
    }
}
