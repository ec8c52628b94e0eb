//! The shapes at which a model with open extents is used.
//!
//! Such a model takes inputs of many sizes, but costs, training and comparisons need one. It is
//! kept in the metadata, so that the file itself keeps its open extents and everything that
//! reads it later counts the same. This is the one place that fills open extents with them. The
//! batch, the first axis where there is one, stays open: costs are those of one sample.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::message::Model;
use super::value_info::{Dim, ValueInfo};
use crate::error::{OnnxError, Result};

/// Metadata key of the shapes: a line such as `x=?x3x48x320` for each input.
pub const INPUT_SHAPES: &str = "secateur.input_shapes";

/// Metadata key of earlier versions: `HxW`, height and width of the first input.
const IMAGE_SIZE: &str = "secateur.image_size";

/// The shape of an input: `x=1x3x48x320`, with `?` for what stays open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InputShape {
    /// Name of the input.
    pub input: String,
    /// Extent of each axis, where given.
    pub extents: Vec<Option<usize>>,
}

impl FromStr for InputShape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("expected an input's name and extents such as x=1x3x48x320, got `{text}`");
        // Names may hold `=`, extents do not.
        let (input, extents) = text.trim().rsplit_once('=').ok_or_else(wrong)?;
        let extent = |word: &str| match word.trim() {
            "?" => Ok(None),
            word => match word.parse() {
                Ok(extent @ 1..) => Ok(Some(extent)),
                _ => Err(wrong()),
            },
        };
        let extents = match extents.trim() {
            // An input without axes: a single number.
            "" => Vec::new(),
            extents => extents.split('x').map(extent).collect::<Result<_, _>>()?,
        };
        if input.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            input: input.to_string(),
            extents,
        })
    }
}

impl fmt::Display for InputShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extent = |extent: &Option<usize>| extent.map_or("?".to_string(), |e| e.to_string());
        let extents: Vec<String> = self.extents.iter().map(extent).collect();
        write!(f, "{}={}", self.input, extents.join("x"))
    }
}

impl TryFrom<String> for InputShape {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<InputShape> for String {
    fn from(shape: InputShape) -> Self {
        shape.to_string()
    }
}

impl Model {
    /// Shapes that the metadata give.
    pub fn input_shapes(&self) -> Vec<InputShape> {
        if let Some(text) = self.metadata(INPUT_SHAPES) {
            return text.lines().filter_map(|line| line.parse().ok()).collect();
        }
        let size = self.metadata(IMAGE_SIZE).and_then(|text| {
            let (h, w) = text.split_once('x')?;
            let size: [usize; 2] = [h.parse().ok()?, w.parse().ok()?];
            (!size.contains(&0)).then_some(size)
        });
        let of_images = size.and_then(|size| self.image_shape(size));
        of_images.into_iter().collect()
    }

    /// Leaves shapes of inputs in the metadata, over those that are there.
    ///
    /// # Errors
    /// [`OnnxError::InputShape`] for an input that the file does not have, and for extents that
    /// contradict the file.
    pub fn give_input_shapes(&mut self, given: &[InputShape]) -> Result<()> {
        if given.is_empty() {
            return Ok(());
        }
        let inputs: Vec<ValueInfo> = self.fed_inputs().collect();
        let mut shapes = self.input_shapes();
        for shape in given {
            check(shape, &inputs)?;
            shapes.retain(|other| other.input != shape.input);
            shapes.push(shape.clone());
        }
        self.set_input_shapes(&shapes);
        Ok(())
    }

    fn set_input_shapes(&mut self, shapes: &[InputShape]) {
        let lines: Vec<String> = shapes.iter().map(ToString::to_string).collect();
        self.set_metadata(INPUT_SHAPES, lines.join("\n"));
    }

    /// Leaves height and width of the first input's images in the metadata.
    pub fn set_image_size(&mut self, size: [usize; 2]) {
        let Some(mut images) = self.image_shape(size) else {
            return;
        };
        let mut shapes = self.input_shapes();
        shapes.retain(|shape| {
            let is_first = shape.input == images.input;
            if is_first && shape.extents.len() == images.extents.len() {
                // The batch that was given stays.
                images.extents[0] = images.extents[0].or(shape.extents[0]);
            }
            !is_first
        });
        shapes.insert(0, images);
        self.set_input_shapes(&shapes);
    }

    /// Does the first input leave height or width of its images open, and nothing says what they
    /// are?
    pub fn lacks_image_size(&self) -> bool {
        let mut inputs: Vec<ValueInfo> = self.fed_inputs().collect();
        fill(&mut inputs, &self.input_shapes(), !self.has_no_batch());
        inputs.first().is_some_and(|input| {
            spatial(&input.shape).is_some_and(|axes| {
                let open = |axis: usize| input.shape[axis].fixed().is_none();
                axes.into_iter().any(open)
            })
        })
    }

    /// The model with the shapes of `other`, if its own metadata give none.
    #[must_use]
    pub fn with_input_shapes_of(mut self, other: &Self) -> Self {
        if self.input_shapes().is_empty() {
            // Those of another network may not fit.
            let _ = self.give_input_shapes(&other.input_shapes());
        }
        self
    }

