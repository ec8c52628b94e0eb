//! Outputs in plain memory.

use super::Dense;

/// One output of a network for some samples, in plain memory; the first axis counts samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// Extents in the file's order; the first is the number of samples.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

impl Output {
    /// The values of a tensor.
    pub fn from_dense(tensor: &Dense) -> Self {
        Self {
            shape: tensor.dims().to_vec(),
            values: tensor.to_vec(),
        }
    }

    /// Number of samples.
    pub fn n(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Values of one sample.
    pub fn sample(&self, index: usize) -> &[f32] {
        let len = self.values.len() / self.n().max(1);
        &self.values[index * len..(index + 1) * len]
    }

    /// The samples at `indices`, in that order.
    pub fn pick(&self, indices: &[usize]) -> Self {
        let mut shape = self.shape.clone();
        if let Some(n) = shape.first_mut() {
            *n = indices.len();
        }
        Self {
            shape,
            values: indices
                .iter()
                .flat_map(|&i| self.sample(i))
                .copied()
                .collect(),
        }
    }

    /// The values at some positions along an axis, in that order.
    pub fn select(&self, axis: usize, positions: &[usize]) -> Self {
        let extent = self.shape.get(axis).copied().unwrap_or(1);
        let inner: usize = self.shape.iter().skip(axis + 1).product();
        let mut shape = self.shape.clone();
        if let Some(extent) = shape.get_mut(axis) {
            *extent = positions.len();
        }
        let rows = self.values.chunks_exact((extent * inner).max(1));
        let picked = rows.flat_map(|row| {
            let at = |&position: &usize| &row[position * inner..(position + 1) * inner];
            positions.iter().flat_map(at)
        });
        Self {
            shape,
            values: picked.copied().collect(),
        }
    }

    /// Takes in further samples of the same output.
    pub fn append(&mut self, other: Self) {
        match self.shape.first_mut() {
            Some(n) => *n += other.n(),
            None => self.shape = other.shape,
        }
        self.values.extend(other.values);
    }
}
