//! Whole networks as PyTorch's exporters write them: outputs against those of onnxruntime, also
//! for another batch than the file's own, and training; by both engines.
//!
//! The cases come from `fixtures/make_network_cases.py`.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use secateur_net::pass::Phase;
use secateur_net::weights::{WeightRole, Weights};
use secateur_net::{Dense, Engine, Host, HostData, Interpreter, Value};
use secateur_onnx::model::Model;

use crate::common::{Packed, largest, max_difference, unpack};

/// Single precision through a few layers, relative to the largest value.
const TOLERANCE: f32 = 1e-5;

fn cases() -> Vec<Packed> {
    unpack(
        include_bytes!("../fixtures/network_cases.bin.gz"),
        Model::prepared,
    )
}

fn plan(case: &Packed, engine: &Engine) -> Interpreter {
    Interpreter::new(&case.graph, &["y"], engine).unwrap_or_else(|e| panic!("{}: {e}", case.name))
}

/// The stored input so many times over.
fn input(case: &Packed, times: usize, device: &Device) -> Value {
    let x = Host::from_stored(&case.data["x"]).unwrap();
    let mut shape = x.shape.clone();
    shape[0] *= times;
    let at = (0..times).flat_map(|_| 0..x.len());
    let x = x.pick(shape, at);
    match x.data {
        HostData::Int(_) => Value::Host(Arc::new(x)),
        _ => Value::Dense(x.to_device(device)),
    }
}

#[test]
fn outputs_are_those_of_onnxruntime_for_any_batch() {
    for case in cases() {
        let expected = Host::from_stored(&case.data["y"]).unwrap().floats();
        for engine in [Engine::fused(), Engine::stock()] {
            let net = plan(&case, &engine);
            let weights = Weights::from_graph(&case.graph).unwrap();
            let bound = net.bind_inference(&weights).unwrap();
            let device = Phase::Inference.device(&engine);
            let pass = net.pass(Phase::Inference, &bound, None);
            for times in [1, 2] {
                let x = input(&case, times, &device);
                let outputs = net.run(&pass, &[("x", x)], &["y"]);
                let outputs = outputs.unwrap_or_else(|e| panic!("{}, {times}: {e}", case.name));
                let got = outputs[0].dense(&device).to_vec();
                let error = max_difference(&got, &expected.repeat(times)) / largest(&expected);
                assert!(
                    error < TOLERANCE,
                    "{} ({engine:?}), {times}: {error}",
                    case.name
                );
            }
        }
    }
}

/// Loss and gradients of a training pass.
fn pass(case: &Packed, engine: &Engine, weights: &Weights) -> (f32, BTreeMap<String, Vec<f32>>) {
    let net = plan(case, engine);
    let device = Phase::Training.device(engine);
    let bound = net.bind_training(weights);
    let pass = net.pass(Phase::Training, &bound, None);
    let outputs = net
        .run(&pass, &[("x", input(case, 1, &device))], &["y"])
        .unwrap();
    let output: Dense = outputs[0].dense(&device);
    let len = output.len();
    // A value of its own for every position of the last axis.
    let last = *output.dims().last().unwrap();
    let wanted = (0..len).map(|i| (i % last * 37 % 11) as f32 * 0.2 - 1.0);
    let wanted: Vec<f32> = wanted.collect();
    let wanted = Tensor::<1>::from_data(TensorData::new(wanted, [len]), &device);
    let loss = (output.reshape(&[len]).tensor::<1>() - wanted)
        .powi_scalar(2)
        .mean();
    let gradients = loss.backward();
    let trained = weights
        .iter()
        .filter(|(_, w)| w.role != WeightRole::Running);
    let by_name = trained.map(|(name, _)| {
        let gradient = bound.tensor(name).unwrap().grad(&gradients);
        let gradient = gradient.unwrap_or_else(|| panic!("{}: {name} has no gradient", case.name));
        (name.clone(), gradient.into_data().iter().collect())
    });
    let value: f32 = loss.into_scalar();
    (value, by_name.collect())
}

#[test]
fn both_engines_give_the_same_gradients() {
    for case in cases() {
        let weights = Weights::from_graph(&case.graph).unwrap();
        let (fused, gradients) = pass(&case, &Engine::fused(), &weights);
        let (stock, expected) = pass(&case, &Engine::stock(), &weights);
        assert!(
            (fused - stock).abs() < TOLERANCE * stock,
            "{}: {fused}, {stock}",
            case.name
        );
        let scale = expected.values().map(|g| largest(g)).fold(0.0, f32::max);
        for (name, expected) in &expected {
            let error = max_difference(&gradients[name], expected) / scale;
            assert!(error < TOLERANCE, "{}, {name}: {error}", case.name);
        }
    }
}

/// Steps of gradient descent with momentum get more than this much of the loss away, whatever the
/// network.
const LOWERED: f32 = 0.2;

#[test]
fn training_lowers_the_loss() {
    for case in cases() {
        let mut weights = Weights::from_graph(&case.graph).unwrap();
        let mut momentum: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        let (before, _) = pass(&case, &Engine::fused(), &weights);
        for _ in 0..100 {
            let (_, gradients) = pass(&case, &Engine::fused(), &weights);
            for (name, gradient) in gradients {
                let weight = &mut weights.get_mut(&name).unwrap().data;
                let moment = momentum
                    .entry(name)
                    .or_insert_with(|| vec![0.0; gradient.len()]);
                for ((w, g), m) in weight.iter_mut().zip(gradient).zip(moment) {
                    *m = 0.9 * *m + g;
                    *w -= 0.03 * *m;
                }
            }
        }
        let (after, _) = pass(&case, &Engine::fused(), &weights);
        let lowered = 1.0 - after / before;
        assert!(lowered > LOWERED, "{}: {before} to {after}", case.name);
    }
}
