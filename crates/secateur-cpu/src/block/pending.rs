//! Batch norm and activation that one block leaves to the next.
//!
//! A block's second pass reads the convolution's output and writes as much, only for the next
//! convolution to read it. If that is the only reader, it may as well normalise what it reads,
//! when it lays images into padded scratch; and when it has computed the gradient of what it
//! read, it can take the sums that the batch norm's own gradient needs while both are in the
//! cache. That saves four passes over an activation in a training step: one read and one
//! write forward, two reads backward. A block that pools does its own second pass, which leaves
//! a quarter of the pixels; the sums still can be taken by the next.

use std::sync::Arc;

use super::{ActivationStats, BlockSpec, Inputs, Saved, forward};
use crate::isa::{self, Isa};
use crate::memory::Buffer;
use crate::norm::channels::{Scales, activation_stats};
use crate::norm::matrix::{Matrix, padded};
use crate::norm::passes::{self, Affine};
use crate::parallel::Shared;

/// What a block leaves to the one that reads its output: the batch norm and activation, or, if
/// it pools, only the sums of their backward pass.
#[derive(Debug)]
pub struct Pending {
    isa: Isa,
    scales: Scales,
    /// Of a block that pools, whose output is normalised: what won each window before that.
    winners: Option<Arc<Buffer>>,
    /// Floats of the output.
    len: usize,
    images: usize,
    channels: usize,
}

/// As [`super::forward_train`], but leaves to the block that reads the output what that one
/// can do: without pooling its batch norm and activation.
///
/// Returns the convolution's output (with pooling: y), `[n, oh, ow, c_out]`, which the next
/// block's [`Inputs`] take together with the [`Pending`]. `stats` are filled if the block
/// pools; else the next has them in `pending_stats`.
///
/// # Panics
/// As [`super::forward_train`], and if the block adds a residual.
pub fn forward_pending(
    spec: &BlockSpec,
    inputs: &Inputs<'_>,
    stats: Option<&mut ActivationStats>,
    pending_stats: Option<&mut ActivationStats>,
) -> (Arc<Buffer>, Saved, Pending) {
    assert!(
        inputs.residual.is_none(),
        "cannot compute: a block that adds a residual leaves nothing to the next"
    );
    let (mut saved, scales) = forward::first_pass(spec, inputs, pending_stats);
    let output = if spec.pool {
        Arc::new(forward::second_pass(spec, &mut saved, &scales, None, stats))
    } else {
        Arc::clone(&saved.conv)
    };
    let pending = Pending {
        isa: isa::active(),
        scales,
        winners: saved.best.clone(),
        len: output.len(),
        images: spec.conv.n,
        channels: spec.conv.c_out,
    };
    (output, saved, pending)
}

impl Pending {
    /// Checks that it was made for `x`.
    pub(super) fn assert_fits(&self, spec: &BlockSpec, isa: Isa) {
        assert!(
            self.len == spec.conv.x_len()
                && self.images == spec.conv.n
                && self.channels == spec.conv.c_in
                && self.isa == isa,
            "cannot compute: `pending` was left by a block with another output"
        );
    }

    /// True if the output is still to be normalised.
    pub fn is_norm(&self) -> bool {
        self.winners.is_none()
    }

    /// What is to be applied to the output.
    pub(super) fn norm(&self) -> Option<Affine> {
        self.is_norm().then(|| self.scales.affine())
    }

    fn matrix(&self) -> Matrix {
        let pixels = self.len / self.images / self.channels;
        Matrix::new(self.isa, pixels, self.channels)
    }

    /// Zero sums of all images, to be filled by [`Self::add_statistics`].
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
            passes::apply(
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

    /// Statistics from the sums.
    pub(super) fn activation_stats(&self, sums: &[f32]) -> ActivationStats {
        activation_stats(sums, self.channels, (self.len / self.channels) as f64)
    }

    /// Zero sums of all images, to be filled by [`Self::add_back_sums`].
    pub(super) fn back_sums(&self) -> Buffer {
        Buffer::zeroed(self.images * passes::back_sums_len(self.channels))
    }

    /// Adds the sums of image `i` of the output `x`, with the gradient `dy` of what is
    /// normalised.
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
            let to = sums.ptr().add(i * passes::back_sums_len(self.channels));
            let (matrix, mean) = (self.matrix(), self.scales.mean.as_ptr());
            let (null, affine) = (std::ptr::null(), self.scales.affine());
            let u = match &self.winners {
                None => x,
                Some(winners) => winners.as_ptr().add(i * matrix.pixels * matrix.c),
            };
            passes::back_sums(self.isa, matrix, &affine, mean, u, null, dy, to);
        }
    }
}
