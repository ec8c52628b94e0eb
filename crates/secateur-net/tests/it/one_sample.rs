//! Networks that take one sample at a time, although their samples come in batches.

use std::sync::Arc;

use secateur_net::score::{Collector, Score};
use secateur_net::weights::Weights;
use secateur_net::{Engine, Host, HostData, Input, Inputs, Interpreter, Output};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;

use crate::common::{images, largest, max_difference, small_vgg};
use crate::fixtures::files;

const SAMPLES: usize = 3;

fn graph(idea: &str) -> Graph {
    let (_, path) = files().into_iter().find(|(name, _)| name == idea).unwrap();
    Graph::from_model(&Model::read(path).unwrap().prepared()).unwrap()
}

/// Some samples, and each of them by itself.
struct Samples {
    all: Inputs,
    each: Vec<Inputs>,
}

fn of_images(len: usize) -> Samples {
    let values = images(SAMPLES, len, 5);
    let each = values.chunks_exact(len);
    Samples {
        each: each.map(|one| Inputs::images(one.to_vec(), 1)).collect(),
        all: Inputs::images(values, SAMPLES),
    }
}

/// Series `[20, 9]` for a network without an axis for a batch.
fn of_series() -> Samples {
    let values = images(SAMPLES, 180, 5);
    let array = |shape: &[usize], values: &[f32], n: usize| Inputs {
        n,
        values: vec![Input::Array(Host {
            shape: shape.to_vec(),
            data: HostData::Float(values.to_vec()),
        })],
    };
    let each = values.chunks_exact(180);
    Samples {
        each: each.map(|one| array(&[20, 9], one, 1)).collect(),
        all: array(&[SAMPLES, 20, 9], &values, SAMPLES),
    }
}

fn network(graph: &Graph) -> (Interpreter, Weights) {
    let names: Vec<&str> = graph.outputs.iter().map(|o| o.name.as_str()).collect();
    let network = Interpreter::new(graph, &names, &Engine::fused()).unwrap();
    (network, Weights::from_graph(graph).unwrap())
}

fn infer(network: &Interpreter, weights: &Weights, inputs: Inputs) -> Output {
    let bound = network.bind_inference(weights).unwrap();
    network.forward_inference(&bound, inputs).unwrap().remove(0)
}

/// Gradients of the mean square of the outputs, for the parameters in their order, and behind them the
/// significance of the kernels of each layer.
fn gradients(network: &Interpreter, weights: &Weights, inputs: Inputs) -> Vec<Vec<f32>> {
    let bound = network.bind_training(weights);
    let collector = Arc::new(Collector::default());
    let pass = network
        .forward_training(&bound, inputs, Some(collector.clone()))
        .unwrap();
    let output = pass.outputs[0].flat();
    let loss = (output.clone() * output).mean();
    let gradients = pass.backward(&loss).unwrap();
    let of = |name: &String| bound.tensor(name).unwrap().grad(&gradients).unwrap();
    let mut found: Vec<Vec<f32>> = weights
        .iter()
        .map(|(name, _)| of(name).into_data().try_to_vec::<f32>().unwrap())
        .collect();
    let scores = collector.gathered().scores();
    assert!(!scores.is_empty());
    let taylor = scores.values().map(|layer| layer.get(Score::Taylor));
    found.extend(taylor.map(|values| values.iter().map(|&v| v as f32).collect()));
    found
}

/// Samples together give what each gives by itself, and the mean of its gradients and significances.
fn check(graph: &Graph, samples: &Samples, shape: &[usize]) {
    let (network, weights) = network(graph);
    let all = infer(&network, &weights, samples.all.clone());
    assert_eq!(all.shape, shape);
    let together = gradients(&network, &weights, samples.all.clone());
    let mut mean: Vec<Vec<f32>> = together.iter().map(|g| vec![0.0; g.len()]).collect();
    for (at, one) in samples.each.iter().enumerate() {
        let by_itself = infer(&network, &weights, one.clone());
        assert_eq!(all.sample(at), by_itself.values, "sample {at}");
        for (mean, of_one) in mean
            .iter_mut()
            .zip(gradients(&network, &weights, one.clone()))
        {
            for (mean, value) in mean.iter_mut().zip(of_one) {
                *mean += value / SAMPLES as f32;
            }
        }
    }
    for (together, mean) in together.iter().zip(&mean) {
        assert!(largest(mean) > 0.0);
        assert!(max_difference(together, mean) < 1e-5 * largest(mean));
    }
}

#[test]
fn a_batch_that_the_graph_squeezes_away_goes_through_sample_by_sample() {
    check(&graph("one-sample"), &of_images(192), &[SAMPLES, 64, 3]);
}

/// The rows of two samples are twice as many, but not those of each by itself.
#[test]
fn samples_that_would_mix_go_through_one_by_one() {
    let graph = graph("mixed-samples");
    let samples = of_images(192);
    let (network, weights) = network(&graph);
    let all = infer(&network, &weights, samples.all);
    assert!(network.is_fed_one_by_one());
    for (at, one) in samples.each.into_iter().enumerate() {
        assert_eq!(
            all.sample(at),
            infer(&network, &weights, one).values,
            "{at}"
        );
    }
    // What was found holds for the same network with other kernels, in training too.
    let (other, _) = self::network(&graph);
    assert!(other.fed_as(&network).is_fed_one_by_one());
}

#[test]
fn samples_without_an_axis_for_a_batch_are_stacked() {
    check(&graph("no-batch"), &of_series(), &[SAMPLES, 20, 3]);
}

/// A file for one image whose graph keeps the axis takes many at once: its batch norms see all of them.
#[test]
fn a_fixed_batch_that_the_graph_follows_is_run_at_once() {
    let mut case = small_vgg("4,M,5", 1);
    case.graph.inputs[0].shape[0] = secateur_onnx::graph::Dim::Fixed(1);
    let (network, weights) = network(&case.graph);
    let [c, h, w] = network.input_shape().unwrap();
    let bound = network.bind_training(&weights);
    let inputs = of_images(c * h * w).all;
    let pass = network.forward_training(&bound, inputs, None).unwrap();
    let norms = case.graph.nodes.iter();
    let norms = norms.filter(|node| node.op_type == "BatchNormalization");
    assert_eq!(pass.moments.len(), norms.count());
    assert_eq!(pass.outputs[0].dims()[0], SAMPLES);
}
