//! What a quantiser is calibrated on.

use std::sync::Arc;

use secateur_net::data::{Augment, BatchJob, Part};
use secateur_net::{Host, NetError};
use secateur_onnx::graph::Graph;

use super::arrays::named;

/// Samples in whole batches, by the names of the file's inputs.
#[derive(Debug, Clone)]
pub struct Samples {
    part: Part,
    batch: usize,
    graph: Arc<Graph>,
}

impl Samples {
    pub(super) fn new(part: Part, batch: usize, graph: Arc<Graph>) -> Self {
        Self { part, batch, graph }
    }

    /// Samples that are read, each once, unless there are fewer than a batch holds.
    pub fn len(&self) -> usize {
        match self.part.len() / self.batch {
            0 => self.part.len(),
            whole => whole * self.batch,
        }
    }

    /// True without samples.
    pub fn is_empty(&self) -> bool {
        self.part.is_empty()
    }

    /// Batches.
    pub fn n_batches(&self) -> usize {
        self.len().div_ceil(self.batch)
    }

    /// A batch: arrays by input, samples in front.
    ///
    /// # Errors
    /// [`NetError`] for an image that can no longer be read.
    pub fn batch(&self, index: usize) -> Result<Vec<(String, Host)>, NetError> {
        let start = index * self.batch;
        let job = BatchJob {
            // From the beginning again where samples do not fill a batch.
            indices: (start..start + self.batch)
                .map(|i| i % self.part.len())
                .collect(),
            augment: Augment::default(),
            seed: 0,
        };
        named(self.part.batch(&job)?.inputs, &self.graph)
    }
}
