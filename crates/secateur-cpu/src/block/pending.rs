//! A batch norm, with its activation, that one block leaves to the next.
//!
//! The second pass of a block reads the convolution's output and writes as much, only for the
//! next convolution to read it. If that convolution is the only reader, it can normalise the
//! images itself when it lays them into padded scratch. Once it has computed their gradient, it
//! can also take the sums that the backward pass of the batch norm needs, while both are in the
//! cache. That saves four passes over an activation in a training step: one read and one write
//! forward, two reads backward. A block that pools does its own second pass, which leaves a
//! quarter of the pixels; only the sums of its backward pass are left to the next block.

use std::sync::Arc;

use super::spec::BlockSpec;
use crate::activation::ActivationStats;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::norm::apply::{self, Affine};
use crate::norm::back::{self, back_sums_len};
use crate::norm::channels::{Scales, activation_stats};
use crate::norm::matrix::{Matrix, padded};
use crate::parallel::Shared;

/// A batch norm that a block leaves to the one that reads its output: all of it, or, if the block
/// pools, only the sums of its backward pass.
#[derive(Debug)]
pub struct Pending {
    isa: Isa,
    scales: Scales,
    /// If the block pools: the convolution output that won each window.
    winners: Option<Arc<Buffer>>,
    images: usize,
    /// Pixels of an image of the output.
    pixels: usize,
    channels: usize,
}

impl Pending {
    /// For an output of `[images, pixels, channels]`, whose values before the batch norm were
    /// `winners` if it has been pooled.
    pub(super) fn new(
        isa: Isa,
        scales: Scales,
        winners: Option<Arc<Buffer>>,
        [images, pixels, channels]: [usize; 3],
    ) -> Self {
        Self {
            isa,
            scales,
            winners,
            images,
            pixels,
            channels,
        }
    }

    /// Panics unless it was left for the input of `spec`.
    pub(super) fn assert_fits(&self, spec: &BlockSpec, isa: Isa) {
        assert!(
            self.images == spec.conv.n
                && self.pixels == spec.conv.h * spec.conv.w
                && self.channels == spec.conv.c_in
                && self.isa == isa,
            "cannot compute: `pending` was left by a block with another output"
        );
    }

    /// True if the output is still to be normalised: the block does not pool.
    pub fn is_norm(&self) -> bool {
        self.winners.is_none()
    }

    /// The batch norm and activation that are to be applied to the output, if any.
    pub(super) fn norm(&self) -> Option<Affine> {
        self.is_norm().then(|| self.scales.affine())
    }

    fn matrix(&self) -> Matrix {
        Matrix::new(self.isa, self.pixels, self.channels)
    }

    /// Memory for the statistics of all images, zero, for [`Self::add_statistics`].
    pub(super) fn statistics(&self) -> Buffer {
        Buffer::zeroed(self.images * 2 * padded(self.channels))
    }

    /// Adds the sums of image `i`, whose values before the batch norm are `u`; `scratch`
    /// receives the normalised image.
    ///
    /// # Safety
    /// `u` and `scratch` are valid for an image; no other thread adds to this image.
    pub(super) unsafe fn add_statistics(
        &self,
        i: usize,
        u: *const f32,
        scratch: *mut f32,
        sums: Shared,
    ) {
        // SAFETY: the caller's contract; every image has its own sums.
        unsafe {
            let to = sums.ptr().add(i * 2 * padded(self.channels));
            let (matrix, null) = (self.matrix(), std::ptr::null());
            apply::apply(
                self.isa,
                matrix,
                &self.scales.affine(),
                u,
                null,
                scratch,
                to,
            );
        }
    }

    /// The statistics of the batch from the sums of all images.
    pub(super) fn activation_stats(&self, sums: &[f32]) -> ActivationStats {
        activation_stats(sums, self.channels, (self.images * self.pixels) as f64)
    }

    /// Memory for the sums of the backward pass of all images, zero, for
    /// [`Self::add_back_sums`].
    pub(super) fn back_sums(&self) -> Buffer {
        Buffer::zeroed(self.images * back_sums_len(self.channels))
    }

    /// Adds the sums of image `i` of the output, given as `x`, with the gradient `dy` of the
    /// normalised image.
    ///
    /// # Safety
    /// `x` and `dy` are valid for that image; no other thread adds to it.
    pub(super) unsafe fn add_back_sums(
        &self,
        i: usize,
        x: *const f32,
        dy: *const f32,
        sums: Shared,
    ) {
        // SAFETY: the caller's contract; every image has its own sums.
        unsafe {
            let to = sums.ptr().add(i * back_sums_len(self.channels));
            let (matrix, mean) = (self.matrix(), self.scales.mean.as_ptr());
            let (null, affine) = (std::ptr::null(), self.scales.affine());
            let u = match &self.winners {
                None => x,
                Some(winners) => winners.as_ptr().add(i * matrix.pixels * matrix.c),
            };
            back::back_sums(self.isa, matrix, &affine, mean, u, null, dy, to);
        }
    }
}
