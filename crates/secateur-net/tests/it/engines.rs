//! Fused routines and stock Burn compute the same network.

use std::collections::BTreeMap;
use std::sync::Arc;

use secateur_net::Engine;
use secateur_net::score::{Collector, LayerScores};
use secateur_net::weights::Weights;
use secateur_net::{Inputs, Interpreter};
use secateur_onnx::graph::{Attribute, Node};
use secateur_onnx::model::{Tensor, Values};

use crate::common::{
    Case, differing_scores, images, largest, loss_of, max_difference, network, scores_of,
    small_mobilenet, small_resnet, small_vgg, without_norms,
};

/// Single precision through a few layers; relative to the largest value.
const TOLERANCE: f32 = 2e-5;
/// Through twenty layers and more, each with a batch norm over few pixels.
const DEEP_TOLERANCE: f32 = 5e-4;

const LABELS: [u32; 6] = [0, 1, 2, 1, 0, 2];

/// Inference, training, gradients, statistics and scores of 6 images.
fn check(name: &str, case: &Case, tolerance: f32) {
    let len: usize = case.input_shape().iter().product();
    let x = images(6, len, 5);
    let inference = |engine: &Engine| {
        let net = network(case, engine);
        let bound = net.bind_inference(&case.weights).unwrap();
        let outputs = net
            .forward_inference(&bound, Inputs::images(x.clone(), 6))
            .unwrap();
        outputs[0].values.clone()
    };
    let (fused, stock) = (inference(&Engine::fused()), inference(&Engine::stock()));
    let error = max_difference(&fused, &stock) / largest(&stock);
    assert!(error < tolerance, "{name}, inference: {error}");

    let fused = outcome(case, &Engine::fused());
    let stock = outcome(case, &Engine::stock());
    let error = max_difference(&fused.logits, &stock.logits) / largest(&stock.logits);
    assert!(error < tolerance, "{name}, training: {error}");
    assert!(fused.gradients.keys().eq(stock.gradients.keys()), "{name}");
    let scale = stock.gradients.values().map(|g| largest(g));
    let scale = scale.fold(0.0, f32::max);
    let mut off = Vec::new();
    for (parameter, gradient) in &stock.gradients {
        let error = max_difference(&fused.gradients[parameter], gradient) / scale;
        if error >= tolerance {
            off.push(format!("{parameter}: {error}"));
        }
    }
    assert!(off.is_empty(), "{name}, gradients: {off:#?}");
    for ((parameter, a), (_, b)) in fused.weights.iter().zip(stock.weights.iter()) {
        let error = max_difference(&a.data, &b.data) / largest(&b.data).max(1.0);
        assert!(error < tolerance, "{name}, {parameter} after: {error}");
    }
    let off = differing_scores(&fused.scores, &stock.scores, tolerance);
    assert!(off.is_empty(), "{name}, scores: {off:#?}");
    assert!(fused.scores.len() > 1, "{name}");
}

/// The same net with `by` added to the shifts of all norms.
fn shifted(mut case: Case, by: f32) -> Case {
    for (name, weight) in case.weights.iter_mut() {
        if name.ends_with("bn.bias") {
            weight.data.iter_mut().for_each(|beta| *beta += by);
        }
    }
    case
}

/// Keeps most activations away from the kink of the ReLU: in a deep net some always lie so
/// close that rounding decides, and each one changes all gradients before it.
const FROM_KINKS: f32 = 2.5;

/// The same net with ReLU6, written as exporters do before opset 11 and since.
fn with_relu6(mut case: Case, bounds_are_inputs: bool) -> Case {
    let scalar = |value: f32| Tensor {
        shape: Vec::new(),
        values: Values::F32(vec![value]),
    };
    let graph = &mut case.graph;
    graph.initializers.insert("low".to_string(), scalar(0.0));
    graph.initializers.insert("high".to_string(), scalar(6.0));
    graph.opset = if bounds_are_inputs { 13 } else { 10 };
    let of_conv = |node: &&mut Node| node.op_type == "Relu" && !node.name.starts_with("fc");
    for node in graph.nodes.iter_mut().filter(of_conv) {
        node.op_type = "Clip".to_string();
        if bounds_are_inputs {
            let names = ["low", "high"].map(|name| Some(name.to_string()));
            node.inputs.extend(names);
        } else {
            let bounds = [("min", 0.0), ("max", 6.0)];
            let bounds = bounds.map(|(name, value)| (name.to_string(), Attribute::Float(value)));
            node.attributes.extend(bounds);
        }
    }
    case
}

