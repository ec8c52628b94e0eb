//! Matrix products.
//!
//! Features of the input meet rows of the weights; columns are the outputs. Where
//! two computed values are multiplied, the axis that is summed over stays: no
//! weights could be set to zero for it.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Gemm.html> (opset 1-13),
//! <https://onnx.ai/onnx/operators/onnx__MatMul.html>.

use super::axes::{all_axes, misfit};
use super::binary::{broadcast_labels, broadcast_shapes};
use super::product::Product;
use super::rule::{Macs, OpRule, OutputShapes, Stored, WeightRole};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::{AxisLabels, LabelContext, Role};

pub(super) struct Gemm;
pub(super) struct MatMul;

const SUMMED: &str = "it multiplies two computed values and sums over this axis";

/// First and second axis of a matrix that a `Gemm` may transpose.
fn matrix_axes(node: &Node, transposes: &str) -> (usize, usize) {
    if node.attr_i(transposes, 0) != 0 {
        (1, 0)
    } else {
        (0, 1)
    }
}

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
        if a.len() != 2 || b.len() != 2 {
            return Err(misfit(context, node, "expected two matrices"));
        }
        let (row, inner_a) = matrix_axes(node, "transA");
        let (inner_b, column) = matrix_axes(node, "transB");
        let (rows, inner_a, inner_b, columns) = (&a[row], &a[inner_a], &b[inner_b], &b[column]);
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
        let (row, inner_a) = matrix_axes(node, "transA");
        let (inner_b, column) = matrix_axes(node, "transB");
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
        let (row, inner_a) = matrix_axes(node, "transA");
        let (inner_b, column) = matrix_axes(node, "transB");
        product_macs(node, context, (Some(row), inner_a), (inner_b, Some(column)))
    }
}

/// Multiply-adds of a product whose operands have these axes last: those that it sums over, and
/// those of the output.
pub(super) fn product_macs(
    node: &Node,
    context: &ShapeContext<'_>,
    (row, inner_a): (Option<usize>, usize),
    (inner_b, column): (usize, Option<usize>),
) -> Macs {
    let (Some(a), Some(b), Some(output)) = (node.input(0), node.input(1), node.outputs.first())
    else {
        return Macs::Unknown;
    };
    let rank = context.known.shapes.get(output).map_or(0, Vec::len);
    let axis = |name: &str, axis: Option<usize>| axis.map(|axis| (name.to_string(), axis));
    // The axes of the output, without that of the stored operand: its last, or the one before.
    let rows = |without: Option<usize>| {
        let behind = without.and_then(|behind| rank.checked_sub(behind));
        let rows = all_axes(output, rank).into_iter();
        rows.filter(|(_, axis)| Some(*axis) != behind).collect()
    };
    let (rows, columns) = match (context.is_constant(a), context.is_constant(b)) {
        // Runtimes compute it once.
        (true, true) => return Macs::Zero,
        (false, true) => (
            rows(column.map(|_| 1)),
            [axis(b, Some(inner_b)), axis(b, column)],
        ),
        (true, false) => (
            rows(row.map(|_| 1 + usize::from(column.is_some()))),
            [axis(a, row), axis(a, Some(inner_a))],
        ),
        (false, false) => {
            let shape = context.known.shapes.get(a);
            let known = shape.is_some_and(|shape| shape[inner_a].fixed().is_some());
            let summed = if known { (a, inner_a) } else { (b, inner_b) };
            (rows(None), [axis(summed.0, Some(summed.1)), None])
        }
    };
    let columns = columns.into_iter().flatten().collect();
    Product { rows, columns }.macs(context)
}

impl OpRule for MatMul {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let (Some(a), Some(b)) = (context.input(node, 0), context.input(node, 1)) else {
            return Ok(vec![None]);
        };
        // A vector is a matrix of one row, or one column, that the output goes without.
        let (row, column) = (a.len() == 1, b.len() == 1);
        let one = Dim::Fixed(1);
        let (as_row, as_column);
        let (a, b) = match (a, b) {
            ([], _) | (_, []) => return Err(misfit(context, node, "expected two matrices")),
            _ => {
                as_row = [std::slice::from_ref(&one), a].concat();
                as_column = [b, std::slice::from_ref(&one)].concat();
                (
                    if row { &as_row[..] } else { a },
                    if column { &as_column[..] } else { b },
                )
            }
        };
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
        if !row {
            shape.push(a[a.len() - 2].clone());
        }
        if !column {
            shape.push(b[b.len() - 1].clone());
        }
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
        let (Some(a), Some(b)) = (context.input(node, 0), context.input(node, 1)) else {
            return Macs::Unknown;
        };
        let (Some(inner_a), Some(last_b)) = (a.len().checked_sub(1), b.len().checked_sub(1)) else {
            return Macs::Unknown;
        };
        let row = inner_a.checked_sub(1);
        let (inner_b, column) = match last_b.checked_sub(1) {
            Some(inner) => (inner, Some(last_b)),
            None => (last_b, None),
        };
        product_macs(node, context, (row, inner_a), (inner_b, column))
    }
}
