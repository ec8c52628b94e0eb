//! A part of the data decoded, normalised and in memory.

use super::{Augment, BatchSampler, DataError, Dataset, Normalisation};

/// Decoded images and labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// `[n, h, w, c]`, normalised.
    pub images: Vec<f32>,
    /// `[n]`.
    pub labels: Vec<u32>,
    /// `[h, w, c]`.
    pub shape: [usize; 3],
}

/// Images and labels of one training step.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `[n, h, w, c]`, normalised.
    pub images: Vec<f32>,
    /// `[n]`.
    pub labels: Vec<u32>,
    /// Number of images.
    pub n: usize,
}

impl Loaded {
    /// Decodes the images at `indices`.
    ///
    /// # Errors
    /// As [`Dataset::read`].
    pub fn load(
        data: &dyn Dataset,
        indices: &[usize],
        normalisation: &Normalisation,
    ) -> Result<Self, DataError> {
        use rayon::prelude::*;
        let shape = data.image_shape();
        let size: usize = shape.iter().product();
        let mut images = vec![0.0f32; indices.len() * size];
        images
            .par_chunks_exact_mut(size.max(1))
            .zip(indices)
            .try_for_each(|(out, &index)| {
                data.read(index, out)?;
                normalisation.apply(out);
                Ok(())
            })?;
        let labels = indices
            .iter()
            .map(|&i| u32::try_from(data.label(i)).unwrap_or(u32::MAX))
            .collect();
        Ok(Self {
            images,
            labels,
            shape,
        })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True without images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The images at `indices`, changed at random as `augment` says.
    pub fn batch(&self, indices: &[usize], augment: Augment, sampler: &mut BatchSampler) -> Batch {
        let size: usize = self.shape.iter().product();
        let mut images = vec![0.0f32; indices.len() * size];
        for (out, &index) in images.chunks_exact_mut(size).zip(indices) {
            let image = &self.images[index * size..(index + 1) * size];
            if augment.is_none() {
                out.copy_from_slice(image);
            } else {
                augment.apply(image, self.shape, sampler.rng(), out);
            }
        }
        let labels = indices.iter().map(|&index| self.labels[index]).collect();
        Batch {
            images,
            labels,
            n: indices.len(),
        }
    }

    /// The first `n` images, unchanged.
    pub fn head(&self, n: usize) -> Batch {
        let n = n.min(self.len());
        let size: usize = self.shape.iter().product();
        Batch {
            images: self.images[..n * size].to_vec(),
            labels: self.labels[..n].to_vec(),
            n,
        }
    }
}
