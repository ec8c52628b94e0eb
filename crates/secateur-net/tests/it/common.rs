//! Small networks and data.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::Arc;

use burn::tensor::Tensor;
use flate2::read::GzDecoder;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_net::data::{Augment, Part};
use secateur_net::interpreter::TrainingPass;
use secateur_net::score::{LayerScores, Score};
use secateur_net::task::Against;
use secateur_net::task::{self, Targets, Task};
use secateur_net::train::{Schedule, Slice};
use secateur_net::weights::Weights;
use secateur_net::{Engine, Interpreter};
use secateur_onnx::arch::{
    MobileNetConfig, ResNetConfig, VggConfig, mobilenet_v2, resnet, vgg_like,
};
use secateur_onnx::coupling::ChannelGroups;
use secateur_onnx::graph::{Graph, Node};
use secateur_onnx::model::{Model, Tensor as Stored};

/// A graph with its inputs and expected outputs by name.
pub struct Packed {
    pub name: String,
    pub graph: Graph,
    pub data: HashMap<String, Stored>,
}

/// The cases of a packed file (`fixtures/make_operator_cases.py`), each prepared by `prepare`.
pub fn unpack(packed: &[u8], prepare: fn(&Model) -> Model) -> Vec<Packed> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    let mut rest = bytes.as_slice();
    let mut next = || {
        let (len, tail) = rest.split_first_chunk::<4>()?;
        let (message, tail) = tail.split_at(u32::from_le_bytes(*len) as usize);
        rest = tail;
        Some(Model::from_bytes(message, None).unwrap())
    };
    let mut cases = Vec::new();
    while let Some(model) = next() {
        let graph = Graph::from_model(&prepare(&model)).unwrap();
        let data = Graph::from_model(&next().unwrap()).unwrap();
        cases.push(Packed {
            name: graph.name.clone(),
            data: data.initializers.into_iter().collect(),
            graph,
        });
    }
    cases
}

#[derive(Clone)]
pub struct Case {
    pub model: Model,
    pub graph: Graph,
    pub groups: ChannelGroups,
    pub weights: Weights,
    pub task: Arc<dyn Task>,
}

impl Case {
    /// `[c, h, w]`
    pub fn input_shape(&self) -> [usize; 3] {
        network(self, &Engine::fused()).input_shape().unwrap()
    }
}

/// A VGG-like net on 2x9x8 images with 3 classes; norms are made uneven, so that nothing cancels.
pub fn small_vgg(widths: &str, seed: u64) -> Case {
    let mut config = VggConfig::new([2, 9, 8], 3);
    config.stages = VggConfig::parse_stages(widths).unwrap();
    config.hidden = vec![6];
    case(vgg_like(&config, seed).unwrap(), seed)
}

/// A residual net of three stages on 3x9x8 images with 3 classes.
pub fn small_resnet(seed: u64) -> Case {
    let mut config = ResNetConfig::new([3, 9, 8], 3);
    (config.blocks, config.width) = (2, 5);
    case(resnet(&config, seed).unwrap(), seed)
}

/// Inverted bottlenecks with depthwise convolutions on 3x16x12 images with 3 classes.
pub fn small_mobilenet(seed: u64) -> Case {
    let mut config = MobileNetConfig::new([3, 16, 12], 3);
    config.width_percent = 20;
    case(mobilenet_v2(&config, seed).unwrap(), seed)
}

/// The model with uneven norms.
pub fn case(model: Model, seed: u64) -> Case {
    let graph = Graph::from_model(&model).unwrap();
    let groups = ChannelGroups::find(&graph).unwrap();
    let mut weights = Weights::from_graph(&graph).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for (name, weight) in weights.iter_mut() {
        if weight.shape.len() == 1 {
            for value in &mut weight.data {
                let noise: f32 = rng.random_range(-0.4..0.4);
                // Variances stay positive.
                *value = if name.ends_with("running_var") {
                    1.0 + noise
                } else {
                    *value + noise
                };
            }
        }
    }
    Case {
        task: task::find(&graph, Against::Labels, None).unwrap(),
        model,
        graph,
        groups,
        weights,
    }
}

pub fn network(case: &Case, engine: &Engine) -> Interpreter {
    Interpreter::new(&case.graph, &case.task.outputs(), engine).unwrap()
}

/// Class scores of a training pass, flat.
pub fn scores_of(pass: &TrainingPass) -> Vec<f32> {
    pass.outputs[0].to_vec()
}

/// Loss of a training pass, by stock operations.
pub fn loss_of(case: &Case, pass: &TrainingPass, labels: &[u32], smoothing: f32) -> Tensor<1> {
    let targets = Targets {
        smoothing,
        ..Targets::labels(labels)
    };
    let loss = case.task.loss(&Engine::stock(), &pass.outputs, &targets);
    loss.unwrap()
}

/// Plain training, without any of the extras.
pub fn slice<'a>(
    network: &'a Interpreter,
    task: &'a dyn Task,
    data: &'a Part,
    schedule: Schedule,
) -> Slice<'a> {
    Slice {
        network,
        task,
        data,
        schedule,
        done: 0,
        smoothing: 0.0,
        augment: Augment::default(),
        teacher: None,
        collector: None,
    }
}

pub fn images(n: usize, len: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n * len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

pub fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

pub fn largest(a: &[f32]) -> f32 {
    a.iter().map(|v| v.abs()).fold(0.0, f32::max)
}

/// The same net as exported for inference: norms folded away, convolutions with bias.
pub fn without_norms(mut case: Case) -> Case {
    let graph = &mut case.graph;
    let norms: Vec<Node> = graph
        .nodes
        .iter()
        .filter(|node| node.op_type == "BatchNormalization")
        .cloned()
        .collect();
    graph
        .nodes
        .retain(|node| node.op_type != "BatchNormalization");
    for norm in norms {
        for node in &mut graph.nodes {
            if Some(&node.outputs[0]) == norm.inputs[0].as_ref() {
                node.inputs.push(norm.inputs[2].clone());
            }
            for input in node.inputs.iter_mut().flatten() {
                if *input == norm.outputs[0] {
                    input.clone_from(norm.inputs[0].as_ref().unwrap());
                }
            }
        }
    }
    case
}

/// Scores that differ by more than `tolerance` of the network's largest: behind an instance
/// norm the true Taylor score is zero, and a layer's own largest is rounding.
pub fn differing_scores(
    a: &BTreeMap<String, LayerScores>,
    b: &BTreeMap<String, LayerScores>,
    tolerance: f32,
) -> Vec<String> {
    assert!(a.keys().eq(b.keys()), "{a:?} and {b:?}");
    let values = |layer: &LayerScores, score: Score| -> Vec<f32> {
        layer.get(score).iter().map(|&v| v as f32).collect()
    };
    let mut off = Vec::new();
    for score in Score::ALL {
        let all: Vec<f32> = b.values().flat_map(|layer| values(layer, score)).collect();
        for (layer, scores) in a {
            let (a, b) = (values(scores, score), values(&b[layer], score));
            assert!(!a.is_empty(), "{layer} has no {score}");
            let error = max_difference(&a, &b) / largest(&all);
            if error >= tolerance {
                off.push(format!("{layer}, {score}: {error}"));
            }
        }
    }
    off
}
