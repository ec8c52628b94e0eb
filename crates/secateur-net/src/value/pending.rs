//! Images on which one step has left a batch norm for the next
//! (`secateur_cpu::block::forward_pending`).

use std::sync::{Arc, Mutex};

use burn::tensor::Tensor;
use secateur_cpu::block::Pending;
use secateur_cpu::memory::Buffer;

use crate::lock::lock;

/// What passes between the two blocks besides the tensor.
#[derive(Debug)]
pub(crate) struct PendingNorm {
    /// The block that left it: scores are gathered under its name.
    pub node: String,
    /// How it is applied.
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

/// A convolution's output whose batch norm and activation its only reader applies, or, if it is
/// pooled, only sums up for. Gradients are those of the normalised values.
#[derive(Debug, Clone)]
pub struct PendingImage {
    pub(crate) values: Tensor<4>,
    pub(crate) norm: Arc<PendingNorm>,
}

impl PendingImage {
    /// `[n, h, w, c]`
    pub fn dims(&self) -> [usize; 4] {
        self.values.dims()
    }
}
