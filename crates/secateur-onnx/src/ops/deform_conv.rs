//! Deformable convolution: a convolution whose window reads at places that offsets move.
//!
//! Channels go as through [`super::conv`]. Offsets and masks stay: they belong to places of the
//! window. With `offset_group` above 1 each of so many runs of input channels has offsets of its
//! own; they must stay equally long.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__DeformConv.html> (opset 19-22).

use super::conv::{Conv, follow_channels};
use super::rule::{Macs, OpRule, OutputShapes, Stored, WeightRole};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::Node;
use crate::labels::LabelContext;

pub(super) struct DeformConv;

/// Slot of the bias; offsets come before it, a mask behind.
const BIAS: usize = 3;

impl OpRule for DeformConv {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Conv.shapes(node, context)
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let channels = input.get(1).cloned().flatten();
        let channels = channels.ok_or("the number of channels is not known")?;
        let runs = usize::try_from(node.attr_i("offset_group", 1)).unwrap_or(0);
        if runs == 0 || channels.len() % runs != 0 {
            return Err("its channels do not divide into its `offset_group`".to_string());
        }
        if runs > 1 {
            let run = channels.len() / runs;
            for (index, &channel) in channels.iter().enumerate() {
                context.merge_one(channel, channels[index % run]);
            }
        }
        follow_channels(node, context, BIAS)
    }

    fn stored(&self, slot: usize) -> Stored {
        match slot {
            1 => Stored::Parameter(WeightRole::Weight),
            BIAS => Stored::Parameter(WeightRole::Vector),
            _ => Stored::Other,
        }
    }

    fn producing_axis(&self, _: &Node, _: usize) -> Option<usize> {
        Some(0)
    }

    fn is_conv(&self) -> bool {
        true
    }

    fn macs(&self, node: &Node, context: &ShapeContext<'_>) -> Macs {
        Conv.macs(node, context)
    }
}
