//! Gradients of the whole network against finite differences.

use burn::tensor::Tensor;
use secateur_net::interpreter::{Engine, Network};
use secateur_net::train::cross_entropy;
use secateur_net::weights::{WeightRole, Weights};

use crate::common::{images, network, small_vgg};

const LABELS: [u32; 8] = [0, 1, 2, 1, 0, 2, 1, 1];

fn loss(net: &Network, weights: &Weights, x: &[f32]) -> f64 {
    let bound = net.bind_training(weights);
    let pass = net.forward_training(&bound, x.to_vec(), 8, None).unwrap();
    // Summed in f64 from the scores: f32 would drown the differences.
    let scores: Vec<f32> = pass.logits.inner().into_data().iter().collect();
    let rows = scores.chunks_exact(3).zip(LABELS);
    rows.map(|(row, label)| {
        let sum: f64 = row.iter().map(|&z| f64::from(z).exp()).sum();
        sum.ln() - f64::from(row[label as usize])
    })
    .sum::<f64>()
        / 8.0
}

/// The directional derivative along random directions, parameter by parameter:
/// ReLU and max pooling have kinks, so single elements may differ, sums agree.
#[test]
fn directional_derivatives_match_central_differences() {
    let case = small_vgg("4,5,M,6,M", 5);
    let x = images(8, 2 * 9 * 8, 6);
    for engine in [Engine::Fused, Engine::Stock] {
        let net = network(&case, engine);
        let bound = net.bind_training(&case.weights);
        let pass = net.forward_training(&bound, x.clone(), 8, None).unwrap();
        let value: Tensor<1> = cross_entropy(pass.logits, &LABELS, 0.0);
        let gradients = value.backward();
        for (index, (name, weight)) in case.weights.iter().enumerate() {
            if weight.role == WeightRole::Running {
                continue;
            }
            let gradient = bound.tensor(name).unwrap().grad(&gradients).unwrap();
            let gradient: Vec<f32> = gradient.into_data().iter().collect();
            let direction = images(1, gradient.len(), 100 + index as u64);
            let slope: f64 = gradient
                .iter()
                .zip(&direction)
                .map(|(g, d)| f64::from(g * d))
                .sum();
            let step = 2e-4f32;
            let moved = |sign: f32| {
                let mut weights = case.weights.clone();
                let data = &mut weights.get_mut(name).unwrap().data;
                data.iter_mut()
                    .zip(&direction)
                    .for_each(|(w, d)| *w += sign * step * d);
                loss(&net, &weights, &x)
            };
            let difference = (moved(1.0) - moved(-1.0)) / (2.0 * f64::from(step));
            // Rounding of f32 scores (1e-7) over the step (4e-4) leaves about 1e-3.
            let error = (slope - difference).abs();
            assert!(
                error < 4e-3 + 0.02 * difference.abs(),
                "{engine:?}, {name}: gradient {slope}, difference {difference}"
            );
        }
    }
}
