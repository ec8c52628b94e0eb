//! Images as a convolution and its weight gradient read them.

use super::pad;
use super::program::Program;
use crate::isa::Isa;
use crate::norm::apply::Affine;

/// Source images that lie behind each other.
#[derive(Clone, Copy)]
pub(crate) struct Images {
    pub first: *const f32,
    /// A batch norm and activation that are still to be applied to them.
    pub pending: Option<Affine>,
}

impl Images {
    /// Images that are read as they are.
    pub fn new(first: *const f32) -> Self {
        Self {
            first,
            pending: None,
        }
    }

    /// Lays image `i` into padded scratch, whose border is zero.
    ///
    /// # Safety
    /// As [`pad::place_image`] and [`pad::place_normalised`]; valid up to that image.
    #[inline]
    pub(super) unsafe fn place(&self, isa: Isa, p: &Program, i: usize, to: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            let image = self.first.add(i * p.source_len());
            match &self.pending {
                None => pad::place_image(isa, image, p.source, p.padding, to),
                Some(affine) => {
                    pad::place_normalised(isa, image, p.source, p.padding, affine, to);
                }
            }
        }
    }
}

/// Output gradients of some images in padded scratch.
#[derive(Clone, Copy)]
pub(crate) struct OutputGradients {
    /// First pixel of the first image; valid for two vectors past the last.
    pub first: *const f32,
    /// Floats from one row to the next.
    pub row: usize,
    /// Floats from one image to the next.
    pub image: usize,
}
