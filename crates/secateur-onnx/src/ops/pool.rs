//! Pooling: channels stay, pixels shrink.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__MaxPool.html>,
//! <https://onnx.ai/onnx/operators/onnx__AveragePool.html>.

use super::axes::misfit;
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::{AxisLabels, LabelContext};

/// Strides and the like stay below, so that sums of them do not overflow.
const MAX_WINDOW: usize = 1 << 31;

/// A list attribute of that many extents.
pub(super) fn extents(
    node: &Node,
    context: &ShapeContext<'_>,
    name: &str,
    default: i64,
    len: usize,
) -> Result<Vec<usize>> {
    let values = node.attr_ints(name).filter(|v| !v.is_empty());
    let values = values.map_or_else(|| vec![default; len], <[i64]>::to_vec);
    if values.len() != len {
        return Err(misfit(
            context,
            node,
            format!("`{name}` holds {} values, expected {len}", values.len()),
        ));
    }
    values
        .iter()
        .map(|&v| {
            usize::try_from(v)
                .ok()
                .filter(|&v| v < MAX_WINDOW)
                .ok_or_else(|| misfit(context, node, format!("`{name}` holds {v}")))
        })
        .collect()
}

/// Spatial extents after a window slides over them (convolution and pooling).
pub(super) fn window(
    node: &Node,
    context: &ShapeContext<'_>,
    input: &[Dim],
    kernel: &[usize],
) -> Result<Vec<Dim>> {
    let rank = kernel.len();
    let attribute = |name, default, len| extents(node, context, name, default, len);
    let strides = attribute("strides", 1, rank)?;
    let dilations = attribute("dilations", 1, rank)?;
    let pads = attribute("pads", 0, 2 * rank)?;
    let auto_pad = node.attr_s("auto_pad").unwrap_or_default();
    let ceil = node.attr_i("ceil_mode", 0) != 0;
    if strides.contains(&0) || dilations.contains(&0) || kernel.contains(&0) {
        return Err(misfit(
            context,
            node,
            "window, strides and dilations must be positive",
        ));
    }
    let slide = |axis: usize| {
        let Some(extent) = input[axis].fixed() else {
            return Ok(Dim::Unknown);
        };
        let reach = dilations[axis]
            .saturating_mul(kernel[axis] - 1)
            .saturating_add(1);
        let (before, after) = match auto_pad.as_str() {
            "SAME_UPPER" | "SAME_LOWER" => return Ok(Dim::Fixed(extent.div_ceil(strides[axis]))),
            "VALID" => (0, 0),
            _ => (pads[axis], pads[axis + rank]),
        };
        let padded = extent.saturating_add(before + after);
        let Some(steps) = padded.checked_sub(reach) else {
            let reason = format!("its window of {reach} is larger than the padded input, {padded}");
            return Err(misfit(context, node, reason));
        };
        if !ceil {
            return Ok(Dim::Fixed(steps / strides[axis] + 1));
        }
        // A window may not begin in the padding at the end.
        let last = steps.div_ceil(strides[axis]);
        let begins_behind = last.saturating_mul(strides[axis]) >= extent.saturating_add(pads[axis]);
        Ok(Dim::Fixed(last + usize::from(!begins_behind)))
    };
    (0..rank).map(slide).collect()
}

/// Input axes, of which there must be a batch and channels.
fn image_axes(
    node: &Node,
    context: &mut LabelContext<'_>,
) -> std::result::Result<Vec<AxisLabels>, String> {
    let axes = context.input(node, 0)?;
    match axes.len() {
        0 | 1 => Err("expected [n, c, ...]".to_string()),
        _ => Ok(axes),
    }
}

/// Output axes of an operator that keeps batch and channels and makes new pixels.
fn keep_channels(
    node: &Node,
    context: &mut LabelContext<'_>,
    axes: &[AxisLabels],
) -> std::result::Result<(), String> {
    for slot in 0..node.outputs.len() {
        let mut output = context.new_axes_of_rank(node, slot, axes.len())?;
        output[0] = axes[0].clone();
        output[1] = axes[1].clone();
        context.set_output(node, slot, output);
    }
    Ok(())
}

pub(super) struct Pool;

impl OpRule for Pool {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let kernel: Vec<usize> = node
            .attr_ints("kernel_shape")
            .unwrap_or_default()
            .iter()
            .filter_map(|&k| usize::try_from(k).ok().filter(|&k| k < MAX_WINDOW))
            .collect();
        if input.len() < 2 || kernel.len() != input.len() - 2 {
            return Err(misfit(
                context,
                node,
                "its window does not have the rank of its input",
            ));
        }
        let mut shape = input[..2].to_vec();
        shape.extend(window(node, context, &input[2..], &kernel)?);
        Ok(vec![Some(shape); node.outputs.len()])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        // The second output holds indices into the whole tensor, channels included.
        if node.outputs.get(1).is_some_and(|name| !name.is_empty()) {
            return Err("it also gives positions in the whole tensor".to_string());
        }
        let axes = image_axes(node, context)?;
        context.pin_axes(&axes[2..], node, "a window slides over it");
        keep_channels(node, context, &axes)
    }
}

pub(super) struct GlobalPool;

impl OpRule for GlobalPool {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let shape = input
            .iter()
            .enumerate()
            .map(|(axis, dim)| if axis < 2 { dim.clone() } else { Dim::Fixed(1) })
            .collect();
        Ok(vec![Some(shape)])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = image_axes(node, context)?;
        // Channels lie here where they were moved to the place of pixels.
        let what = match node.op_type.as_str() {
            "GlobalMaxPool" => "takes the largest of these channels",
            _ => "takes a mean over these channels",
        };
        for labels in &axes[2..] {
            context.mixes(node, labels, what);
        }
        keep_channels(node, context, &axes)
    }
}
