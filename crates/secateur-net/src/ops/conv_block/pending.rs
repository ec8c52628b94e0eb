//! A batch norm that one block leaves to the next (`secateur_cpu::block::forward_pending`).

use std::sync::{Arc, Mutex};

use burn::tensor::Tensor;
use secateur_cpu::block::Pending;
use secateur_cpu::memory::Buffer;

use super::ConvBlock;
use super::calls::lock;

/// What passes between the two blocks besides the tensor.
#[derive(Debug)]
pub(crate) struct PendingNorm {
    /// The block that left it: scores are gathered under its name.
    pub node: String,
    pub pending: Pending,
    /// From the reader's backward pass to the leaver's.
    sums: Mutex<Option<Buffer>>,
}

impl PendingNorm {
    pub fn new(node: String, pending: Pending) -> Self {
        Self {
            node,
            pending,
            sums: Mutex::new(None),
        }
    }

    /// Keeps what the reader has summed.
    pub fn put_sums(&self, sums: Option<Buffer>) {
        *lock(&self.sums) = sums;
    }

    /// The sums, once.
    pub fn take_sums(&self) -> Option<Buffer> {
        lock(&self.sums).take()
    }
}

impl ConvBlock {
    /// True if it may leave its batch norm (with pooling: the sums of its backward pass) to
    /// `reader`, the only reader of its output.
    pub(crate) fn leaves_norm_to(&self, reader: &Self) -> bool {
        let leaves = self.norm.is_some() && self.residual.is_none();
        leaves && reader.norm.is_some() && reader.input == self.output
    }

    /// What it leaves, for people.
    pub(crate) fn describe_left(&self) -> &'static str {
        if self.pool {
            "; training: the next sums up for its batch norm"
        } else {
            "; training: the next applies its batch norm"
        }
    }
}

/// A convolution's output whose batch norm and activation its only reader applies, or, if it is
/// pooled, only sums up for. Gradients are those of the normalised values.
#[derive(Debug, Clone)]
pub struct PendingImage {
    pub(super) values: Tensor<4>,
    pub(super) norm: Arc<PendingNorm>,
}

impl PendingImage {
    /// `[n, h, w, c]`
    pub fn dims(&self) -> [usize; 4] {
        self.values.dims()
    }
}