    /// The first input's shape with this height and width.
    fn image_shape(&self, size: [usize; 2]) -> Option<InputShape> {
        let input = self.fed_inputs().next()?;
        let mut extents: Vec<Option<usize>> = input.shape.iter().map(Dim::fixed).collect();
        for (axis, size) in spatial(&input.shape)?.into_iter().zip(size) {
            extents[axis] = extents[axis].or(Some(size));
        }
        Some(InputShape {
            input: input.name,
            extents,
        })
    }
}

/// Axes of height and width of images: channels are fixed, and few where they come last.
fn spatial(shape: &[Dim]) -> Option<[usize; 2]> {
    match shape {
        [_, Dim::Fixed(_), _, _] => Some([2, 3]),
        [_, _, _, Dim::Fixed(_)] => Some([1, 2]),
        _ => None,
    }
}

/// Refuses a shape that contradicts the file.
fn check(shape: &InputShape, inputs: &[ValueInfo]) -> Result<()> {
    let wrong = |reason: String| {
        Err(OnnxError::InputShape {
            shape: shape.to_string(),
            reason,
        })
    };
    let Some(input) = inputs.iter().find(|input| input.name == shape.input) else {
        let names: Vec<String> = inputs.iter().map(|i| format!("`{}`", i.name)).collect();
        return wrong(format!(
            "the file has no input `{}`, its inputs are {}",
            shape.input,
            names.join(", ")
        ));
    };
    if !input.has_shape {
        return Ok(());
    }
    let stated: Vec<String> = input.shape.iter().map(ToString::to_string).collect();
    let stated = stated.join(" x ");
    if input.shape.len() != shape.extents.len() {
        return wrong(format!(
            "expected {} extents, the file's input is [{stated}], got {}",
            input.shape.len(),
            shape.extents.len()
        ));
    }
    let mut axes = input.shape.iter().zip(&shape.extents).enumerate();
    let contradiction = axes.find_map(|(axis, (dim, extent))| match (dim.fixed(), extent) {
        (Some(fixed), Some(extent)) if fixed != *extent => Some((axis, fixed, *extent)),
        _ => None,
    });
    match contradiction {
        Some((axis, fixed, extent)) => wrong(format!(
            "the file fixes extent {} of its input [{stated}]: expected {fixed}, got {extent}",
            axis + 1
        )),
        None => Ok(()),
    }
}

/// Fills open extents but for the batch, if there is one; extents of one name get one size.
pub(crate) fn fill(inputs: &mut [ValueInfo], shapes: &[InputShape], has_batch: bool) {
    let batch = usize::from(has_batch);
    let mut named: HashMap<String, usize> = HashMap::new();
    for shape in shapes {
        let Some(input) = inputs.iter_mut().find(|input| input.name == shape.input) else {
            continue;
        };
        if !input.has_shape {
            input.shape = vec![Dim::Unknown; shape.extents.len()];
            input.has_shape = true;
        }
        if input.shape.len() != shape.extents.len() {
            continue;
        }
        for (dim, extent) in input.shape.iter_mut().zip(&shape.extents).skip(batch) {
            if let (None, Some(extent)) = (dim.fixed(), *extent) {
                if let Dim::Named(name) = dim {
                    named.insert(std::mem::take(name), extent);
                }
                *dim = Dim::Fixed(extent);
            }
        }
    }
    for dim in inputs
        .iter_mut()
        .flat_map(|input| input.shape.iter_mut().skip(batch))
    {
        if let Dim::Named(name) = dim
            && let Some(&extent) = named.get(name.as_str())
        {
            *dim = Dim::Fixed(extent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, dims: &[Dim]) -> ValueInfo {
        ValueInfo {
            name: name.to_string(),
            shape: dims.to_vec(),
            elem_type: 1,
            has_shape: true,
        }
    }

    fn named(name: &str) -> Dim {
        Dim::Named(name.to_string())
    }

    #[test]
    fn shapes_as_text() {
        for text in ["x=1x3x48x320", "images:0=?x3x?x?", "a=b=7", "scale="] {
            assert_eq!(text.parse::<InputShape>().unwrap().to_string(), text);
        }
        for wrong in ["x", "=1x3", "x=1x3x", "x=1x0", "x=-1", "x=1,3", "x=axb", ""] {
            let error = wrong.parse::<InputShape>().unwrap_err();
            assert!(error.contains("such as x=1x3x48x320"), "{wrong}: {error}");
        }
    }

    #[test]
    fn extents_of_one_name_are_filled_alike_and_the_batch_stays() {
        let mut inputs = [
            input("x", &[named("n"), Dim::Fixed(3), named("h"), named("w")]),
            input("mask", &[named("n"), named("h"), named("other")]),
        ];
        fill(&mut inputs, &["x=2x3x48x320".parse().unwrap()], true);
        let extents =
            |i: usize| -> Vec<Option<usize>> { inputs[i].shape.iter().map(Dim::fixed).collect() };
        assert_eq!(extents(0), [None, Some(3), Some(48), Some(320)]);
        assert_eq!(extents(1), [None, Some(48), None]);
    }

    #[test]
    fn contradictions_are_named() {
        let inputs = [input("x", &[named("n"), Dim::Fixed(3), Dim::Unknown])];
        for (text, expected) in [
            ("y=1x3x4", "the file has no input `y`, its inputs are `x`"),
            ("x=1x3", "expected 3 extents"),
            (
                "x=1x4x4",
                "extent 2 of its input [n x 3 x ?]: expected 3, got 4",
            ),
        ] {
            let error = check(&text.parse().unwrap(), &inputs).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
