//! Share of a kernel's outputs that are positive, over samples and pixels.

use super::LayerPass;

pub(super) fn of(layer: &LayerPass<'_>) -> Vec<f64> {
    layer.mean_of(|y| f64::from(u8::from(y > 0.0)))
}
