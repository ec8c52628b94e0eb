//! Mean output of a kernel, over samples and pixels.

use super::LayerPass;

pub(super) fn of(layer: &LayerPass<'_>) -> Vec<f64> {
    layer.mean_of(f64::from)
}
