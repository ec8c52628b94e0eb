//! Transposed convolution: weights `[c_in, c_out / groups, kh, kw]`.
//!
//! Input channel i meets row i of the weights; output channel o is a column.
//! Groups (of the attribute `group`) are treated as in [`super::conv`]: depthwise ones are
//! removed whole, all others stay of equal size.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__ConvTranspose.html> (opset 1-22).

use super::axes::misfit;
use super::conv::{group_count, merge_bias, window_macs};
use super::pool;
use super::rule::{Macs, OpRule, OutputShapes, Stored};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::{LabelContext, Labels, Role};

pub(super) struct ConvTranspose;

/// Spatial extents of the output; unknown where the input's are.
fn spatial(
    node: &Node,
    context: &ShapeContext<'_>,
    input: &[Dim],
    kernel: &[usize],
) -> Result<Vec<Dim>> {
    let rank = kernel.len();
    let attribute = |name, default, len| pool::extents(node, context, name, default, len);
    let strides = attribute("strides", 1, rank)?;
    let dilations = attribute("dilations", 1, rank)?;
    let pads = attribute("pads", 0, 2 * rank)?;
    let extra = attribute("output_padding", 0, rank)?;
    if let Some(shape) = node
        .attr_ints("output_shape")
        .filter(|shape| shape.len() >= rank)
    {
        let shape = &shape[shape.len() - rank..];
        return Ok(shape
            .iter()
            .map(|&extent| usize::try_from(extent).map_or(Dim::Unknown, Dim::Fixed))
            .collect());
    }
    let auto_pad = node.attr_s("auto_pad").unwrap_or_default();
    Ok((0..rank)
        .map(|axis| {
            let extent = input[axis].fixed()?;
            if auto_pad.starts_with("SAME") {
                return extent.checked_mul(strides[axis]);
            }
            let pad = if auto_pad == "VALID" {
                0
            } else {
                pads[axis] + pads[axis + rank]
            };
            strides[axis]
                .checked_mul(extent.checked_sub(1)?)?
                .checked_add(extra[axis])?
                .checked_add(dilations[axis].checked_mul(kernel[axis].checked_sub(1)?)?)?
                .checked_add(1)?
                .checked_sub(pad)
        })
        .map(|size| size.map_or(Dim::Unknown, Dim::Fixed))
        .collect())
}

impl OpRule for ConvTranspose {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let (Some(input), Some(weights)) = (context.input(node, 0), context.input(node, 1)) else {
            return Ok(vec![None]);
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
        if let (Some(channels), Some(rows)) = (input[1].fixed(), weights[0].fixed())
            && (channels != rows || rows % groups != 0)
        {
            return Err(misfit(
                context,
                node,
                format!("its input has {channels} channels, its weights {rows} in {groups} groups"),
            ));
        }
        let channels = weights[1]
            .fixed()
            .and_then(|columns| columns.checked_mul(groups));
        let mut shape = vec![input[0].clone(), channels.map_or(Dim::Unknown, Dim::Fixed)];
        match weights[2..]
            .iter()
            .map(Dim::fixed)
            .collect::<Option<Vec<_>>>()
        {
            Some(kernel) => shape.extend(spatial(node, context, &input[2..], &kernel)?),
            None => shape.resize(input.len(), Dim::Unknown),
        }
        Ok(vec![Some(shape)])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        if !context.is_stored(node, 1) {
            return Err("its weights are computed, not stored".to_string());
        }
        let input = context.input(node, 0)?;
        let weights = context.input(node, 1)?;
        let (Some(Some(channels)), Some(Some(rows)), Some(Some(columns))) =
            (input.get(1), weights.first(), weights.get(1))
        else {
            return Err("the number of channels is not known".to_string());
        };
        let (channels, rows, columns) = (channels.clone(), rows.clone(), columns.clone());
        let groups = group_count(node).ok_or("`group` must be positive")?;
        if channels.len() != rows.len() || rows.len() % groups != 0 {
            return Err("its weights do not fit its input".to_string());
        }
        let per_group = rows.len() / groups;
        if per_group == 0 || columns.is_empty() {
            return Err("it has no channels".to_string());
        }
        if !groups
            .checked_mul(columns.len())
            .is_some_and(LabelContext::can_follow)
        {
            return Err("it makes more channels than can be followed".to_string());
        }
        context.merge(&channels, &rows);
        let produced: Labels = if groups > 1 && (per_group == 1 || columns.len() == 1) {
            context.use_parameter(node, 1, 0, Role::Output);
            for (index, &row) in rows.iter().enumerate() {
                context.merge_one(row, rows[index / per_group * per_group]);
            }
            let firsts: Labels = rows.iter().step_by(per_group).copied().collect();
            context.attribute_counts(node, "group", &firsts);
            firsts
                .iter()
                .flat_map(|&label| std::iter::repeat_n(label, columns.len()))
                .collect()
        } else {
            context.use_parameter(node, 1, 0, Role::Input);
            context.use_parameter(node, 1, 1, Role::Output);
            for (index, &row) in rows.iter().enumerate() {
                context.merge_one(row, rows[index % per_group]);
            }
            (0..groups).flat_map(|_| columns.iter().copied()).collect()
        };
        merge_bias(node, context, 2, &produced)?;
        context.pin_axes(&input[2..], node, "a window slides over it");
        let mut output = context.new_axes_of_rank(node, 0, input.len())?;
        output[0] = input[0].clone();
        output[1] = Some(produced);
        context.set_output(node, 0, output);
        Ok(())
    }

    fn stored(&self, slot: usize) -> Stored {
        Stored::of_layer(slot)
    }

    fn producing_axis(&self, _: &Node, _: usize) -> Option<usize> {
        Some(1)
    }

    fn is_conv(&self) -> bool {
        true
    }

    fn macs(&self, node: &Node, context: &ShapeContext<'_>) -> Macs {
        Macs::of(window_macs(node, context, node.input(0)))
    }
}
