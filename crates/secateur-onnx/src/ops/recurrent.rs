//! Recurrent layers: features of the input meet columns of the weights; hidden values go round
//! in the layer and stay.
//!
//! Axes with `layout` 0 (1): input `[seq, n, features]` (`[n, seq, features]`); weights
//! `[directions, gates · hidden, features]`; first output `[seq, directions, n, hidden]`
//! (`[n, seq, directions, hidden]`); last states `[directions, n, hidden]`
//! (`[n, directions, hidden]`).
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__LSTM.html>,
//! <https://onnx.ai/onnx/operators/onnx__GRU.html>,
//! <https://onnx.ai/onnx/operators/onnx__RNN.html> (opset 7-22; `layout` from 14).

use super::axes::{all_axes, misfit};
use super::product::Product;
use super::rule::{Macs, OpRule, OutputShapes, Stored, WeightRole};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::{LabelContext, Role};

/// `LSTM`, `GRU`, `RNN`.
pub(super) struct Recurrent;

const HIDDEN: &str = "its hidden values go round in a recurrent layer";

/// True where the batch is the first axis.
fn batch_first(node: &Node) -> bool {
    node.attr_i("layout", 0) != 0
}

/// The axes of the input that hold the steps and the batch.
fn steps_and_batch(node: &Node) -> (usize, usize) {
    if batch_first(node) { (1, 0) } else { (0, 1) }
}

impl OpRule for Recurrent {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let unknown = vec![None; node.outputs.len()];
        let (Some(input), Some(weights), Some(again)) = (
            context.input(node, 0),
            context.input(node, 1),
            context.input(node, 2),
        ) else {
            return Ok(unknown);
        };
        let ([_, _, features], [_, _, columns], [directions, _, hidden]) = (input, weights, again)
        else {
            return Err(misfit(
                context,
                node,
                "its input and weights must have three axes each",
            ));
        };
        if let (Some(features), Some(columns)) = (features.fixed(), columns.fixed())
            && features != columns
        {
            let reason = format!("its input has {features} features, its weights take {columns}");
            return Err(misfit(context, node, reason));
        }
        let (steps, batch) = steps_and_batch(node);
        let (steps, batch) = (&input[steps], &input[batch]);
        let (all, last) = if batch_first(node) {
            (
                vec![batch, steps, directions, hidden],
                vec![batch, directions, hidden],
            )
        } else {
            (
                vec![steps, directions, batch, hidden],
                vec![directions, batch, hidden],
            )
        };
        let shape = |dims: &[&Dim]| Some(dims.iter().copied().cloned().collect());
        let slots = 0..node.outputs.len();
        Ok(slots
            .map(|slot| shape(if slot == 0 { &all } else { &last }))
            .collect())
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        if !context.is_stored(node, 1) {
            return Err("its weights are computed, not stored".to_string());
        }
        let (input, weights) = (context.input(node, 0)?, context.input(node, 1)?);
        let ([_, _, features], [directions, rows, columns]) = (&input[..], &weights[..]) else {
            return Err("its input and weights must have three axes each".to_string());
        };
        context.use_parameter(node, 1, 2, Role::Input);
        context.join(node, features, columns)?;
        context.pin_axes(&[directions.clone(), rows.clone()], node, HIDDEN);
        let (steps, batch) = steps_and_batch(node);
        context.pin_axes(
            &input[steps..=steps],
            node,
            "it goes through it step by step",
        );
        for slot in 0..node.outputs.len() {
            if node.outputs[slot].is_empty() {
                continue;
            }
            let mut output = context.new_axes_of_rank(node, slot, if slot == 0 { 4 } else { 3 })?;
            // The batch lies before the hidden values, or in front.
            let own_batch = if batch_first(node) {
                0
            } else {
                output.len() - 2
            };
            output[own_batch].clone_from(&input[batch]);
            for (axis, labels) in output.iter().enumerate() {
                if axis != own_batch {
                    context.pin_axes(std::slice::from_ref(labels), node, HIDDEN);
                }
            }
            context.set_output(node, slot, output);
        }
        Ok(())
    }

    fn stored(&self, slot: usize) -> Stored {
        match slot {
            1 | 2 => Stored::Parameter(WeightRole::Weight),
            // Biases, and the weights of peepholes.
            3 | 7 => Stored::Parameter(WeightRole::Vector),
            _ => Stored::Other,
        }
    }

    fn macs(&self, node: &Node, context: &ShapeContext<'_>) -> Macs {
        let (steps, batch) = steps_and_batch(node);
        let (Some(input), Some([_, _, _])) = (node.input(0), context.input(node, 0)) else {
            return Macs::Unknown;
        };
        // Input and hidden values are multiplied by weights of their own at every step.
        let products = [1, 2].map(|slot| {
            let rank = context.input(node, slot).map_or(0, <[_]>::len);
            Product {
                rows: vec![(input.to_string(), batch), (input.to_string(), steps)],
                columns: all_axes(node.input(slot).unwrap_or_default(), rank),
            }
        });
        Macs::sum(products.map(|product| product.macs(context)))
    }
}
