//! Operators that take their inputs as a whole, or have none: shapes alone.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__NonMaxSuppression.html>,
//! <https://onnx.ai/onnx/operators/onnx__NonZero.html>,
//! <https://onnx.ai/onnx/operators/onnx__STFT.html> (opset 17), and those of the names below.

use super::axes::axis_of;
use super::one_axis::extent_in;
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{Element, IntValue, ShapeContext};
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

/// What such an operator gives.
pub(super) enum Whole {
    /// `NonMaxSuppression`: some boxes.
    Boxes,
    /// `NonZero`: positions, as many as there are.
    Positions,
    /// `Unique`: each element or slice once.
    Unique,
    /// `EyeLike`: a matrix of the shape of the input.
    Identity,
    /// `Multinomial`: classes drawn for each row.
    Draws,
    /// `RandomNormal` and `RandomUniform`: numbers of a stated shape.
    Random,
    /// `HannWindow` and its like: weights of so many samples.
    Window,
    /// `MelWeightMatrix`: from frequencies to bands.
    Bands,
    /// `STFT`: spectra of a signal.
    Spectra,
}

impl Whole {
    fn shape(&self, node: &Node, context: &ShapeContext<'_>) -> Option<Vec<Dim>> {
        let fixed = |size: i64| usize::try_from(size).map_or(Dim::Unknown, Dim::Fixed);
        Some(match self {
            Self::Boxes => vec![Dim::Unknown, Dim::Fixed(3)],
            Self::Positions => {
                let rank = context.input(node, 0)?.len();
                let known = context.value(node, 0).and_then(IntValue::known);
                let count = known.map(|values| values.iter().filter(|&&v| v != 0).count());
                vec![Dim::Fixed(rank), count.map_or(Dim::Unknown, Dim::Fixed)]
            }
            Self::Unique => {
                let mut shape = context.input(node, 0)?.to_vec();
                if !node.attributes.contains_key("axis") {
                    return Some(vec![Dim::Unknown]);
                }
                let axis = axis_of(node.attr_i("axis", 0), shape.len())?;
                shape[axis] = Dim::Unknown;
                shape
            }
            Self::Identity => context.input(node, 0)?.to_vec(),
            Self::Draws => {
                let rows = context.input(node, 0)?.first()?.clone();
                vec![rows, fixed(node.attr_i("sample_size", 1))]
            }
            Self::Random => {
                let shape = node.attr_ints("shape")?.iter();
                shape.map(|&extent| fixed(extent)).collect()
            }
            Self::Window => vec![extent_in(node, context, 0)],
            Self::Bands => {
                let length = extent_in(node, context, 1).fixed();
                let frequencies = length.map_or(Dim::Unknown, |len| Dim::Fixed(len / 2 + 1));
                vec![frequencies, extent_in(node, context, 0)]
            }
            Self::Spectra => {
                let signal = context.input(node, 0)?;
                let (batch, samples) = (signal.first()?, signal.get(1)?.fixed());
                // The window is as long as a frame.
                let window = context.input(node, 2).and_then(|window| window.first());
                let frame = match node.input(3) {
                    Some(_) => extent_in(node, context, 3).fixed(),
                    None => window.and_then(Dim::fixed),
                };
                let step = extent_in(node, context, 1).fixed().filter(|&step| step > 0);
                let steps = samples
                    .zip(frame)
                    .and_then(|(all, own)| all.checked_sub(own));
                let frames = steps.zip(step).map(|(steps, step)| steps / step + 1);
                let onesided = node.attr_i("onesided", 1) != 0;
                let bins = frame.map(|frame| if onesided { frame / 2 + 1 } else { frame });
                let known = |extent: Option<usize>| extent.map_or(Dim::Unknown, Dim::Fixed);
                vec![batch.clone(), known(frames), known(bins), Dim::Fixed(2)]
            }
        })
    }
}

impl OpRule for Whole {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let mut shapes = vec![self.shape(node, context)];
        if let Self::Unique = self {
            // Where each is found, and how often.
            shapes.resize(node.outputs.len(), Some(vec![Dim::Unknown]));
        }
        Ok(shapes)
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let Self::Positions = self else { return None };
        let value = context.value(node, 0)?;
        let positions: Vec<Vec<usize>> = crate::extents::positions(&value.shape)?
            .zip(value.known()?)
            .filter_map(|(position, number)| (number != 0).then_some(position))
            .collect();
        let rank = value.shape.len();
        let coordinates = (0..rank).flat_map(|axis| positions.iter().map(move |own| own[axis]));
        let elements = coordinates
            .map(|at| Some(Element::constant(i64::try_from(at).ok()?)))
            .collect::<Option<Vec<_>>>()?;
        let found = IntValue::vector(elements).reshaped(vec![rank, positions.len()]);
        found?.depending_on([value])
    }

    fn labels(&self, node: &Node, _: &mut LabelContext<'_>) -> Result<(), String> {
        Err(format!("{} takes its inputs as a whole", node.op_type))
    }
}
