//! `MatMulNBits`: weights of less than a byte, in blocks along the input features.
//!
//! `[n, blocks, bytes]` with a scale (and a zero point) a block. Output features are whole
//! rows and may go; a block of input features cannot be cut.
//!
//! Spec: <https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md>.

use super::axes::pixels;
use super::quantise::BLOCKS;
use super::rule::{MacTerm, Macs, OpRule, OutputShapes, Stored};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::{LabelContext, Labels, Role};

pub(super) struct MatMulNBits;

const WEIGHTS: usize = 1;
const SCALES: usize = 2;
const ZERO_POINTS: usize = 3;
const GROUP_INDEX: usize = 4;
const BIAS: usize = 5;

/// Merges what is stored row after row, in one axis or several, with the rows.
fn merge_rows(
    node: &Node,
    context: &mut LabelContext<'_>,
    (slot, role): (usize, Role),
    rows: &Labels,
) -> std::result::Result<(), String> {
    if node.input(slot).is_none() {
        return Ok(());
    }
    let stored = context.input(node, slot)?;
    let Some(Some(first)) = stored.first() else {
        return Err(format!("input {slot} is not a tensor of known shape"));
    };
    if first.is_empty() || first.len() % rows.len() != 0 {
        return Err(format!("input {slot} does not divide into its rows"));
    }
    let each = first.len() / rows.len();
    context.use_parameter(node, slot, 0, role);
    for (index, &label) in first.iter().enumerate() {
        context.merge_one(label, rows[index / each]);
    }
    context.pin_axes(&stored[1..], node, BLOCKS);
    Ok(())
}

impl OpRule for MatMulNBits {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let columns = usize::try_from(node.attr_i("N", 0)).ok().filter(|&n| n > 0);
        let shape = context.input(node, 0).map(|input| {
            let mut shape = input.to_vec();
            if let Some(last) = shape.last_mut() {
                *last = columns.map_or(Dim::Unknown, Dim::Fixed);
            }
            shape
        });
        Ok(vec![shape])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        if !context.is_stored(node, WEIGHTS) {
            return Err("its weights are computed, not stored".to_string());
        }
        if node.input(GROUP_INDEX).is_some() {
            return Err("its input features are in an order of their own".to_string());
        }
        let mut axes = context.input(node, 0)?;
        let weights = context.input(node, WEIGHTS)?;
        let (Some(last), Some(Some(rows))) = (axes.last_mut(), weights.first()) else {
            return Err("the number of features is not known".to_string());
        };
        if rows.is_empty() {
            return Err("it has no output features".to_string());
        }
        context.pin_axes(std::slice::from_ref(last), node, BLOCKS);
        *last = Some(rows.clone());
        for (slot, role) in [
            (WEIGHTS, Role::Output),
            (SCALES, Role::Norm),
            (ZERO_POINTS, Role::Norm),
            (BIAS, Role::Output),
        ] {
            merge_rows(node, context, (slot, role), rows)?;
        }
        context.attribute_counts(node, "N", rows);
        context.set_output(node, 0, axes);
        Ok(())
    }

    fn stored(&self, slot: usize) -> Stored {
        match slot {
            WEIGHTS | BIAS => Stored::Quantised,
            _ => Stored::Formula,
        }
    }

    fn producing_axis(&self, _: &Node, _: usize) -> Option<usize> {
        Some(0)
    }

    fn macs(&self, node: &Node, context: &ShapeContext<'_>) -> Macs {
        let term = || {
            let input = context.input(node, 0)?;
            let rows = input.get(1..input.len().checked_sub(1)?).unwrap_or(&[]);
            let features = u64::try_from(node.attr_i("K", 0)).ok()?;
            Some(MacTerm {
                axes: vec![(node.input(WEIGHTS)?.to_string(), 0)],
                scale: pixels(rows)?.checked_mul(features)?,
                samples: 1,
            })
        };
        Macs::of(term())
    }
}
