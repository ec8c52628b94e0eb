//! Normalisation: per channel (batch, instance) channels stay free; across
//! channels (layer, group, local response) they are pinned, unless mixing is allowed.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__BatchNormalization.html> (opset 1-15),
//! <https://onnx.ai/onnx/operators/onnx__InstanceNormalization.html>,
//! <https://onnx.ai/onnx/operators/onnx__LayerNormalization.html>,
//! <https://onnx.ai/onnx/operators/onnx__GroupNormalization.html>.

use super::axes::{axis_of, same_shape};
use super::binary::broadcast_labels;
use super::rule::{OpRule, OutputShapes, Stored, WeightRole};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::{AxisLabels, LabelContext, Role};

const ACROSS: &str = "normalises across these channels";

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
        let mut shapes = same_shape(node, context);
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
        for labels in axes.iter().skip(2) {
            context.mixes(node, labels, "takes a mean over these channels");
        }
        merge_vectors(node, context, 1..3)
    }

    fn stored(&self, slot: usize) -> Stored {
        Stored::of_normalisation(slot)
    }

    fn normalises(&self) -> bool {
        true
    }
}

/// Merges scale and shift, whose last axes are those of the input, with it.
fn merge_aligned(
    node: &Node,
    context: &mut LabelContext<'_>,
    axes: &[AxisLabels],
) -> std::result::Result<(), String> {
    for slot in (1..3).filter(|&slot| node.input(slot).is_some()) {
        let vector = context.input(node, slot)?;
        for (axis, labels) in vector.iter().enumerate() {
            if labels.as_ref().is_some_and(|labels| labels.len() > 1) {
                context.use_parameter(node, slot, axis, Role::Norm);
            }
        }
        broadcast_labels(node, context, axes, &vector)?;
    }
    Ok(())
}

/// `LayerNormalization`, and `RMSNormalization`, which has no shift.
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
        for labels in &axes[axis..] {
            context.mixes(node, labels, ACROSS);
        }
        if context.graph().allow_mixing {
            merge_aligned(node, context, &axes)?;
        }
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

pub(super) struct GroupNormalization;

impl OpRule for GroupNormalization {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(same_shape(node, context))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        if node.attr_i("num_groups", 0) != 1 {
            let reason = format!("it {ACROSS}, in groups");
            context.pin_axes(axes.get(1..).unwrap_or(&[]), node, &reason);
            context.set_output(node, 0, axes);
            return Ok(());
        }
        for labels in axes.iter().skip(1) {
            context.mixes(node, labels, ACROSS);
        }
        // Before opset 21 there is one scale for the group.
        let width = axes.get(1).and_then(|labels| Some(labels.as_ref()?.len()));
        let scale = context.input(node, 1)?;
        let each = scale
            .first()
            .and_then(|labels| Some(labels.as_ref()?.len()));
        if context.graph().allow_mixing && each == width {
            return merge_vectors(node, context, 1..3);
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

/// `LRN`, which has no parameters and only damps large values.
pub(super) struct LocalResponse;

impl OpRule for LocalResponse {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(same_shape(node, context))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        if let Some(channels) = axes.get(1) {
            context.mixes(
                node,
                channels,
                "normalises by neighbours among these channels",
            );
        }
        context.set_output(node, 0, axes);
        Ok(())
    }
}
