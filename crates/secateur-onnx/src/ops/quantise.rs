//! Into few bits and back: `QuantizeLinear`, `DequantizeLinear`, `DynamicQuantizeLinear`.
//!
//! Element by element, so shape and channels stay. Scales and zero points are single numbers,
//! or one for each position of an axis, and go with that axis. A stored tensor behind them is
//! still the stored tensor: a layer finds its weights there.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html> (opset 10-25),
//! <https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html>,
//! <https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html>.

use super::axes::axis_of;
use super::rule::{OpRule, OutputShapes, Stored};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::Node;
use crate::labels::{AxisLabels, LabelContext, Role};

/// `QuantizeLinear` and `DequantizeLinear`.
pub(super) struct Linear;

/// `DynamicQuantizeLinear`, which takes its scale from all the values.
pub(super) struct Dynamic;

const SCALE: usize = 1;
const ZERO_POINT: usize = 2;

/// Why weights stay whose scales do not follow one axis.
pub(super) const BLOCKS: &str = "its scales are those of blocks that no removal may cut; prune \
                                 the float file, then quantise";

/// Merges a scale or zero point with the axis that it goes along, unless it is one number. False
/// if it goes with blocks of positions.
///
/// # Errors
/// The reason to pin the node if it does not fit that axis.
pub(super) fn merge_along(
    node: &Node,
    context: &mut LabelContext<'_>,
    slot: usize,
    axis: &AxisLabels,
) -> std::result::Result<bool, String> {
    if node.input(slot).is_none() {
        return Ok(true);
    }
    match context.input(node, slot)?.as_slice() {
        [] => Ok(true),
        [Some(one)] if one.len() == 1 => Ok(true),
        [Some(each)] => {
            let fits = axis.as_ref().filter(|labels| labels.len() == each.len());
            let channels = fits.ok_or("its scales do not fit their axis")?;
            context.use_parameter(node, slot, 0, Role::Norm);
            context.merge(channels, each);
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// A zero point that stands for weights of zero must be known.
///
/// # Errors
/// The reason to pin the node if it is computed.
pub(super) fn known_zero_point(
    node: &Node,
    context: &LabelContext<'_>,
    weights: usize,
    zero_point: usize,
) -> std::result::Result<(), String> {
    let given = node.input(zero_point).is_some();
    if context.is_stored(node, weights) && given && !context.is_stored(node, zero_point) {
        return Err("the zero point of its weights is computed".to_string());
    }
    Ok(())
}

impl OpRule for Linear {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        Ok(vec![context.input(node, 0).map(<[_]>::to_vec)])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        let axis = axis_of(node.attr_i("axis", 1), axes.len());
        let along = axis.and_then(|axis| axes[axis].clone());
        known_zero_point(node, context, 0, ZERO_POINT)?;
        for slot in [SCALE, ZERO_POINT] {
            if !merge_along(node, context, slot, &along)? {
                let scales = context.input(node, slot)?;
                context.pin_axes(&axes, node, BLOCKS);
                context.pin_axes(&scales, node, BLOCKS);
            }
        }
        if node.op_type == "DequantizeLinear" {
            let by = (node.input(SCALE), node.input(ZERO_POINT));
            context.quantised(node, 0, axis.unwrap_or(0), by);
        }
        context.view(node, &(0..axes.len()).collect::<Vec<_>>());
        context.set_output(node, 0, axes);
        Ok(())
    }

    fn stored(&self, slot: usize) -> Stored {
        match slot {
            0 => Stored::Quantised,
            _ => Stored::Formula,
        }
    }

    fn is_view(&self) -> bool {
        true
    }
}

impl OpRule for Dynamic {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let input = context.input(node, 0).map(<[_]>::to_vec);
        Ok(vec![input, Some(Vec::new()), Some(Vec::new())])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        for labels in &axes {
            context.rounds(node, labels);
        }
        context.set_output(node, 0, axes);
        for slot in 1..node.outputs.len() {
            context.set_output(node, slot, Vec::new());
        }
        Ok(())
    }
}