/// The same net, where what the first ReLU gives, r, goes on as r · sigmoid(r) + r · r + r: it has five
/// readers, two of them in one operation.
fn with_many_readers(mut case: Case) -> Case {
    let nodes = &mut case.graph.nodes;
    let at = nodes
        .iter()
        .position(|node| node.op_type == "Relu")
        .unwrap();
    let r = nodes[at].outputs[0].clone();
    for input in nodes[at + 1..].iter_mut().flat_map(|node| &mut node.inputs) {
        if input.as_ref() == Some(&r) {
            *input = Some("all".to_string());
        }
    }
    let steps = [
        ("Sigmoid", vec![r.as_str()], "gate"),
        ("Mul", vec![&r, "gate"], "gated"),
        ("Mul", vec![&r, &r], "square"),
        ("Add", vec!["gated", "square"], "both"),
        ("Add", vec!["both", &r], "all"),
    ];
    let steps = steps.map(|(op_type, inputs, output)| Node {
        name: output.to_string(),
        op_type: op_type.to_string(),
        inputs: inputs
            .iter()
            .map(|name| Some((*name).to_string()))
            .collect(),
        outputs: vec![output.to_string()],
        ..nodes[at].clone()
    });
    nodes.splice(at + 1..=at, steps);
    case
}

/// The same net with a negation between convolutions and their norms, which then are steps of their own.
fn with_norms_apart(mut case: Case) -> Case {
    let is_norm = |node: &Node| node.op_type == "BatchNormalization";
    let (mut nodes, all) = (Vec::new(), std::mem::take(&mut case.graph.nodes));
    for mut node in all {
        if is_norm(&node) {
            let output = format!("{}/negated", node.name);
            let negation = Node {
                name: output.clone(),
                op_type: "Neg".to_string(),
                inputs: vec![node.inputs[0].replace(output.clone())],
                outputs: vec![output],
                attributes: BTreeMap::default(),
                ..node.clone()
            };
            nodes.push(negation);
        }
        nodes.push(node);
    }
    case.graph.nodes = nodes;
    case
}

/// Lines of the plan that contain `text`.
fn count(case: &Case, text: &str) -> usize {
    let plan = network(case, &Engine::fused()).describe();
    plan.iter().filter(|line| line.contains(text)).count()
}

#[test]
fn plain_networks_agree() {
    for (widths, seed) in [("3,4,M,5,M", 1), ("17,M,33,7", 2), ("1,1", 3)] {
        check(widths, &small_vgg(widths, seed), TOLERANCE);
    }
}

#[test]
fn networks_whose_values_have_many_readers_agree() {
    let case = with_many_readers(shifted(small_vgg("3,4,M,5", 6), FROM_KINKS));
    check("many readers", &case, DEEP_TOLERANCE);
}

#[test]
fn residual_networks_agree() {
    let case = shifted(small_resnet(4), FROM_KINKS);
    check("resnet", &case, DEEP_TOLERANCE);
    // Every sum and every ReLU is part of a convolution.
    assert_eq!(count(&case, "/add`"), 6);
    assert_eq!(count(&case, "fused"), count(&case, "Conv ") + 1);
    let bare = without_norms(shifted(small_resnet(4), FROM_KINKS));
    check("resnet without norms", &bare, DEEP_TOLERANCE);
    assert_eq!(count(&bare, "BatchNorm"), 0);
    assert_eq!(count(&bare, "/add`"), 6);
}

#[test]
fn bottlenecks_agree() {
    let case = shifted(small_mobilenet(5), FROM_KINKS);
    check("mobilenet", &case, DEEP_TOLERANCE);
    assert_eq!(count(&case, "/add`"), 10);
    assert_eq!(count(&case, " depthwise,"), 17);
    // Every bottleneck runs as one in inference: expansion, depthwise, projection.
    assert!(count(&case, "image by image with the next") >= 16);
    check(
        "no norms",
        &without_norms(small_mobilenet(5)),
        DEEP_TOLERANCE,
    );
}

#[test]
fn norms_by_themselves_take_in_the_activation_that_follows() {
    let case = with_norms_apart(small_vgg("5,M,17,9", 8));
    check("norms apart", &case, TOLERANCE);
    assert_eq!(count(&case, "fused [BatchNorm + ReLU]"), 3);
    let case = with_norms_apart(with_relu6(shifted(small_vgg("7,M,9,4", 6), 6.0), true));
    check("norms apart, ReLU6", &case, TOLERANCE);
    assert_eq!(count(&case, "fused [BatchNorm + ReLU6]"), 3);
    let case = with_norms_apart(shifted(small_resnet(4), FROM_KINKS));
    check("norms apart, residual", &case, DEEP_TOLERANCE);
}

#[test]
fn relu6_is_fused_however_it_is_written() {
    for bounds_are_inputs in [true, false] {
        // Between the bounds as often as beyond the upper one.
        let case = shifted(small_vgg("7,M,9,4", 6), 6.0);
        let case = with_relu6(case, bounds_are_inputs);
        assert_eq!(count(&case, "ReLU6"), 3);
        check("ReLU6", &case, TOLERANCE);
        let bare = without_norms(with_relu6(small_resnet(7), bounds_are_inputs));
        assert_eq!(count(&bare, "ReLU6"), 13);
        check("ReLU6 without norms", &bare, DEEP_TOLERANCE);
        let deep = with_relu6(small_mobilenet(6), bounds_are_inputs);
        assert_eq!(count(&deep, "ReLU6"), 35);
    }
}

