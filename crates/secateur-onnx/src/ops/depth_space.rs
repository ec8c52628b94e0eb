//! Blocks of channels to blocks of pixels and back (pixel shuffle).
//!
//! In `DCR` order input channel b · c' + c goes to output channel c, in `CRD` order
//! c · r² + b: all r² of them are one.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__DepthToSpace.html>,
//! <https://onnx.ai/onnx/operators/onnx__SpaceToDepth.html>.

use super::axes::misfit;
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::{LabelContext, Labels};

pub(super) struct DepthToSpace;
pub(super) struct SpaceToDepth;

/// Block size and its square; `None` if it is not positive.
fn block(node: &Node) -> Option<(usize, usize)> {
    let block = usize::try_from(node.attr_i("blocksize", 0))
        .ok()
        .filter(|&block| block > 0)?;
    Some((block, block.checked_mul(block)?))
}

fn scaled(dim: &Dim, f: impl Fn(usize) -> Option<usize>) -> Dim {
    dim.fixed().and_then(f).map_or(Dim::Unknown, Dim::Fixed)
}

impl OpRule for DepthToSpace {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let ([n, c, h, w], Some((block, square))) = (input, block(node)) else {
            return Err(misfit(
                context,
                node,
                "expected [n, c, h, w] and a positive `blocksize`",
            ));
        };
        if c.fixed().is_some_and(|c| c % square != 0) {
            return Err(misfit(
                context,
                node,
                format!("{c} channels do not divide into blocks"),
            ));
        }
        let larger = |dim| scaled(dim, |size| size.checked_mul(block));
        let c = scaled(c, |c| Some(c / square));
        Ok(vec![Some(vec![n.clone(), c, larger(h), larger(w)])])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let (_, square) = block(node).ok_or("`blocksize` must be positive")?;
        let Some(Some(channels)) = input.get(1) else {
            return Err("the number of channels is not known".to_string());
        };
        let count = channels.len() / square;
        let columns_first = node.attr_s("mode").as_deref() == Some("CRD");
        let place = |channel: usize, block: usize| {
            if columns_first {
                channel * square + block
            } else {
                block * count + channel
            }
        };
        for channel in 0..count {
            for block in 1..square {
                context.merge_one(channels[place(channel, 0)], channels[place(channel, block)]);
            }
        }
        let kept: Labels = (0..count)
            .map(|channel| channels[place(channel, 0)])
            .collect();
        context.pin_axes(&input[2..], node, "it moves pixels");
        let mut output = context.new_axes_of_rank(node, 0, input.len())?;
        output[0] = input[0].clone();
        output[1] = Some(kept);
        context.set_output(node, 0, output);
        Ok(())
    }
}

impl OpRule for SpaceToDepth {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let ([n, c, h, w], Some((block, square))) = (input, block(node)) else {
            return Err(misfit(
                context,
                node,
                "expected [n, c, h, w] and a positive `blocksize`",
            ));
        };
        let smaller = |dim| scaled(dim, |size| Some(size / block));
        let c = scaled(c, |c| c.checked_mul(square));
        Ok(vec![Some(vec![n.clone(), c, smaller(h), smaller(w)])])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let (_, square) = block(node).ok_or("`blocksize` must be positive")?;
        let Some(Some(channels)) = input.get(1) else {
            return Err("the number of channels is not known".to_string());
        };
        let mut output = context.new_axes_of_rank(node, 0, input.len())?;
        if output
            .get(1)
            .and_then(Option::as_ref)
            .map(|labels| labels.len())
            != channels.len().checked_mul(square)
        {
            return Err("its channels do not fit its output".to_string());
        }
        context.pin_axes(&input[2..], node, "it moves pixels");
        output[0] = input[0].clone();
        output[1] = Some((0..square).flat_map(|_| channels.iter().copied()).collect());
        context.set_output(node, 0, output);
        Ok(())
    }
}
