//! Attention as one operator: what queries and keys are compared by stays, features of the values
//! pass where they have an axis of their own.
//!
//! With four axes `[n, heads, tokens, features]`, with three `[n, tokens, heads · features]`.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Attention.html> (opset 23-24),
//! <https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html> (23).

use super::axes::{misfit, same_shape};
use super::carry::{all_but, carry};
use super::product::Product;
use super::rule::{Macs, OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

pub(super) struct Attention;

/// `[n, heads, tokens, features]` of an input or output with three or four axes.
fn four_axes(node: &Node, shape: &[Dim], heads: &str) -> Option<[Dim; 4]> {
    match shape {
        [batch, heads, tokens, features] => Some([batch, heads, tokens, features].map(Dim::clone)),
        [batch, tokens, hidden] => {
            let heads = usize::try_from(node.attr_i(heads, 0))
                .ok()
                .filter(|&n| n > 0)?;
            let features = hidden.fixed().map(|hidden| hidden / heads);
            let features = features.map_or(Dim::Unknown, Dim::Fixed);
            Some([batch.clone(), Dim::Fixed(heads), tokens.clone(), features])
        }
        _ => None,
    }
}

/// Extents of queries, keys and values.
fn operands(node: &Node, context: &ShapeContext<'_>) -> Option<[[Dim; 4]; 3]> {
    let input = |slot: usize, heads: &str| four_axes(node, context.input(node, slot)?, heads);
    Some([
        input(0, "q_num_heads")?,
        input(1, "kv_num_heads")?,
        input(2, "kv_num_heads")?,
    ])
}

/// Tokens that queries meet: those of an earlier pass come before the new ones.
fn all_tokens(node: &Node, context: &ShapeContext<'_>, new: &Dim) -> Dim {
    let Some(_) = node.input(4) else {
        return new.clone();
    };
    let past = context.input(node, 4).and_then(|past| past.get(2)?.fixed());
    let all = past
        .zip(new.fixed())
        .and_then(|(past, new)| past.checked_add(new));
    all.map_or(Dim::Unknown, Dim::Fixed)
}

impl OpRule for Attention {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(rank) = context.input(node, 0).map(<[_]>::len) else {
            return Ok(vec![None; node.outputs.len()]);
        };
        let Some([query, key, value]) = operands(node, context) else {
            return match context.input(node, 1).zip(context.input(node, 2)) {
                Some(_) => Err(misfit(
                    context,
                    node,
                    "its inputs must have three or four axes",
                )),
                None => Ok(vec![None; node.outputs.len()]),
            };
        };
        let [batch, heads, tokens, _] = &query;
        let output = if rank == 4 {
            vec![
                batch.clone(),
                heads.clone(),
                tokens.clone(),
                value[3].clone(),
            ]
        } else {
            let hidden = heads.fixed().zip(value[3].fixed());
            let hidden = hidden.and_then(|(heads, own)| heads.checked_mul(own));
            vec![
                batch.clone(),
                tokens.clone(),
                hidden.map_or(Dim::Unknown, Dim::Fixed),
            ]
        };
        let all = all_tokens(node, context, &key[2]);
        let present = |own: &[Dim; 4]| {
            Some(vec![
                own[0].clone(),
                own[1].clone(),
                all.clone(),
                own[3].clone(),
            ])
        };
        let scores = vec![batch.clone(), heads.clone(), tokens.clone(), all.clone()];
        let mut shapes = vec![Some(output), present(&key), present(&value), Some(scores)];
        shapes.truncate(node.outputs.len());
        Ok(shapes)
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let (query, value) = (context.input(node, 0)?, context.input(node, 2)?);
        let further = node.outputs.iter().skip(1).any(|name| !name.is_empty());
        if query.len() != 4 || value.len() != 4 || further || node.input(5).is_some() {
            return Err("it compares these features, or keeps their heads equal".to_string());
        }
        context.pin_axes(&query[1..], node, "it compares queries with keys by them");
        context.pin_axes(&value[1..3], node, "it takes a mean over these tokens");
        let mut output = context.new_axes_of_rank(node, 0, 4)?;
        context.pin_axes(&output[1..3], node, "these are its queries");
        output[0] = context.join(node, &query[0], &value[0])?;
        output[3].clone_from(&value[3]);
        context.set_output(node, 0, output);
        Ok(())
    }

    fn macs(&self, node: &Node, context: &ShapeContext<'_>) -> Macs {
        let Some([query, key, value]) = operands(node, context) else {
            return Macs::Unknown;
        };
        let tokens = all_tokens(node, context, &key[2]);
        let features = query[3].fixed().zip(value[3].fixed());
        let extents = [&query[1], &query[2], &tokens].map(Dim::fixed);
        let [Some(heads), Some(queries), Some(tokens)] = extents else {
            return Macs::Unknown;
        };
        let (Some((compared, taken)), Some(name)) = (features, node.input(0)) else {
            return Macs::Unknown;
        };
        // Scores, and means of the values by them.
        let each = [heads, queries, tokens, compared.saturating_add(taken)];
        let each = each
            .iter()
            .fold(1u64, |n, &extent| n.saturating_mul(extent as u64));
        let batch = Product {
            rows: vec![(name.to_string(), 0)],
            columns: Vec::new(),
        };
        batch.macs(context).times(each)
    }
}

/// `RotaryEmbedding`: features are turned in pairs.
pub(super) struct RotaryEmbedding;

impl OpRule for RotaryEmbedding {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(same_shape(node, context))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let rank = context.input(node, 0)?.len();
        // Tokens have cosines and sines of their own; four axes hold heads in front of them.
        let stays: Vec<usize> = (if rank == 4 { 2 } else { 1 }..rank).collect();
        carry(
            node,
            context,
            0,
            &all_but(rank, &stays),
            "it turns features in pairs",
        )
    }
}
