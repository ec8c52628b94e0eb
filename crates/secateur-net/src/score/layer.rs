//! What scores of a layer are computed from.

/// Output and gradient of a layer in one batch, both channels last.
#[derive(Debug, Clone, Copy)]
pub struct LayerPass<'a> {
    /// Samples.
    pub n: usize,
    /// Kernels.
    pub channels: usize,
    /// `[n, pixels, channels]`
    pub output: &'a [f32],
    /// Of the mean loss, `[n, pixels, channels]`.
    pub gradient: &'a [f32],
}

impl LayerPass<'_> {
    /// Values of one sample.
    pub(super) fn sample_len(&self) -> usize {
        (self.output.len() / self.n.max(1)).max(1)
    }

    /// Mean over samples and pixels of `value` of the outputs, by kernel.
    pub(super) fn mean_of(&self, value: impl Fn(f32) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0f64; self.channels];
        for pixel in self.output.chunks_exact(self.channels.max(1)) {
            for (sum, &y) in sums.iter_mut().zip(pixel) {
                *sum += value(y);
            }
        }
        let count = (self.output.len() / self.channels.max(1)).max(1) as f64;
        sums.iter().map(|sum| sum / count).collect()
    }
}
