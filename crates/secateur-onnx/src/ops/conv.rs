//! Convolution, plain, depthwise and grouped.
//!
//! Channels: input channel i meets column i of the weights; output channel o is
//! row o. With the attribute `group` above 1, groups (of the attribute) with a single input or
//! output channel (depthwise) are removed whole; all others must stay of equal size, so that
//! the unit of removal is the same position in every one of them.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Conv.html> (opset 1-22).

use super::axes::{all_axes, misfit, pixels};
use super::pool;
use super::rule::{MacTerm, Macs, OpRule, OutputShapes, Stored};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::{AxisLabels, LabelContext, Labels, Role};

pub(super) struct Conv;

/// The `group` attribute; `None` if it is not positive.
pub(super) fn group_count(node: &Node) -> Option<usize> {
    usize::try_from(node.attr_i("group", 1))
        .ok()
        .filter(|&groups| groups > 0)
}

/// Merges the bias in that slot with the channels it is added to.
pub(super) fn merge_bias(
    node: &Node,
    context: &mut LabelContext<'_>,
    slot: usize,
    channels: &Labels,
) -> std::result::Result<(), String> {
    if node.input(slot).is_none() {
        return Ok(());
    }
    let bias = context.input(node, slot)?;
    match bias.as_slice() {
        [Some(bias)] if bias.len() == channels.len() => {
            context.use_parameter(node, slot, 0, Role::Output);
            context.merge(channels, bias);
            Ok(())
        }
        _ => Err("its bias does not fit its weights".to_string()),
    }
}

/// Every weight multiplies once at each pixel of `image`: the output of a convolution, the
/// input of a transposed one. The pixels are counted as axes of `image`, because channels may lie
/// along them, as where a convolution runs over the means of channels.
pub(super) fn window_macs(
    node: &Node,
    context: &ShapeContext<'_>,
    image: Option<&str>,
) -> Option<MacTerm> {
    let weights = node.input(1)?;
    let rank = context.input(node, 1)?.len();
    let image = image?;
    let extents = context.known.shapes.get(image)?;
    pixels(extents.get(2..)?)?;
    let pixel_axes = (2..extents.len()).map(|axis| (image.to_string(), axis));
    Some(MacTerm {
        axes: all_axes(weights, rank)
            .into_iter()
            .chain(pixel_axes)
            .collect(),
        scale: 1,
        samples: 1,
    })
}

/// Channels through a convolution with weights in slot 1 and a bias in slot `bias`.
pub(super) fn follow_channels(
    node: &Node,
    context: &mut LabelContext<'_>,
    bias: usize,
) -> std::result::Result<(), String> {
    if !context.is_stored(node, 1) {
        return Err("its weights are computed, not stored".to_string());
    }
    let weights = context.input(node, 1)?;
    let groups = group_count(node).ok_or("`group` must be positive")?;
    let input = match context.input(node, 0) {
        // Behind an operator without a rule only the output channels are known.
        Err(_) if groups == 1 => {
            context.pin_axes(&weights[1..], node, "the shape of its input is not known");
            let mut unknown = vec![None; weights.len()];
            unknown[1..].clone_from_slice(&weights[1..]);
            unknown
        }
        input => input?,
    };
    let (Some(Some(channels)), Some(Some(rows)), Some(Some(columns))) =
        (input.get(1), weights.first(), weights.get(1))
    else {
        return Err("the number of channels is not known".to_string());
    };
    let (channels, rows, columns) = (channels.clone(), rows.clone(), columns.clone());
    if columns.len().checked_mul(groups) != Some(channels.len()) || rows.len() % groups != 0 {
        return Err("its weights do not fit its input".to_string());
    }
    let per_group = rows.len() / groups;
    if per_group == 0 || columns.is_empty() {
        return Err("it has no channels".to_string());
    }
    context.use_parameter(node, 1, 0, Role::Output);
    if groups == 1 {
        context.use_parameter(node, 1, 1, Role::Input);
        context.merge(&channels, &columns);
    } else if columns.len() == 1 || per_group == 1 {
        // Groups of the attribute are removed whole: all their channels are one kernel.
        for (index, &channel) in channels.iter().enumerate() {
            context.merge_one(channel, rows[index / columns.len() * per_group]);
        }
        for (index, &row) in rows.iter().enumerate() {
            context.merge_one(row, rows[index / per_group * per_group]);
        }
        let firsts: Labels = rows.iter().step_by(per_group).copied().collect();
        context.attribute_counts(node, "group", &firsts);
    } else {
        context.use_parameter(node, 1, 1, Role::Input);
        for (index, &channel) in channels.iter().enumerate() {
            context.merge_one(channel, columns[index % columns.len()]);
        }
        for (index, &row) in rows.iter().enumerate() {
            context.merge_one(row, rows[index % per_group]);
        }
    }
    merge_bias(node, context, bias, &rows)?;
    let mut output = context.new_axes_of_rank(node, 0, input.len())?;
    output[0] = input[0].clone();
    output[1] = Some(rows);
    for axis in 2..input.len() {
        slide(node, context, (axis, &input[axis]), &mut output[axis]);
    }
    context.set_output(node, 0, output);
    Ok(())
}

