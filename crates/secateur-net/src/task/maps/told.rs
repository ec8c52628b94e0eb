//! Which outputs are maps, and of what.

use secateur_onnx::graph::Dim;

use crate::error::Result;
use crate::task::Wish;
use crate::task::ends::Ends;
use crate::task::originals::misfit;

/// Maps are told as such down to this share of the image's side.
const COARSEST: usize = 8;

/// An output that is a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Map {
    /// The value that is read: scores before softmax or sigmoid.
    pub scores: String,
    pub kind: Kind,
}

/// What a map holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of some classes one for each position.
    Classes,
    /// Each channel by itself is there or not.
    Masks,
}

impl Map {
    /// Of an output, if that is one.
    pub fn find(ends: &Ends<'_>, output: &str, wish: Wish) -> Option<Self> {
        // The largest score of each position is taken in the end.
        let last = ends.last(output).filter(|node| node.op_type == "ArgMax");
        let output = match last {
            Some(node) if node.attr_i("axis", 0) == 1 => node.input(0)?,
            _ => output,
        };
        let dims = ends.dims(output);
        let (Some(channels), 4 | 5) = (dims.get(1).and_then(Dim::fixed), dims.len()) else {
            return None;
        };
        let map = |scores: &str, kind| {
            Some(Self {
                scores: scores.to_string(),
                kind,
            })
        };
        let fits = last.is_some() || is_map(ends, dims);
        if let Some(scores) = ends.before_softmax(output, 1, dims.len())
            && (fits || wish == Wish::Stated)
            && channels > 1
        {
            return map(scores, Kind::Classes);
        }
        if let Some(scores) = ends.before_sigmoid(output)
            && (fits || wish == Wish::Stated)
        {
            return map(scores, Kind::Masks);
        }
        let kind = if channels == 1 {
            Kind::Masks
        } else {
            Kind::Classes
        };
        let is_sure = last.is_some() || (channels > 1 && is_full(ends, output));
        (wish == Wish::Stated || is_sure).then(|| map(output, kind))?
    }

    /// Channels, and positions of each.
    pub fn extents(&self, shape: &[usize]) -> Result<[usize; 2]> {
        match shape {
            [_, channels, rest @ ..] if *channels > 0 && !rest.is_empty() => {
                Ok([*channels, rest.iter().product()])
            }
            _ => Err(misfit(
                &self.scores,
                "maps [n, c, ...]",
                &format!("{shape:?}"),
            )),
        }
    }
}

/// A map about as wide as the image, as far as extents are known.
fn is_map(ends: &Ends<'_>, dims: &[Dim]) -> bool {
    let [Some(input)] = [ends.graph.inputs.first()] else {
        return false;
    };
    let sides = dims[2..].iter().rev().zip(input.shape.iter().rev());
    input.shape.len() == dims.len()
        && ends.graph.inputs.len() == 1
        && dims[2..].iter().all(|dim| dim.fixed() != Some(1))
        && sides
            .into_iter()
            .all(|(own, of_image)| match (own.fixed(), of_image.fixed()) {
                (Some(own), Some(of_image)) => own * COARSEST >= of_image,
                _ => true,
            })
}

/// Scores of an extent for each position of the image, by a layer that gives any number: no
/// image for an image.
fn is_full(ends: &Ends<'_>, output: &str) -> bool {
    let dims = ends.dims(output);
    let [input] = ends.graph.inputs.as_slice() else {
        return false;
    };
    let linear = [
        "Conv",
        "ConvTranspose",
        "Add",
        "Resize",
        "Upsample",
        "BatchNormalization",
    ];
    input.shape.len() == dims.len()
        && dims[2..] == input.shape[2..]
        && dims[2..]
            .iter()
            .all(|dim| dim.fixed().is_some_and(|extent| extent > 1))
        && dims[1] != input.shape[1]
        && ends
            .last(output)
            .is_some_and(|node| linear.contains(&node.op_type.as_str()))
}
