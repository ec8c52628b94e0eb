//! How images become a network's only input.

use std::sync::Arc;

use secateur_onnx::model::{Dim, ValueInfo};

use super::{DataError, Source};
use crate::error::NetError;
use crate::interpreter::ImageInput;

/// What a network makes of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageForm {
    /// `[c, h, w]` of the images.
    pub(super) shape: [usize; 3],
    /// Extents of a sample, where the input has another rank than images: grey images without an
    /// axis for their channel, or all pixels in a row.
    pub(super) array: Option<Arc<[usize]>>,
}

impl ImageForm {
    /// Of the inputs of a network, for these images.
    ///
    /// # Errors
    /// [`DataError::NoImageInput`] says what it takes instead.
    pub(super) fn of(inputs: &[ValueInfo], source: &Source) -> Result<Self, DataError> {
        let grey = inputs.first().and_then(|input| grey(input, source));
        if let (Some(found), [_]) = (grey, inputs) {
            return Ok(found);
        }
        let input = ImageInput::find("", inputs);
        let input = input.map_err(|error| DataError::NoImageInput {
            reason: match error {
                // Of several inputs none is to blame; they are listed.
                NetError::Task { reason, .. } if inputs.len() != 1 => reason,
                NetError::Task { place, reason } => format!("{place}: {reason}"),
                other => other.to_string(),
            },
        })?;
        Ok(Self {
            shape: input.shape,
            array: None,
        })
    }
}

/// An input `[n, h, w]`, or `[n, h * w]` where that is what the grey images hold.
fn grey(input: &ValueInfo, source: &Source) -> Option<ImageForm> {
    let [h, w] = match *input.shape.as_slice() {
        [_, Dim::Fixed(h), Dim::Fixed(w)] => [h, w],
        [_, Dim::Fixed(length)] => {
            let [h, w, c] = source.own_shape().ok()?;
            (h * w == length && c == 1).then_some([h, w])?
        }
        _ => return None,
    };
    let extents: Option<Vec<usize>> = input.shape[1..].iter().map(Dim::fixed).collect();
    Some(ImageForm {
        shape: [1, h, w],
        array: Some(extents?.into()),
    })
}