/// Labels of an axis that the window slides over. Where channels lie in the place of pixels
/// (channel attention), each position of the output belongs to one of the input, if there are
/// as many.
fn slide(
    node: &Node,
    context: &mut LabelContext<'_>,
    (axis, input): (usize, &AxisLabels),
    output: &mut AxisLabels,
) {
    let stride = node
        .attr_ints("strides")
        .and_then(|strides| strides.get(axis - 2));
    let is_kept = match (input, &*output) {
        (Some(from), Some(to)) => {
            from.len() == to.len() && stride.is_none_or(|&by| by == 1) && context.may_switch(from)
        }
        _ => false,
    };
    if is_kept {
        context.mixes(node, input, "slides a window over these channels");
        output.clone_from(input);
    } else {
        context.pin_axes(std::slice::from_ref(input), node, "a window slides over it");
    }
}

impl OpRule for Conv {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(weights) = context.input(node, 1) else {
            return Ok(vec![None]);
        };
        let Some(input) = context.input(node, 0) else {
            // The weights alone tell the rank and the number of channels.
            let mut shape = vec![Dim::Unknown; weights.len()];
            if let [_, channels, ..] = shape.as_mut_slice() {
                channels.clone_from(&weights[0]);
            }
            return Ok(vec![Some(shape)]);
        };
        if input.len() != weights.len() || input.len() < 3 {
            return Err(misfit(
                context,
                node,
                format!(
                    "its input has rank {}, its weights {}",
                    input.len(),
                    weights.len()
                ),
            ));
        }
        let Some(groups) = group_count(node) else {
            return Err(misfit(context, node, "`group` must be positive"));
        };
        if let (Some(channels), Some(columns)) = (input[1].fixed(), weights[1].fixed())
            && columns.checked_mul(groups) != Some(channels)
        {
            return Err(misfit(
                context,
                node,
                format!("its input has {channels} channels, its weights take {columns} x {groups}"),
            ));
        }
        if weights[0].fixed().is_some_and(|rows| rows % groups != 0) {
            return Err(misfit(
                context,
                node,
                "its kernels do not divide into its groups",
            ));
        }
        let mut shape = vec![input[0].clone(), weights[0].clone()];
        match weights[2..]
            .iter()
            .map(Dim::fixed)
            .collect::<Option<Vec<_>>>()
        {
            Some(kernel) => shape.extend(pool::window(node, context, &input[2..], &kernel)?),
            None => shape.resize(input.len(), Dim::Unknown),
        }
        Ok(vec![Some(shape)])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        follow_channels(node, context, 2)
    }

    fn stored(&self, slot: usize) -> Stored {
        Stored::of_layer(slot)
    }

    fn producing_axis(&self, _: &Node, _: usize) -> Option<usize> {
        Some(0)
    }

    fn is_conv(&self) -> bool {
        true
    }

    fn macs(&self, node: &Node, context: &ShapeContext<'_>) -> Macs {
        let output = node.outputs.first();
        Macs::of(window_macs(node, context, output.map(String::as_str)))
    }
}
