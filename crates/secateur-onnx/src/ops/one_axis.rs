//! Operators that work along one axis, or few, and leave the others to pass.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__TopK.html>,
//! <https://onnx.ai/onnx/operators/onnx__OneHot.html>,
//! <https://onnx.ai/onnx/operators/onnx__ReverseSequence.html>,
//! <https://onnx.ai/onnx/operators/onnx__CenterCropPad.html> (opset 18),
//! <https://onnx.ai/onnx/operators/onnx__Det.html>,
//! <https://onnx.ai/onnx/operators/onnx__Trilu.html> (14),
//! <https://onnx.ai/onnx/operators/onnx__DFT.html> (17-20).

use super::axes::{axis_of, extents_in, misfit};
use super::carry::{all_but, carry};
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

const OUTSIDE: &str = "its axis lies outside the input";

/// The number in input `slot` as an extent.
pub(super) fn extent_in(node: &Node, context: &ShapeContext<'_>, slot: usize) -> Dim {
    let value = context.value(node, slot);
    let element = value.and_then(|value| value.elements.first());
    element.map_or(Dim::Unknown, |element| element.number.dim())
}

/// `TopK`: the largest values along an axis, and where they are.
pub(super) struct TopK;

impl OpRule for TopK {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None; node.outputs.len()]);
        };
        let Some(axis) = axis_of(node.attr_i("axis", -1), input.len()) else {
            return Err(misfit(context, node, OUTSIDE));
        };
        let mut shape = input.to_vec();
        // Before opset 10 an attribute.
        shape[axis] = match node.input(1) {
            Some(_) => extent_in(node, context, 1),
            None => usize::try_from(node.attr_i("k", -1)).map_or(Dim::Unknown, Dim::Fixed),
        };
        Ok(vec![Some(shape); node.outputs.len()])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let rank = context.input(node, 0)?.len();
        let axis = axis_of(node.attr_i("axis", -1), rank).ok_or(OUTSIDE)?;
        for slot in 0..node.outputs.len() {
            carry(
                node,
                context,
                slot,
                &all_but(rank, &[axis]),
                "it sorts along this axis",
            )?;
        }
        Ok(())
    }
}

/// `OneHot`: an axis of its own, beside those of the indices.
pub(super) struct OneHot;

/// The place of the axis that is put in.
fn new_axis(node: &Node, rank: usize) -> Option<usize> {
    axis_of(node.attr_i("axis", -1), rank + 1)
}

impl OpRule for OneHot {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let Some(axis) = new_axis(node, input.len()) else {
            return Err(misfit(context, node, OUTSIDE));
        };
        let mut shape = input.to_vec();
        shape.insert(axis, extent_in(node, context, 1));
        Ok(vec![Some(shape)])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let rank = context.input(node, 0)?.len();
        let axis = new_axis(node, rank).ok_or(OUTSIDE)?;
        let mut from: Vec<Option<usize>> = (0..rank).map(Some).collect();
        from.insert(axis, None);
        carry(node, context, 0, &from, "it makes classes of numbers")
    }
}

/// Operators whose output has the axes of the input, of which few stay.
pub(super) enum FewAxes {
    /// `ReverseSequence`: sequences of their own lengths, along one axis.
    Reverse,
    /// `CenterCropPad`: axes cut or padded to a shape.
    CropOrPad,
    /// `MeanVarianceNormalization`: axes over which a mean is taken.
    Normalise,
    /// `Det`: the last two axes are a matrix, and are left out.
    Determinant,
    /// `Trilu`: the last two axes are a matrix, of which a triangle is kept.
    Triangle,
    /// `DFT`: an axis is transformed; the last holds the parts of complex numbers.
    Fourier,
}

impl FewAxes {
    /// Axes that stay; `None` where they are computed, or lie outside.
    fn stay(&self, node: &Node, context: &ShapeContext<'_>, rank: usize) -> Option<Vec<usize>> {
        let axes: Vec<i64> = match self {
            Self::Reverse => vec![node.attr_i("batch_axis", 1), node.attr_i("time_axis", 0)],
            Self::CropOrPad => match node.attr_ints("axes") {
                Some(axes) => axes.to_vec(),
                None => (0..i64::try_from(rank).ok()?).collect(),
            },
            Self::Normalise => node.attr_ints("axes").unwrap_or(&[0, 2, 3]).to_vec(),
            Self::Determinant | Self::Triangle => vec![-2, -1],
            Self::Fourier => {
                // From opset 20 on an input.
                let axis = match node.input(2) {
                    Some(_) => *context.integers(node, 2)?.first()?,
                    None if context.graph.opset >= 20 => -2,
                    None => node.attr_i("axis", 1),
                };
                vec![axis, -1]
            }
        };
        axes.into_iter().map(|axis| axis_of(axis, rank)).collect()
    }
}

impl OpRule for FewAxes {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let Some(axes) = self.stay(node, context, input.len()) else {
            return Ok(vec![Some(vec![Dim::Unknown; input.len()])]);
        };
        let mut shape = input.to_vec();
        match self {
            Self::Reverse | Self::Normalise | Self::Triangle => {}
            Self::CropOrPad => {
                let sizes = extents_in(node, context, 1).unwrap_or_default();
                for (index, &axis) in axes.iter().enumerate() {
                    shape[axis] = sizes.get(index).cloned().unwrap_or(Dim::Unknown);
                }
            }
            Self::Determinant => shape.truncate(input.len() - 2),
            Self::Fourier => {
                let (axis, parts) = (axes[0], axes[1]);
                if node.input(1).is_some() {
                    shape[axis] = extent_in(node, context, 1);
                }
                let inverse = node.attr_i("inverse", 0) != 0;
                if node.attr_i("onesided", 0) != 0 && !inverse {
                    let half = shape[axis].fixed().map(|len| len / 2 + 1);
                    shape[axis] = half.map_or(Dim::Unknown, Dim::Fixed);
                }
                shape[parts] = Dim::Fixed(2);
            }
        }
        Ok(vec![Some(shape)])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let rank = context.input(node, 0)?.len();
        let axes = self.stay(node, &context.shapes(), rank);
        let axes = axes.ok_or("its axes are computed, or lie outside the input")?;
        let mut from = all_but(rank, &axes);
        if let Self::Determinant = self {
            from.truncate(rank - 2);
        }
        carry(
            node,
            context,
            0,
            &from,
            "it mixes positions along this axis",
        )
    }

    fn normalises(&self) -> bool {
        matches!(self, Self::Normalise)
    }
}
