//! First-order Taylor significance of kernel k over a batch of N samples:
//!
//! ```text
//! S_k = 1/N · Σ_n | Σ_hw a[n,k,h,w] · ∂L_n/∂a[n,k,h,w] |
//! ```
//!
//! the change of the loss, sample by sample, if the kernel's output became zero. The loss here
//! is the mean over the batch, so the gradients already carry 1/N.
//!
//! Of a convolution with batch norm, gradients count where its activation passes them on: at
//! the ceiling of a ReLU6 they do not.
//!
//! Source: Molchanov et al., ICLR 2017, arXiv:1611.06440. Departures: no division by H·W, so
//! that layers of different sizes stay in one unit, and no per-layer normalisation.

use super::LayerPass;

pub(super) fn of(layer: &LayerPass<'_>) -> Vec<f64> {
    let (len, channels) = (layer.sample_len(), layer.channels.max(1));
    let mut taylor = vec![0.0f64; layer.channels];
    let mut of_sample = vec![0.0f64; layer.channels];
    let samples = layer.output.chunks_exact(len);
    for (y, dy) in samples.zip(layer.gradient.chunks_exact(len)) {
        of_sample.fill(0.0);
        for (y, dy) in y.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
            for ((sum, &y), &dy) in of_sample.iter_mut().zip(y).zip(dy) {
                *sum += f64::from(y) * f64::from(dy);
            }
        }
        for (sum, value) in taylor.iter_mut().zip(&of_sample) {
            *sum += value.abs();
        }
    }
    taylor
}
