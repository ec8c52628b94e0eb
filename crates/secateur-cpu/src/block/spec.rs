//! What a block computes, and the sizes of its output.

use crate::activation::Activation;
use crate::checks::assert_len;
use crate::conv::shape::{ConvShape, ShapeError};

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

    pub(super) fn assert_valid(&self) {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
    }

    /// Panics if the sizes are wrong, or the input or the weights do not fit them.
    pub(super) fn assert_inputs(&self, x: &[f32], w: &[f32]) {
        self.assert_valid();
        assert_len("x", x.len(), self.conv.x_len());
        assert_len("w", w.len(), self.conv.w_len());
    }

    pub(super) fn assert_residual(&self, residual: Option<&[f32]>) {
        if let Some(residual) = residual {
            assert!(
                !self.pool,
                "cannot compute: a residual cannot be pooled with its block"
            );
            assert_len("residual", residual.len(), self.output_len());
        }
    }

    pub(super) fn output_len(&self) -> usize {
        self.output_shape().iter().product()
    }
}
