//! Fused routines and stock Burn compute the same network.

use secateur_net::interpreter::Engine;
use secateur_net::train::cross_entropy;

use crate::common::{images, largest, max_difference, network, small_vgg};

/// Single precision through four layers; relative to the largest value.
const TOLERANCE: f32 = 2e-5;

#[test]
fn inference_agrees() {
    for (widths, seed) in [("3,4,M,5,M", 1), ("17,M,33,7", 2), ("1,1", 3)] {
        let case = small_vgg(widths, seed);
        let x = images(5, 2 * 9 * 8, seed);
        let run = |engine| {
            let net = network(&case, engine);
            let bound = net.bind_inference(&case.weights).unwrap();
            net.forward_inference(&bound, x.clone(), 5).unwrap()
        };
        let (fused, stock) = (run(Engine::Fused), run(Engine::Stock));
        let error = max_difference(&fused, &stock) / largest(&stock);
        assert!(error < TOLERANCE, "{widths}: {error}");
    }
}

#[test]
fn training_outputs_gradients_and_statistics_agree() {
    for (widths, seed) in [("3,4,M,5,M", 1), ("17,M,33,7", 2)] {
        let case = small_vgg(widths, seed);
        let x = images(6, 2 * 9 * 8, seed);
        let labels = [0u32, 1, 2, 1, 0, 2];
        let run = |engine| {
            let net = network(&case, engine);
            let bound = net.bind_training(&case.weights);
            let pass = net.forward_training(&bound, x.clone(), 6, None).unwrap();
            let mut weights = case.weights.clone();
            pass.moments.iter().for_each(|m| m.apply(&mut weights));
            let logits: Vec<f32> = pass.logits.clone().inner().into_data().iter().collect();
            let gradients = cross_entropy(pass.logits, &labels, 0.1).backward();
            let by_name: Vec<(String, Vec<f32>)> = case
                .weights
                .iter()
                .filter_map(|(name, _)| {
                    let gradient = bound.tensor(name)?.grad(&gradients)?;
                    Some((name.clone(), gradient.into_data().iter().collect()))
                })
                .collect();
            (logits, by_name, weights)
        };
        let (fused, stock) = (run(Engine::Fused), run(Engine::Stock));
        assert!(max_difference(&fused.0, &stock.0) / largest(&stock.0) < TOLERANCE);
        assert_eq!(fused.1.len(), stock.1.len());
        let scale = stock.1.iter().map(|(_, g)| largest(g)).fold(0.0, f32::max);
        for ((name, a), (other, b)) in fused.1.iter().zip(&stock.1) {
            assert_eq!(name, other);
            let error = max_difference(a, b) / scale;
            assert!(error < TOLERANCE, "{widths}, gradient of {name}: {error}");
        }
        for ((name, a), (_, b)) in fused.2.iter().zip(stock.2.iter()) {
            let error = max_difference(&a.data, &b.data);
            assert!(
                error < TOLERANCE,
                "{widths}, {name} after the pass: {error}"
            );
        }
    }
}
