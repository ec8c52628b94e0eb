//! Factors that are tried to learn from.
//!
//! Half of what is tried is the same for layers that are alike: a random direction through their
//! features. Were every layer's noise its own, it would even out over the dozens of layers of a network,
//! and looks would say little of what is learnt, which is a function of the features.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::features::{LayerFeatures, N_LAYER_FEATURES};

/// What is added to the logarithms of layers' factors, of standard deviation `noise`; nothing is drawn
/// where that is 0.
pub fn tried<R: Rng>(layers: &[LayerFeatures], noise: f64, rng: &mut R) -> Vec<f64> {
    if noise <= 0.0 {
        return vec![0.0; layers.len()];
    }
    let mut draw = || -> f64 { StandardNormal.sample(rng) };
    let direction: [f64; N_LAYER_FEATURES] = std::array::from_fn(|_| draw());
    let along = layers.iter().map(|x| -> f64 {
        let parts = x.iter().zip(direction);
        parts.map(|(x, by)| f64::from(*x) * by).sum()
    });
    let shared = standardised(along.collect());
    let own = shared.iter().map(|shared| (shared, draw()));
    own.map(|(shared, own)| noise * (shared + own) / f64::sqrt(2.0))
        .collect()
}

/// Of mean 0 and standard deviation 1, or 0 where all are the same.
fn standardised(mut values: Vec<f64>) -> Vec<f64> {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter_mut().for_each(|value| *value -= mean);
    let deviation = (values.iter().map(|value| value * value).sum::<f64>() / n).sqrt();
    let scale = if deviation > 1e-9 {
        1.0 / deviation
    } else {
        0.0
    };
    values.iter_mut().for_each(|value| *value *= scale);
    values
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn layers_that_are_alike_share_half_of_what_is_tried() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let layers: Vec<LayerFeatures> = (0..40)
            .map(|layer| [(layer / 20) as f32; N_LAYER_FEATURES])
            .collect();
        let (mut square, mut apart) = (0.0, 0.0);
        let tries = 400;
        for _ in 0..tries {
            let tried = tried(&layers, 0.5, &mut rng);
            square += tried.iter().map(|t| t * t).sum::<f64>() / 40.0;
            let half = |of: &[f64]| of.iter().sum::<f64>() / 20.0;
            apart += (half(&tried[..20]) - half(&tried[20..])).powi(2);
        }
        let (square, apart) = (square / f64::from(tries), apart / f64::from(tries));
        assert!((square - 0.25).abs() < 0.02, "{square}");
        // Twice the shared deviation, 0.5 / sqrt(2), and what is left of the layers' own.
        assert!((apart - 0.5 - 0.0125).abs() < 0.05, "{apart}");
        let silent = super::tried(&layers, 0.0, &mut rng);
        assert!(silent.iter().all(|tried| *tried == 0.0));
    }
}
