//! Convolution, batch norm, activation and 2x2 max pooling as one.
//!
//! Training: u = conv(x, w) + b; y = pool(activation(γ · (u - μ) / √(σ² + ε) + β)) with
//! μ and σ² the mean and the biased variance of the batch; a residual may be added before
//! the activation if nothing is pooled. Inference: the caller folds
//! the batch norm into w and b.
//!
//! What fusing saves are passes over memory. Forward: each image's moments are summed
//! while its convolution is still in the cache; one more pass normalises, activates and
//! pools. Backward: one pass sums, one writes the convolution's gradient into the padded
//! scratch from which both its gradients are computed. Source of the batch norm's
//! gradient: Ioffe and Szegedy, arXiv:1502.03167, section 3.

mod backward;
mod chain;
mod forward;
mod pending;

use std::sync::Arc;

use crate::conv::{self, Activation, ConvShape, Method, ShapeError, assert_len};
use crate::isa;
use crate::memory::Buffer;
use crate::norm::channels::Channels;

pub use backward::backward;
pub use chain::{forward_chain, is_chain};
pub use forward::{forward_folded, forward_folded_residual, forward_train};
pub use pending::{Pending, forward_pending};

/// What a block computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockSpec {
    /// The convolution.
    pub conv: ConvShape,
    /// ε, added to the variance.
    pub eps: f32,
    /// Applied after the batch norm.
    pub activation: Activation,
    /// 2x2 max pooling with stride 2 after that; odd last rows and columns are dropped.
    pub pool: bool,
}

impl BlockSpec {
    /// `[n, h, w, c]` of the block's output.
    pub fn output_shape(&self) -> [usize; 4] {
        let (mut h, mut w) = (self.conv.out_h(), self.conv.out_w());
        if self.pool {
            (h, w) = (h / 2, w / 2);
        }
        [self.conv.n, h, w, self.conv.c_out]
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// [`ShapeError`] as for the convolution, and if there is nothing to pool.
    pub fn check(&self) -> Result<(), ShapeError> {
        self.conv.check()?;
        let (h, w) = (self.conv.out_h(), self.conv.out_w());
        if self.pool && (h < 2 || w < 2) {
            return Err(ShapeError::Pool { h, w });
        }
        Ok(())
    }

    fn assert_valid(&self) {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
    }

    fn assert_residual(&self, residual: Option<&[f32]>) {
        if let Some(residual) = residual {
            assert!(
                !self.pool,
                "cannot compute: a residual cannot be pooled with its block"
            );
            assert_len("residual", residual.len(), self.output_len());
        }
    }

    fn output_len(&self) -> usize {
        self.output_shape().iter().product()
    }
}

/// How the block's convolution is computed.
pub fn method(spec: &BlockSpec) -> Method {
    conv::method(&spec.conv)
}

/// What a block in training reads.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// `[n, h, w, c_in]`
    pub x: &'a [f32],
    /// What is to be applied to `x` first, if the block before left it to this one.
    pub pending: Option<&'a Pending>,
    /// `[c_out, c_in / groups, kh, kw]`
    pub w: &'a [f32],
    /// `[c_out]`
    pub bias: Option<&'a [f32]>,
    /// Scale of the batch norm, `[c_out]`.
    pub gamma: &'a [f32],
    /// Shift of the batch norm, `[c_out]`.
    pub beta: &'a [f32],
    /// Added before the activation: as the output, which then must not be pooled.
    pub residual: Option<&'a [f32]>,
}

impl<'a> Inputs<'a> {
    /// Without bias, residual or anything pending.
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

    fn assert_fit(&self, spec: &BlockSpec) {
        assert_inputs(spec, self.x, self.w);
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
    conv: Arc<Buffer>,
    /// Of every pooling window the convolution output that won it.
    best: Option<Arc<Buffer>>,
    /// Statistics without bias.
    channels: Channels,
}

/// Per output channel over the batch, of the block's output y.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ActivationStats {
    /// Mean of y.
    pub mean: Vec<f32>,
    /// Share of y > 0, in 0..=1.
    pub positive: Vec<f32>,
}

/// Gradients of a block.
#[derive(Debug)]
pub struct BlockGradients {
    /// As x; `None` if not asked for.
    pub dx: Option<Buffer>,
    /// As w.
    pub dw: Buffer,
    /// `[c_out]`, always zero: the batch norm takes the mean, and any bias with it, away.
    pub dbias: Option<Vec<f32>>,
    /// `[c_out]`
    pub dgamma: Vec<f32>,
    /// `[c_out]`
    pub dbeta: Vec<f32>,
    /// As y; `None` without a residual.
    pub dresidual: Option<Buffer>,
    /// Sums for the backward pass of the block that left its batch norm to this one; `None`
    /// if there is none, or dx was not asked for.
    pub pending_sums: Option<Buffer>,
}

fn assert_inputs(spec: &BlockSpec, x: &[f32], w: &[f32]) {
    spec.assert_valid();
    assert_len("x", x.len(), spec.conv.x_len());
    assert_len("w", w.len(), spec.conv.w_len());
}
