//! Features of a layer that stay the same while a network shrinks, so that what is learnt on one
//! network holds on another.
//!
//! | # | feature | range |
//! |---|---|---|
//! | 0 | depth | 0..1 |
//! | 1 | convolution (1) or fully connected (0) | 0, 1 |
//! | 2 | width, log2 / 10 | 0..1.6 |
//! | 3 | share of the given network's parameters that its kernels take, log10 / 5 | -1..0 |
//! | 4 | share of its multiply-adds, log10 / 5 | -1..0 |
//! | 5 | layers whose kernels go with its own, squashed | 0..1 |
//! | 6 | error at half of the width, log10 / 5 | -1..1 |
//! | 7 | error at a quarter of the width over that at half, log10 | 0..2 |
//! | 8 | share of the network that is to remain, log10 / 2 | -1..0 |

use secateur_net::heal::WidthErrors;

use crate::observation::{LayerFacts, Observation};

/// Number of features of a layer.
pub const N_LAYER_FEATURES: usize = 9;

/// Features of one layer.
pub type LayerFeatures = [f32; N_LAYER_FEATURES];

/// Features of every layer.
pub fn layer_features(observation: &Observation) -> Vec<LayerFeatures> {
    let target = (observation.network.target.max(1e-2).log10() / 2.0).clamp(-1.0, 0.0);
    let layers = observation.layers.iter().enumerate();
    layers
        .map(|(group, layer)| of_layer(layer, observation.errors.get(group), target))
        .collect()
}

fn of_layer(layer: &LayerFacts, errors: Option<&WidthErrors>, target: f32) -> LayerFeatures {
    let at = |share: f64| {
        let gone = (layer.width as f64 * (1.0 - share)) as usize;
        let error = errors.and_then(|errors| errors.at(layer.width - gone));
        error.unwrap_or_default().max(1e-5)
    };
    let (half, quarter) = (at(0.5), at(0.25));
    let share = |of_one: f32| {
        let of_all = of_one * layer.width as f32;
        (of_all.max(1e-5).log10() / 5.0).clamp(-1.0, 0.0)
    };
    let others = layer.coupled.saturating_sub(1) as f32;
    [
        layer.depth,
        f32::from(u8::from(layer.is_conv)),
        (layer.width.max(1) as f32).log2() / 10.0,
        share(layer.given_param_share),
        share(layer.given_mac_share),
        others / (others + 2.0),
        (half.log10() / 5.0).clamp(-1.0, 1.0) as f32,
        (quarter / half).log10().clamp(0.0, 2.0) as f32,
        target,
    ]
}
