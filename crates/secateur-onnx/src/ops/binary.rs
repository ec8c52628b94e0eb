//! Element by element with broadcasting, over any number of inputs.
//!
//! Spec: <https://onnx.ai/onnx/repo-docs/Broadcasting.html>: axes are aligned at
//! the end; an extent of 1 repeats. Channels that meet must go together.

use super::arithmetic::Arithmetic;
use super::axes::{fixed_extents, misfit};
use super::rule::{OpRule, OutputShapes, Stored, WeightRole};
use crate::error::Result;
use crate::extents::{Element, IntValue, ShapeContext, positions};
use crate::graph::{Dim, Node};
use crate::labels::{AxisLabels, LabelContext, Role};

/// Operators that broadcast, by what a stored operand is to them.
pub(super) enum Broadcast {
    /// `Add`, `Mul`, `Sub`: a bias or a scale may be added or multiplied.
    Affine,
    /// `PRelu`: the second operand holds the slopes.
    Slope,
    /// All others.
    Plain,
}

/// From this opset on, axes are aligned at the end; before, by attributes.
const NUMPY_STYLE: i64 = 7;

/// Extent of two aligned axes; `None` if they do not broadcast.
fn broadcast(a: &Dim, b: &Dim) -> Option<Dim> {
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (Dim::Fixed(1), other) | (other, Dim::Fixed(1)) => other.clone(),
        (Dim::Fixed(_), Dim::Fixed(_)) => return None,
        // The known extent is not 1, so the other one must be equal to it, or 1.
        (Dim::Fixed(size), _) | (_, Dim::Fixed(size)) => Dim::Fixed(*size),
        _ => Dim::Unknown,
    })
}

/// Shape of two values broadcast against each other; the extents that do not fit otherwise.
pub(super) fn broadcast_shapes(a: &[Dim], b: &[Dim]) -> std::result::Result<Vec<Dim>, (Dim, Dim)> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let mut shape = long.to_vec();
    let offset = long.len() - short.len();
    for (mine, other) in shape[offset..].iter_mut().zip(short) {
        *mine = broadcast(mine, other).ok_or_else(|| (mine.clone(), other.clone()))?;
    }
    Ok(shape)
}

/// Labels of two values broadcast against each other.
pub(super) fn broadcast_labels(
    node: &Node,
    context: &mut LabelContext<'_>,
    a: &[AxisLabels],
    b: &[AxisLabels],
) -> std::result::Result<Vec<AxisLabels>, String> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let mut output = long.to_vec();
    let offset = long.len() - short.len();
    for (mine, other) in output[offset..].iter_mut().zip(short) {
        let repeated = |labels: &AxisLabels| labels.as_ref().is_some_and(|l| l.len() == 1);
        *mine = match (repeated(mine), repeated(other)) {
            (true, false) | (false, true) => {
                let (one, all) = if repeated(mine) {
                    (&*mine, other)
                } else {
                    (other, &*mine)
                };
                // A position that is repeated along an axis belongs to all positions there.
                context.pin_axes(
                    std::slice::from_ref(one),
                    node,
                    "it is repeated over an axis",
                );
                all.clone()
            }
            _ => context.join(node, mine, other)?,
        };
    }
    Ok(output)
}

impl OpRule for Broadcast {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        if context.graph.opset < NUMPY_STYLE {
            // In these opsets only the second input may be repeated.
            return Ok(vec![context.input(node, 0).map(<[_]>::to_vec)]);
        }
        let mut shape: Vec<Dim> = Vec::new();
        for slot in 0..node.inputs.len() {
            let Some(other) = context.input(node, slot) else {
                return Ok(vec![None]);
            };
            shape = broadcast_shapes(&shape, other).map_err(|(a, b)| {
                misfit(
                    context,
                    node,
                    format!("inputs with extents {a} and {b} do not broadcast"),
                )
            })?;
        }
        Ok(vec![Some(shape)])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let inputs = (0..node.inputs.len())
            .map(|slot| context.value(node, slot))
            .collect::<Option<Vec<_>>>()?;
        let shape = fixed_extents(self.shapes(node, context))?;
        let operator = Arithmetic::of(node, inputs.last()?.format);
        let elements = positions(&shape)?
            .map(|position| {
                let own = inputs.iter().map(|value| value.broadcast_at(&position));
                let own = own.collect::<Option<Vec<&Element>>>()?;
                operator.apply(&own)
            })
            .collect::<Option<_>>()?;
        Some(IntValue::new(shape, inputs.last()?.format, elements))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        if context.graph().opset < NUMPY_STYLE {
            return Err(format!(
                "broadcasting before opset {NUMPY_STYLE} is not followed"
            ));
        }
        let mut output = Vec::new();
        for slot in 0..node.inputs.len() {
            let axes = context.input(node, slot)?;
            for (axis, labels) in axes.iter().enumerate() {
                if labels.as_ref().is_some_and(|labels| labels.len() > 1) {
                    context.use_parameter(node, slot, axis, Role::Norm);
                }
            }
            output = broadcast_labels(node, context, &output, &axes)?;
        }
        context.set_output(node, 0, output);
        Ok(())
    }

    fn stored(&self, slot: usize) -> Stored {
        match (self, slot) {
            (Self::Affine, _) => Stored::Operand,
            (Self::Slope, 1) => Stored::Parameter(WeightRole::Vector),
            _ => Stored::Other,
        }
    }
}
