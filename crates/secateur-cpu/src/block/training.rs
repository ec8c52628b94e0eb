//! What a block in training reads, keeps for its backward pass, and returns from it.

use std::sync::Arc;

use super::pending::Pending;
use super::spec::BlockSpec;
use crate::checks::assert_len;
use crate::isa;
use crate::memory::Buffer;
use crate::norm::channels::Channels;

/// What a block in training reads.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// `[n, h, w, c_in]`
    pub x: &'a [f32],
    /// The batch norm of `x`, if the block before this one left it to it.
    pub pending: Option<&'a Pending>,
    /// `[c_out, c_in / groups, kh, kw]`
    pub w: &'a [f32],
    /// `[c_out]`
    pub bias: Option<&'a [f32]>,
    /// Scale of the batch norm, `[c_out]`.
    pub gamma: &'a [f32],
    /// Shift of the batch norm, `[c_out]`.
    pub beta: &'a [f32],
    /// Added before the activation; has the shape of the output, which then must not be pooled.
    pub residual: Option<&'a [f32]>,
}

impl<'a> Inputs<'a> {
    /// Inputs without bias, residual and pending batch norm.
    pub fn new(x: &'a [f32], w: &'a [f32], gamma: &'a [f32], beta: &'a [f32]) -> Self {
        Self {
            x,
            pending: None,
            w,
            bias: None,
            gamma,
            beta,
            residual: None,
        }
    }

    pub(super) fn assert_fit(&self, spec: &BlockSpec) {
        spec.assert_inputs(self.x, self.w);
        let c = spec.conv.c_out;
        assert_len("gamma", self.gamma.len(), c);
        assert_len("beta", self.beta.len(), c);
        if let Some(bias) = self.bias {
            assert_len("bias", bias.len(), c);
        }
        if let Some(pending) = self.pending {
            pending.assert_fits(spec, isa::active());
        }
        spec.assert_residual(self.residual);
    }
}

/// What the backward pass needs of the forward pass.
#[derive(Debug)]
pub struct Saved {
    /// Batch mean of every channel, bias included.
    pub mean: Vec<f32>,
    /// Biased batch variance of every channel.
    pub var: Vec<f32>,
    /// Output of the convolution, without bias: `[n, oh, ow, c_out]`.
    pub(super) conv: Arc<Buffer>,
    /// If the block pools: the convolution output that won each window.
    pub(super) best: Option<Arc<Buffer>>,
    /// Statistics without bias.
    pub(super) channels: Channels,
}

/// What is wanted of the gradient of x.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InputGradient<'a> {
    /// Nothing.
    Unwanted,
    /// The gradient.
    Own,
    /// The gradient, added to one as long as x: that of another reader of x.
    AddedTo(&'a [f32]),
}

/// Gradients of a block.
#[derive(Debug)]
pub struct BlockGradients {
    /// As x; `None` if it was not wanted.
    pub dx: Option<Buffer>,
    /// As w.
    pub dw: Buffer,
    /// `[c_out]`, always zero: the batch norm subtracts the mean, and with it any bias.
    pub dbias: Option<Vec<f32>>,
    /// `[c_out]`
    pub dgamma: Vec<f32>,
    /// `[c_out]`
    pub dbeta: Vec<f32>,
    /// As y; `None` without a residual.
    pub dresidual: Option<Buffer>,
    /// Sums for the backward pass of the block that left its batch norm to this one; `None` if
    /// no block did, or dx was not wanted.
    pub pending_sums: Option<Buffer>,
}