/// The same net with a copy between every activation and the convolution that reads it.
fn with_copies(mut case: Case) -> Case {
    let is_conv = |node: &Node| node.op_type == "Conv";
    let read: Vec<String> = case
        .graph
        .nodes
        .iter()
        .filter(|node| is_conv(node))
        .skip(1)
        .filter_map(|node| node.input(0).map(str::to_string))
        .collect();
    for name in read {
        let copied = format!("{name}/copied");
        for node in case.graph.nodes.iter_mut().filter(|node| is_conv(node)) {
            if node.input(0) == Some(&name) {
                node.inputs[0] = Some(copied.clone());
            }
        }
        let giver = case
            .graph
            .nodes
            .iter()
            .position(|node| node.outputs[0] == name)
            .unwrap();
        let copy = Node {
            name: copied.clone(),
            op_type: "Identity".to_string(),
            inputs: vec![Some(name)],
            outputs: vec![copied],
            ..case.graph.nodes[giver].clone()
        };
        case.graph.nodes.insert(giver + 1, copy);
    }
    case
}

/// What a training pass gives, as it is.
#[derive(Debug, PartialEq)]
struct Outcome {
    logits: Vec<f32>,
    /// Of kernels, by layer.
    scores: BTreeMap<String, LayerScores>,
    /// By parameter.
    gradients: BTreeMap<String, Vec<f32>>,
    /// With running statistics that have moved.
    weights: Weights,
}

fn outcome(case: &Case, engine: &Engine) -> Outcome {
    outcome_of(case, &network(case, engine))
}

fn outcome_of(case: &Case, net: &Interpreter) -> Outcome {
    let len: usize = case.input_shape().iter().product();
    let bound = net.bind_training(&case.weights);
    let collector = Arc::new(Collector::default());
    let pass = net
        .forward_training(
            &bound,
            Inputs::images(images(6, len, 5), 6),
            Some(Arc::clone(&collector)),
        )
        .unwrap();
    let logits: Vec<f32> = scores_of(&pass);
    let gradients = pass.backward(&loss_of(case, &pass, &LABELS, 0.1)).unwrap();
    let mut weights = case.weights.clone();
    pass.moments.iter().for_each(|m| m.apply(&mut weights));
    let by_name = case.weights.iter().filter_map(|(name, _)| {
        let gradient = bound.tensor(name)?.grad(&gradients)?;
        Some((name.clone(), gradient.into_data().iter().collect()))
    });
    Outcome {
        logits,
        scores: collector.gathered().scores(),
        gradients: by_name.collect(),
        weights,
    }
}

#[test]
fn what_is_computed_twice_for_want_of_memory_is_the_same() {
    for (name, case, tolerance) in [
        ("vgg", small_vgg("5,17,M,9,20,6", 8), TOLERANCE),
        ("resnet", small_resnet(8), DEEP_TOLERANCE),
        ("mobilenet", small_mobilenet(8), DEEP_TOLERANCE),
    ] {
        for engine in [Engine::fused(), Engine::stock()] {
            let whole = network(&case, &engine);
            let expected = outcome_of(&case, &whole);
            assert_eq!(whole.parts(), 1);
            let net = network(&case, &engine.clone().with_memory(1));
            let outcome = outcome_of(&case, &net);
            assert!(net.parts() > 1, "{name}: {} parts", net.parts());
            assert_eq!(outcome.logits, expected.logits, "{name}");
            assert_eq!(outcome.weights, expected.weights, "{name}");
            let off = differing_scores(&outcome.scores, &expected.scores, tolerance);
            assert!(off.is_empty(), "{name}: {off:#?}");
            assert!(
                outcome.gradients.keys().eq(expected.gradients.keys()),
                "{name}"
            );
            for (parameter, gradient) in &expected.gradients {
                // Gradients that meet are summed in another order.
                let error = max_difference(&outcome.gradients[parameter], gradient);
                assert!(
                    error <= 1e-6 * largest(gradient),
                    "{name} {parameter}: {error}"
                );
            }
            let enough = network(&case, &engine.with_memory(1 << 30));
            assert_eq!((outcome_of(&case, &enough), enough.parts()), (expected, 1));
        }
    }
}

#[test]
fn a_norm_left_to_the_next_convolution_changes_nothing() {
    let fused = Engine::fused();
    const LEFT: &str = "the next applies its batch norm";
    const SUMS: &str = "the next sums up for its batch norm";
    for (name, case, left) in [
        // And one that pools before the next.
        ("vgg", small_vgg("5,17,M,9,20,6", 8), 3),
        // The first convolution of each residual block: the other ends in the sum.
        ("resnet", small_resnet(8), 6),
        // The first convolution, 16 expansions, 17 depthwise ones, and the two projections that
        // have no sum behind them.
        ("mobilenet", small_mobilenet(8), 36),
    ] {
        let copied = with_copies(case.clone());
        let pooled = usize::from(name == "vgg");
        assert_eq!(
            (count(&case, SUMS), count(&copied, SUMS)),
            (pooled, 0),
            "{name}"
        );
        assert_eq!(
            (count(&case, LEFT), count(&copied, LEFT)),
            (left, 0),
            "{name}"
        );
        assert_eq!(outcome(&case, &fused), outcome(&copied, &fused), "{name}");
    }
}
