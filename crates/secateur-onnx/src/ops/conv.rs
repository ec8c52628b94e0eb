//! Convolution, plain, depthwise and grouped.
//!
//! Channels: input channel i meets column i of the weights; output channel o is
//! row o. Depthwise: output o goes with input o / multiplier. Other groups stay
//! equal: the unit is the same position in every group.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Conv.html> (opset 1-22).

use super::{OpRule, OutputShapes, misfit, pool};
use crate::coupling::{LabelContext, Role};
use crate::error::Result;
use crate::graph::{Dim, Node};
use crate::shape::ShapeContext;

pub(super) struct Conv;

impl OpRule for Conv {
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
        let groups = usize::try_from(node.attr_i("group", 1)).unwrap_or(0);
        if groups == 0 {
            return Err(misfit(context, node, "`group` must be positive"));
        }
        if let (Some(channels), Some(columns)) = (input[1].fixed(), weights[1].fixed())
            && columns.checked_mul(groups) != Some(channels)
        {
            return Err(misfit(
                context,
                node,
                format!("its input has {channels} channels, its weights take {columns} x {groups}"),
            ));
        }
        let Some(kernel) = weights[2..]
            .iter()
            .map(Dim::fixed)
            .collect::<Option<Vec<_>>>()
        else {
            return Ok(vec![None]);
        };
        let mut shape = vec![input[0].clone(), weights[0].clone()];
        shape.extend(pool::window(node, context, &input[2..], &kernel)?);
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
        let groups = usize::try_from(node.attr_i("group", 1)).unwrap_or(0);
        if groups == 0
            || columns.len() * groups != channels.len()
            || rows.len() % groups.max(1) != 0
        {
            return Err("its weights do not fit its input".to_string());
        }
        context.use_parameter(node, 1, 0, Role::Output);
        if groups == 1 {
            context.use_parameter(node, 1, 1, Role::Input);
            context.merge(&channels, &columns);
        } else if columns.len() == 1 {
            let multiplier = rows.len() / groups;
            for (index, &row) in rows.iter().enumerate() {
                context.merge_one(row, channels[index / multiplier]);
            }
            context.regroup(node);
        } else {
            context.use_parameter(node, 1, 1, Role::Input);
            for (index, &channel) in channels.iter().enumerate() {
                context.merge_one(channel, columns[index % columns.len()]);
            }
            let per_group = rows.len() / groups;
            for (index, &row) in rows.iter().enumerate() {
                context.merge_one(row, rows[index % per_group]);
            }
        }
        if node.input(2).is_some() {
            let bias = context.input(node, 2)?;
            let Some(Some(bias)) = bias.first() else {
                return Err("its bias is not a vector of known length".to_string());
            };
            if bias.len() != rows.len() {
                return Err("its bias does not fit its weights".to_string());
            }
            context.use_parameter(node, 2, 0, Role::Output);
            context.merge(&rows, bias);
        }
        let mut output = context.new_axes(node, 0);
        if output.len() < 2 {
            return Err("its output's shape is not known".to_string());
        }
        output[0] = input[0].clone();
        output[1] = Some(rows);
        context.set_output(node, 0, output);
        Ok(())
    }

    fn weighted_pixels(&self, node: &Node, context: &ShapeContext<'_>) -> Option<u64> {
        context.stored(node, 1)?;
        let shape = context.shapes.get(node.outputs.first()?)?;
        shape.get(2..)?.iter().try_fold(1u64, |product, dim| {
            product.checked_mul(dim.fixed()? as u64)
        })
    }
}
