//! Transpose: axes move with their labels.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Transpose.html>.

use super::axes::{axis_of, misfit};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{IntValue, ShapeContext};
use crate::graph::Node;
use crate::labels::LabelContext;

pub(super) struct Transpose;

/// Per output axis its input axis; `None` if that is no permutation.
fn permutation(node: &Node, rank: usize) -> Option<Vec<usize>> {
    let Some(perm) = node.attr_ints("perm") else {
        return Some((0..rank).rev().collect());
    };
    let perm: Vec<usize> = perm
        .iter()
        .map(|&axis| axis_of(axis, rank))
        .collect::<Option<_>>()?;
    let mut seen = vec![false; rank];
    perm.iter().for_each(|&axis| seen[axis] = true);
    (perm.len() == rank && seen.iter().all(|&seen| seen)).then_some(perm)
}

impl OpRule for Transpose {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let Some(perm) = permutation(node, input.len()) else {
            return Err(misfit(
                context,
                node,
                "`perm` is no permutation of the input's axes",
            ));
        };
        Ok(vec![Some(
            perm.iter().map(|&axis| input[axis].clone()).collect(),
        )])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let value = context.value(node, 0)?;
        let perm = permutation(node, value.shape.len())?;
        let shape = perm.iter().map(|&axis| value.shape[axis]).collect();
        value.arranged(shape, |position| {
            let mut place = vec![0; position.len()];
            for (&at, &axis) in position.iter().zip(&perm) {
                place[axis] = at;
            }
            Some(place)
        })
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let perm = permutation(node, input.len()).ok_or("`perm` is no permutation")?;
        context.view(node, &perm);
        context.set_output(
            node,
            0,
            perm.iter().map(|&axis| input[axis].clone()).collect(),
        );
        Ok(())
    }

    fn is_view(&self) -> bool {
        true
    }
}
