//! Padding. Padded positions along channels may go like any others; the pads
//! follow.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Pad.html> (opset 2-25).

use super::axes::{axis_of, fixed_extents};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{Element, IntValue, ShapeContext, positions};
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

pub(super) struct Pad;

/// The pads of an axis.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pads {
    /// In front and behind, and where the file keeps the two numbers; none for an axis that is not
    /// named.
    Known(i64, i64, Option<(usize, usize)>),
    /// At least one of them is computed.
    Computed,
}

/// The pads of an axis that none are given for.
const NONE: Pads = Pads::Known(0, 0, None);

/// Per axis of the input its pads; `None` where not even their number is known, or which axes they
/// belong to.
fn pads(node: &Node, context: &ShapeContext<'_>, rank: usize) -> Option<Vec<Pads>> {
    let values = context.list(node, "pads", 1)?;
    let axes: Vec<usize> = if node.input(3).is_some() {
        context
            .integers(node, 3)?
            .iter()
            .map(|&axis| axis_of(axis, rank))
            .collect::<Option<_>>()?
    } else {
        (0..rank).collect()
    };
    if values.len() != 2 * axes.len() {
        return None;
    }
    let mut pads = vec![NONE; rank];
    for (index, &axis) in axes.iter().enumerate() {
        let behind = index + axes.len();
        pads[axis] = match (values[index], values[behind]) {
            (Some(front), Some(back)) => Pads::Known(front, back, Some((index, behind))),
            _ => Pads::Computed,
        };
    }
    Some(pads)
}

impl Pads {
    /// Extent of a padded axis.
    fn extent(self, dim: &Dim) -> Dim {
        match self {
            Self::Known(0, 0, _) => dim.clone(),
            Self::Known(front, behind, _) => dim
                .fixed()
                .and_then(|size| i64::try_from(size).ok())
                .and_then(|size| size.checked_add(front)?.checked_add(behind))
                .and_then(|size| usize::try_from(size).ok())
                .map_or(Dim::Unknown, Dim::Fixed),
            Self::Computed => Dim::Unknown,
        }
    }
}

/// True where the padding is one number.
fn is_constant(node: &Node) -> bool {
    matches!(node.attr_s("mode").as_deref(), None | Some("" | "constant"))
}

impl OpRule for Pad {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let pads = pads(node, context, input.len());
        let pads = pads.unwrap_or_else(|| vec![Pads::Computed; input.len()]);
        let shape = input.iter().zip(pads).map(|(dim, pads)| pads.extent(dim));
        Ok(vec![Some(shape.collect())])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let value = context.value(node, 0).filter(|_| is_constant(node))?;
        let filling = match node.input(2) {
            Some(_) => context.value(node, 2)?.elements.first()?.clone(),
            None => Element::constant(0),
        };
        let fronts = pads(node, context, value.shape.len())?
            .into_iter()
            .map(|pads| match pads {
                Pads::Known(front, ..) => Some(front),
                Pads::Computed => None,
            })
            .collect::<Option<Vec<_>>>()?;
        let shape = fixed_extents(self.shapes(node, context))?;
        let elements = positions(&shape)?.map(|position| {
            let own = position.iter().zip(&fronts).map(|(&at, &front)| {
                let at = i64::try_from(at).ok()?.checked_sub(front)?;
                usize::try_from(at).ok()
            });
            let own: Option<Vec<usize>> = own.collect();
            own.and_then(|own| value.at(&own))
                .unwrap_or(&filling)
                .clone()
        });
        let padded = IntValue::new(shape.clone(), value.format, elements.collect());
        padded.depending_on(context.value(node, 1))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let pads =
            pads(node, &context.shapes(), input.len()).ok_or("which axes it pads is not known")?;
        let mut output = context.new_axes_of_rank(node, 0, input.len())?;
        let mut counts = Vec::new();
        for (axis, (labels, pads)) in input.iter().zip(pads).enumerate() {
            if let Pads::Known(0, 0, _) = pads {
                output[axis] = labels.clone();
                continue;
            }
            let sizes = match pads {
                Pads::Known(front, behind, places) => {
                    (usize::try_from(front), usize::try_from(behind), places)
                }
                Pads::Computed => (Ok(0), Ok(0), None),
            };
            if let (Some(labels), Some(_), (Ok(front), Ok(behind), Some((first, last))), true) =
                (labels, &output[axis], sizes, is_constant(node))
                && context.may_switch(labels)
                && let (Some(before), Some(after)) = (context.fresh(front), context.fresh(behind))
            {
                let padded = before.iter().chain(labels.iter()).chain(after.iter());
                output[axis] = Some(padded.copied().collect());
                counts.extend([(first, before), (last, after)]);
            } else {
                let both = [labels.clone(), output[axis].clone()];
                context.pin_axes(&both, node, "it pads this axis");
            }
        }
        context.parameter_counts(node, "pads", 1, counts);
        context.set_output(node, 0, output);
        Ok(())
    }
}
