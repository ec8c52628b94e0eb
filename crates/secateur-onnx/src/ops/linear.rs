//! Matrix products.
//!
//! Features of the input meet rows of the weights; columns are the outputs. Where
//! two computed values are multiplied, the axis that is summed over stays: no
//! weights could be set to zero for it.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Gemm.html> (opset 1-13),
//! <https://onnx.ai/onnx/operators/onnx__MatMul.html>.

use super::axes::{all_axes, misfit, pixels};
use super::binary::{broadcast_labels, broadcast_shapes};
use super::rule::{MacTerm, Macs, OpRule, OutputShapes, Stored, WeightRole};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::{AxisLabels, LabelContext, Role};

pub(super) struct Gemm;
pub(super) struct MatMul;

const SUMMED: &str = "it multiplies two computed values and sums over this axis";

/// Merges the axes that a product sums over.
fn contract(
    node: &Node,
    context: &mut LabelContext<'_>,
    a: (usize, &AxisLabels),
    b: (usize, &AxisLabels),
) -> std::result::Result<(), String> {
    match (context.is_stored(node, 0), context.is_stored(node, 1)) {
        (false, true) => context.use_parameter(node, 1, b.0, Role::Input),
        (true, false) => context.use_parameter(node, 0, a.0, Role::Input),
        _ => context.pin_axes(&[a.1.clone(), b.1.clone()], node, SUMMED),
    }
    context.join(node, a.1, b.1).map(drop)
}

impl OpRule for Gemm {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let (Some(a), Some(b)) = (context.input(node, 0), context.input(node, 1)) else {
            return Ok(vec![None]);
        };
        let ([a0, a1], [b0, b1]) = (a, b) else {
            return Err(misfit(context, node, "expected two matrices"));
        };
        let (rows, inner_a) = if node.attr_i("transA", 0) != 0 {
            (a1, a0)
        } else {
            (a0, a1)
        };
        let (inner_b, columns) = if node.attr_i("transB", 0) != 0 {
            (b1, b0)
        } else {
            (b0, b1)
        };
        if let (Some(x), Some(y)) = (inner_a.fixed(), inner_b.fixed())
            && x != y
        {
            return Err(misfit(
                context,
                node,
                format!("its input has {x} features, its weights take {y}"),
            ));
        }
        Ok(vec![Some(vec![rows.clone(), columns.clone()])])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let (a, b) = (context.input(node, 0)?, context.input(node, 1)?);
        if a.len() != 2 || b.len() != 2 {
            return Err("expected two matrices".to_string());
        }
        let (row, inner_a) = if node.attr_i("transA", 0) != 0 {
            (1, 0)
        } else {
            (0, 1)
        };
        let (inner_b, column) = if node.attr_i("transB", 0) != 0 {
            (1, 0)
        } else {
            (0, 1)
        };
        contract(
            node,
            context,
            (inner_a, &a[inner_a]),
            (inner_b, &b[inner_b]),
        )?;
        context.use_parameter(node, 1, column, Role::Output);
        if context.is_stored(node, 0) && !context.is_stored(node, 1) {
            context.use_parameter(node, 0, row, Role::Output);
        }
        let mut output = vec![a[row].clone(), b[column].clone()];
        if node.input(2).is_some() {
            let bias = context.input(node, 2)?;
            if let Some(last) = bias.len().checked_sub(1)
                && bias[last].as_ref().is_some_and(|labels| labels.len() > 1)
            {
                context.use_parameter(node, 2, last, Role::Output);
            }
            output = broadcast_labels(node, context, &output, &bias)?;
        }
        context.set_output(node, 0, output);
        Ok(())
    }

    fn stored(&self, slot: usize) -> Stored {
        Stored::of_layer(slot)
    }

    fn producing_axis(&self, node: &Node, _: usize) -> Option<usize> {
        Some(usize::from(node.attr_i("transB", 0) == 0))
    }

    fn macs(&self, node: &Node, context: &ShapeContext<'_>) -> Macs {
        let weights = node.input(1).filter(|_| context.input(node, 1).is_some());
        Macs::of(weights.map(|weights| MacTerm {
            axes: all_axes(weights, 2),
            scale: 1,
        }))
    }
}

/// Multiply-adds of a `MatMul`; `None` where extents are not known.
fn product_macs(node: &Node, context: &ShapeContext<'_>) -> Option<MacTerm> {
    let (a, b) = (context.input(node, 0)?, context.input(node, 1)?);
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    if context.stored(node, 1).is_some() && b.len() == 2 {
        // The rows of one sample: all axes between the batch and the features.
        let rows = a.get(1..a.len() - 1).unwrap_or(&[]);
        return Some(MacTerm {
            axes: all_axes(node.input(1)?, 2),
            scale: pixels(rows)?,
        });
    }
    // All extents of the output but the batch, times the extent summed over.
    let output = node.outputs.first()?;
    let rank = context.known.shapes.get(output)?.len();
    let mut axes: Vec<(String, usize)> = all_axes(output, rank).split_off(1.min(rank - 2));
    axes.push((node.input(0)?.to_string(), a.len() - 1));
    let known = |(name, axis): &(String, usize)| {
        matches!(
            context.known.shapes.get(name).and_then(|s| s.get(*axis)),
            Some(Dim::Fixed(_))
        )
    };
    axes.iter().all(known).then_some(MacTerm { axes, scale: 1 })
}

impl OpRule for MatMul {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let (Some(a), Some(b)) = (context.input(node, 0), context.input(node, 1)) else {
            return Ok(vec![None]);
        };
        if a.len() < 2 || b.len() < 2 {
            return Ok(vec![None]);
        }
        let (inner_a, inner_b) = (&a[a.len() - 1], &b[b.len() - 2]);
        if let (Some(x), Some(y)) = (inner_a.fixed(), inner_b.fixed())
            && x != y
        {
            return Err(misfit(
                context,
                node,
                format!("extents {x} and {y} do not fit"),
            ));
        }
        let mut shape =
            broadcast_shapes(&a[..a.len() - 2], &b[..b.len() - 2]).map_err(|(x, y)| {
                misfit(
                    context,
                    node,
                    format!("extents {x} and {y} do not broadcast"),
                )
            })?;
        shape.push(a[a.len() - 2].clone());
        shape.push(b[b.len() - 1].clone());
        Ok(vec![Some(shape)])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let (a, b) = (context.input(node, 0)?, context.input(node, 1)?);
        let (Some(rank_a), Some(rank_b)) = (a.len().checked_sub(2), b.len().checked_sub(2)) else {
            return Err("expected two matrices".to_string());
        };
        contract(
            node,
            context,
            (rank_a + 1, &a[rank_a + 1]),
            (rank_b, &b[rank_b]),
        )?;
        if context.is_stored(node, 1) {
            context.use_parameter(node, 1, rank_b + 1, Role::Output);
        } else {
            context.use_parameter(node, 0, rank_a, Role::Output);
        }
        let mut output = broadcast_labels(node, context, &a[..rank_a], &b[..rank_b])?;
        output.push(a[rank_a].clone());
        output.push(b[rank_b + 1].clone());
        context.set_output(node, 0, output);
        Ok(())
    }

    fn stored(&self, slot: usize) -> Stored {
        match slot {
            0 | 1 => Stored::Parameter(WeightRole::Weight),
            _ => Stored::Other,
        }
    }

    fn producing_axis(&self, _: &Node, rank: usize) -> Option<usize> {
        rank.checked_sub(1)
    }

    fn macs(&self, node: &Node, context: &ShapeContext<'_>) -> Macs {
        Macs::of(product_macs(node, context))
    }
}
