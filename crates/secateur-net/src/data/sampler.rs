//! Shuffled mini-batches without end, and the randomness of augmentation.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Augment;

/// Everything that a batch depends on besides the part.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchJob {
    /// Which images of the part.
    pub indices: Vec<usize>,
    /// How they are changed.
    pub augment: Augment,
    /// Seed of the changes.
    pub seed: u64,
}

/// Draws batches of indices: every index once an epoch, a ragged end is left out.
///
/// Its whole state is serialisable, so that a resumed run sees the same batches.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BatchSampler {
    order: Vec<u32>,
    batch: usize,
    position: usize,
    rng: ChaCha8Rng,
}

impl BatchSampler {
    /// Over `n` images, `batch` at a time (at most `n`).
    pub fn new(n: usize, batch: usize, seed: u64) -> Self {
        let order = (0..u32::try_from(n).unwrap_or(u32::MAX)).collect();
        Self {
            order,
            batch: batch.clamp(1, n.max(1)),
            // At the end of an epoch: the first batch begins a new one and shuffles.
            position: n,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Images that it draws from.
    pub fn n_images(&self) -> usize {
        self.order.len()
    }

    /// Images a batch.
    pub fn batch_size(&self) -> usize {
        self.batch
    }

    /// Indices of the next batch.
    pub fn next_batch(&mut self) -> Vec<usize> {
        if self.position + self.batch > self.order.len() {
            self.order.shuffle(&mut self.rng);
            self.position = 0;
        }
        let batch = &self.order[self.position..self.position + self.batch];
        self.position += self.batch;
        batch.iter().map(|&index| index as usize).collect()
    }

    /// The next batch, and the chance that changes its images.
    pub fn next_job(&mut self, augment: Augment) -> BatchJob {
        let indices = self.next_batch();
        let seed = if augment.is_none() {
            0
        } else {
            self.rng.random()
        };
        BatchJob {
            indices,
            augment,
            seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sees_every_image_once() {
        let mut sampler = BatchSampler::new(10, 5, 1);
        for _ in 0..3 {
            let mut seen = [sampler.next_batch(), sampler.next_batch()].concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_restored_sampler_goes_on_alike() {
        let mut sampler = BatchSampler::new(50, 8, 2);
        sampler.next_batch();
        let mut restored: BatchSampler =
            serde_json::from_str(&serde_json::to_string(&sampler).unwrap()).unwrap();
        for _ in 0..20 {
            assert_eq!(sampler.next_batch(), restored.next_batch());
        }
    }
}
