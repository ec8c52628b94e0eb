//! Normalisation: per channel (batch, instance) channels stay free; across
//! channels (layer, group, local response) they are pinned.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__BatchNormalization.html> (opset 1-15),
//! <https://onnx.ai/onnx/operators/onnx__InstanceNormalization.html>,
//! <https://onnx.ai/onnx/operators/onnx__LayerNormalization.html>,
//! <https://onnx.ai/onnx/operators/onnx__GroupNormalization.html>.

use super::axes::axis_of;
use super::rule::{OpRule, OutputShapes, Stored, WeightRole};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::{LabelContext, Role};

const ACROSS: &str = "it normalises across these channels";

/// Shape of an operator that keeps the shape of its first input.
fn same_shape(node: &Node, context: &ShapeContext<'_>) -> OutputShapes {
    vec![context.input(node, 0).map(<[_]>::to_vec)]
}

/// Merges the vectors in these slots with the channels of the first input.
fn merge_vectors(
    node: &Node,
    context: &mut LabelContext<'_>,
    slots: std::ops::Range<usize>,
) -> std::result::Result<(), String> {
    let axes = context.input(node, 0)?;
    let Some(channels) = axes.get(1).cloned().flatten() else {
        return Err("the number of channels is not known".to_string());
    };
    for slot in slots {
        let Some(vector) = context.input(node, slot)?.first().cloned().flatten() else {
            return Err(format!("input {slot} is not a vector of known length"));
        };
        if vector.len() != channels.len() {
            return Err(format!(
                "input {slot} holds {} values for {} channels",
                vector.len(),
                channels.len()
            ));
        }
        context.use_parameter(node, slot, 0, Role::Norm);
        context.merge(&channels, &vector);
    }
    for slot in 1..node.outputs.len() {
        context.set_output(node, slot, vec![Some(channels.clone())]);
    }
    context.set_output(node, 0, axes);
    Ok(())
}

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
        merge_vectors(node, context, 1..5)
    }

    fn stored(&self, slot: usize) -> Stored {
        match slot {
            3 | 4 => Stored::Parameter(WeightRole::Running),
            _ => Stored::of_normalisation(slot),
        }
    }

    fn normalises(&self) -> bool {
        true
    }
}

pub(super) struct InstanceNormalization;

impl OpRule for InstanceNormalization {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(same_shape(node, context))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        context.pin_axes(
            axes.get(2..).unwrap_or(&[]),
            node,
            "it takes a mean over them",
        );
        merge_vectors(node, context, 1..3)
    }

    fn stored(&self, slot: usize) -> Stored {
        Stored::of_normalisation(slot)
    }

    fn normalises(&self) -> bool {
        true
    }
}

pub(super) struct LayerNormalization;

impl OpRule for LayerNormalization {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let mut shapes = vec![Some(input.to_vec())];
        // Mean and inverse deviation.
        let axis = axis_of(node.attr_i("axis", -1), input.len()).unwrap_or(input.len());
        let mut statistics = input.to_vec();
        statistics[axis..].fill(Dim::Fixed(1));
        shapes.resize(node.outputs.len().max(1), Some(statistics));
        Ok(shapes)
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        let axis = axis_of(node.attr_i("axis", -1), axes.len())
            .ok_or("its axis lies outside the input")?;
        context.pin_axes(&axes[axis..], node, ACROSS);
        for slot in 1..node.outputs.len() {
            let mut output = context.new_axes_of_rank(node, slot, axes.len())?;
            output[..axis].clone_from_slice(&axes[..axis]);
            context.set_output(node, slot, output);
        }
        context.set_output(node, 0, axes);
        Ok(())
    }

    fn stored(&self, slot: usize) -> Stored {
        Stored::of_normalisation(slot)
    }

    fn normalises(&self) -> bool {
        true
    }
}

/// Labels of an operator that normalises across the channels of its first input.
fn pin_channels(node: &Node, context: &mut LabelContext<'_>) -> std::result::Result<(), String> {
    let axes = context.input(node, 0)?;
    context.pin_axes(axes.get(1..).unwrap_or(&[]), node, ACROSS);
    context.set_output(node, 0, axes);
    Ok(())
}

pub(super) struct GroupNormalization;

impl OpRule for GroupNormalization {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(same_shape(node, context))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        pin_channels(node, context)
    }

    fn stored(&self, slot: usize) -> Stored {
        Stored::of_normalisation(slot)
    }

    fn normalises(&self) -> bool {
        true
    }
}

/// `LRN`, which has no parameters and only damps large values.
pub(super) struct LocalResponse;

impl OpRule for LocalResponse {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(same_shape(node, context))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        pin_channels(node, context)
    }
}
