//! The size of images at which a model of dynamic height and width is used.
//!
//! Such a model takes images of any size, but costs, training and comparisons need one. It is
//! kept in the metadata, so that the file itself keeps its dynamic extents and everything that
//! reads it later counts the same.

use super::message::Model;
use super::value_info::{Dim, ValueInfo};

/// Metadata key of the size, `HxW`.
pub const IMAGE_SIZE: &str = "secateur.image_size";

impl Model {
    /// Height and width that the metadata give for dynamic ones.
    pub fn image_size(&self) -> Option<[usize; 2]> {
        let (h, w) = self.metadata(IMAGE_SIZE)?.split_once('x')?;
        let size = [h.parse().ok()?, w.parse().ok()?];
        (!size.contains(&0)).then_some(size)
    }

    /// Leaves height and width of the images in the metadata.
    pub fn set_image_size(&mut self, [h, w]: [usize; 2]) {
        self.set_metadata(IMAGE_SIZE, format!("{h}x{w}"));
    }

    /// Does the input leave height or width open, and nothing says what they are?
    pub fn lacks_image_size(&self) -> bool {
        self.image_size().is_none()
            && self.fed_inputs().next().is_some_and(|input| {
                spatial(&input.shape).is_some_and(|axes| {
                    let open = |axis: usize| input.shape[axis].fixed().is_none();
                    axes.into_iter().any(open)
                })
            })
    }

    /// The model with the image size of `other`, if it lacks one.
    #[must_use]
    pub fn with_image_size_of(mut self, other: &Self) -> Self {
        if self.lacks_image_size()
            && let Some(size) = other.image_size()
        {
            self.set_image_size(size);
        }
        self
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

/// Fills open heights and widths.
pub(crate) fn fill(input: &mut ValueInfo, size: [usize; 2]) {
    if let Some(axes) = spatial(&input.shape) {
        for (axis, size) in axes.into_iter().zip(size) {
            if input.shape[axis].fixed().is_none() {
                input.shape[axis] = Dim::Fixed(size);
            }
        }
    }
}
