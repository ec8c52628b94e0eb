//! Batch normalisation: one scale, shift, mean and variance a channel.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__BatchNormalization.html> (opset 1-15).

use super::{OpRule, OutputShapes};
use crate::coupling::{LabelContext, Role};
use crate::error::Result;
use crate::graph::Node;
use crate::shape::ShapeContext;

pub(super) struct BatchNormalization;

impl OpRule for BatchNormalization {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let mut shapes = vec![context.input(node, 0).map(<[_]>::to_vec)];
        // Running statistics, where the node is in training mode.
        for _ in 1..node.outputs.len() {
            shapes.push(context.input(node, 1).map(<[_]>::to_vec));
        }
        Ok(shapes)
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        let Some(channels) = axes.get(1).cloned().flatten() else {
            return Err("the number of channels is not known".to_string());
        };
        for slot in 1..5 {
            let Some(parameter) = context.input(node, slot)?.first().cloned().flatten() else {
                return Err(format!("input {slot} is not a stored vector"));
            };
            if parameter.len() != channels.len() {
                return Err(format!(
                    "input {slot} holds {} values for {} channels",
                    parameter.len(),
                    channels.len()
                ));
            }
            context.use_parameter(node, slot, 0, Role::Norm);
            context.merge(&channels, &parameter);
        }
        context.set_output(node, 0, axes);
        for slot in 1..node.outputs.len() {
            context.set_output(node, slot, vec![Some(channels.clone())]);
        }
        Ok(())
    }
}
