//! Layers in proportion.

use secateur_onnx::cost::CostModel;
use secateur_onnx::coupling::Masks;

use super::Limits;

/// Halvings of the interval in which the even share lies.
const BISECTIONS: usize = 16;

/// Share of every layer that a network of at most `limits.at_most` keeps; groups without
/// scores keep all. Between 0 and 1.
fn even_share(masks: &Masks, scores: &[Vec<f32>], cost: &CostModel, limits: &Limits) -> f64 {
    let fits = |share: f64| {
        let mut even = masks.clone();
        for (mask, scores) in even.0.iter_mut().zip(scores) {
            let kept = (mask.len() as f64 * share).ceil().max(1.0) as usize;
            for (kernel, on) in mask.iter_mut().enumerate() {
                *on = kernel < kept || scores.is_empty();
            }
        }
        limits.metric.of(&cost.count(&even)) <= limits.at_most
    };
    if fits(1.0) {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        *(if fits(middle) { &mut low } else { &mut high }) = middle;
    }
    low
}

/// Fewest and most kernels of each layer, for the layers' proportion; never fewer than `floor`.
pub(super) fn balanced(
    masks: &Masks,
    scores: &[Vec<f32>],
    cost: &CostModel,
    limits: &Limits,
    floor: &[usize],
) -> (Vec<usize>, Vec<usize>) {
    let share = even_share(masks, scores, cost, limits);
    let of_layer = |(mask, &floor): (&Vec<bool>, &usize)| {
        let even = mask.len() as f64 * share;
        let least = ((even / limits.max_imbalance) as usize).max(floor);
        let most = (even * limits.max_imbalance).ceil() as usize;
        (least, most.max(least))
    };
    masks.0.iter().zip(floor).map(of_layer).unzip()
}
