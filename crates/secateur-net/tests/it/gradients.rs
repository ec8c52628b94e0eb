//! Gradients of the whole network against finite differences.

use burn::tensor::Tensor;
use secateur_net::Inputs;
use secateur_net::weights::{WeightRole, Weights};
use secateur_net::{Engine, Interpreter};

use crate::common::{
    Case, images, loss_of, network, scores_of, small_mobilenet, small_resnet, small_vgg,
};

const LABELS: [u32; 8] = [0, 1, 2, 1, 0, 2, 1, 1];

/// How far a slope may be from the difference: absolutely, and as share of it.
struct Tolerance {
    step: f32,
    absolute: f64,
    relative: f64,
}

/// In f64 from the scores: f32 would drown the differences.
fn loss(scores: &[f32]) -> f64 {
    let rows = scores.chunks_exact(3).zip(LABELS);
    rows.map(|(row, label)| {
        let sum: f64 = row.iter().map(|&z| f64::from(z).exp()).sum();
        sum.ln() - f64::from(row[label as usize])
    })
    .sum::<f64>()
        / 8.0
}

/// Loss, and the gradient of each trained parameter.
fn pass(case: &Case, net: &Interpreter, weights: &Weights, x: &[f32]) -> (f64, Vec<Vec<f32>>) {
    let bound = net.bind_training(weights);
    let pass = net
        .forward_training(&bound, Inputs::images(x.to_vec(), 8), None)
        .unwrap();
    let scores: Vec<f32> = scores_of(&pass);
    let value: Tensor<1> = loss_of(case, &pass, &LABELS, 0.0);
    // Always: a tape that is never played back is never freed.
    let gradients = value.backward();
    let gradients = trained(weights).map(|name| {
        let gradient = bound.tensor(name).unwrap().grad(&gradients).unwrap();
        gradient.into_data().iter().collect()
    });
    (loss(&scores), gradients.collect())
}

fn trained(weights: &Weights) -> impl Iterator<Item = &String> {
    let trained = weights
        .iter()
        .filter(|(_, w)| w.role != WeightRole::Running);
    trained.map(|(name, _)| name)
}

/// The directional derivative along random directions, parameter by parameter:
/// ReLU and max pooling have kinks, so single elements may differ, sums agree.
fn check(case: &Case, engine: &Engine, tolerance: &Tolerance) {
    let len: usize = case.input_shape().iter().product();
    let x = images(8, len, 6);
    let step = tolerance.step;
    let net = network(case, engine);
    let (_, gradients) = pass(case, &net, &case.weights, &x);
    let mut off = Vec::new();
    for (index, (name, gradient)) in trained(&case.weights).zip(gradients).enumerate() {
        let direction = images(1, gradient.len(), 100 + index as u64);
        let slope: f64 = gradient
            .iter()
            .zip(&direction)
            .map(|(g, d)| f64::from(g * d))
            .sum();
        let moved = |sign: f32| {
            let mut weights = case.weights.clone();
            let data = &mut weights.get_mut(name).unwrap().data;
            data.iter_mut()
                .zip(&direction)
                .for_each(|(w, d)| *w += sign * step * d);
            pass(case, &net, &weights, &x).0
        };
        let difference = (moved(1.0) - moved(-1.0)) / (2.0 * f64::from(step));
        let error = (slope - difference).abs();
        if error >= tolerance.absolute + tolerance.relative * difference.abs() {
            off.push(format!("{name}: gradient {slope}, difference {difference}"));
        }
    }
    assert!(off.is_empty(), "{engine:?}: {off:#?}");
}

/// Rounding of f32 scores (1e-7) over the step (4e-4) leaves about 1e-3.
const SHALLOW: Tolerance = Tolerance {
    step: 2e-4,
    absolute: 4e-3,
    relative: 0.02,
};

/// Through dozens of layers scores round by 3e-6: over a step of 3e-3 that leaves 1e-3.
const DEEP: Tolerance = Tolerance {
    step: 1.6e-3,
    absolute: 2e-3,
    relative: 0.02,
};

/// The same net without kinks. In a deep net with norms over few pixels some activation
/// always lies so close to one that a step crosses it; `engines` compares the ReLU.
fn smooth(mut case: Case) -> Case {
    for node in &mut case.graph.nodes {
        if node.op_type == "Relu" {
            node.op_type = "Softplus".to_string();
        }
    }
    case
}

#[test]
fn gradients_of_a_plain_network_match_central_differences() {
    for engine in [&Engine::fused(), &Engine::stock()] {
        check(&small_vgg("4,5,M,6,M", 5), engine, &SHALLOW);
    }
}

#[test]
fn gradients_of_a_residual_network_match_central_differences() {
    check(&smooth(small_resnet(5)), &Engine::fused(), &DEEP);
}

#[test]
fn gradients_of_bottlenecks_match_central_differences() {
    check(&smooth(small_mobilenet(5)), &Engine::fused(), &DEEP);
}
