//! The structural ideas of `fixtures/` in training: halved, trained, scattered back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secateur_net::Inputs;
use secateur_net::data::{BatchSampler, InMemory, Part};
use secateur_net::mask::Selection;
use secateur_net::score::{Collector, LayerScores};
use secateur_net::task::Against;
use secateur_net::task::{self, Targets, Task, TaskKind};
use secateur_net::train::{Optimizer, OptimizerConfig, Schedule, ScheduleKind, train_slice};
use secateur_net::weights::Weights;
use secateur_net::{Engine, Interpreter, Result};
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::surgery;

use crate::common::{differing_scores, images, largest, max_difference, slice};

/// Relative to the largest score; sums run in another order.
const TOLERANCE: f32 = 1e-4;
const IMAGES: usize = 16;

/// What training refuses, and what it says.
const REFUSED: &[(&str, &str)] = &[
    ("branches", "If"),
    ("custom-operator", "Blur"),
    ("dynamic-size", "fixed c, h, w"),
    ("functions", "Swish"),
    ("fused", "FusedConv"),
    ("loop", "Loop"),
    ("mixed-samples", "one row of class scores"),
    ("nested-subgraph", "If"),
    ("no-batch", "images [n, c, h, w]"),
    ("one-sample", "one row of class scores"),
    ("padded-skip", "fixed c, h, w"),
    ("quantised-blocks", "quantised numbers"),
    ("quantised-dynamic", "quantised numbers"),
    ("quantised-operators", "quantised numbers"),
    ("quantised-qdq", "quantised numbers"),
    ("pixel-shuffle", "one row of class scores"),
    ("recurrent", "one row of class scores"),
    ("selection", "one row of class scores"),
    ("suppression", "one output of class scores"),
    ("two-outputs", "one output of class scores"),
    ("unet", "one row of class scores"),
];

pub fn files() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let idea = entry.file_name().to_string_lossy().into_owned();
        for name in ["model.onnx", "dynamo.onnx"] {
            let path = entry.path().join(name);
            if path.exists() {
                files.push((idea.clone(), path));
            }
        }
    }
    files.sort();
    files
}

/// Every second kernel of what can be pruned.
pub fn half(groups: &ChannelGroups) -> Masks {
    let masks = groups.groups.iter().map(|group| {
        (0..group.width)
            .map(|k| group.pinned.is_some() || k % 2 == 0)
            .collect()
    });
    Masks(masks.collect())
}

fn network(graph: &Graph) -> Result<(Interpreter, Arc<dyn Task>)> {
    let task = task::find(graph, Against::Labels, Some(TaskKind::Classify))?;
    let net = Interpreter::new(graph, &task.outputs(), &Engine::fused())?;
    Ok((net, task))
}

fn scores(model: &Model, x: &[f32]) -> Vec<f32> {
    let graph = Graph::from_model(model).unwrap();
    let (net, _) = network(&graph).unwrap();
    let weights = Weights::from_graph(&graph).unwrap();
    let bound = net.bind_inference(&weights).unwrap();
    let outputs = net
        .forward_inference(&bound, Inputs::images(x.to_vec(), IMAGES))
        .unwrap();
    outputs[0].values.clone()
}

/// Trains a few steps.
fn train(net: &Interpreter, task: &dyn Task, weights: &mut Weights, x: &[f32]) {
    let [c, h, w] = net.input_shape().unwrap();
    let n_classes = task.n_classes().unwrap();
    let labels = (0..IMAGES).map(|i| (i % n_classes) as u32).collect();
    let data = Part::of(InMemory::floats([h, w, c], x.to_vec(), labels).unwrap());
    let schedule = Schedule {
        kind: ScheduleKind::Cosine,
        peak: 0.01,
        steps: 4,
    };
    let slice = slice(net, task, &data, schedule);
    let mut optimizer = Optimizer::new(OptimizerConfig::default());
    let mut sampler = BatchSampler::new(IMAGES, 8, 3);
    train_slice(&slice, weights, &mut optimizer, &mut sampler, &mut ()).unwrap();
}

/// The removed network and the full one with zeroed inputs agree, before training and, with
/// what was trained scattered back, after it.
fn check(model: &Model, graph: &Graph) -> Result<(), String> {
    let groups = ChannelGroups::find(graph).unwrap();
    let masks = half(&groups);
    let selection = Selection::new(&groups, &masks);
    let mut full = Weights::from_graph(graph).unwrap();
    let removed = surgery::remove(model, &groups, &masks).unwrap();
    let compact_graph = Graph::from_model(&removed).unwrap();
    let (net, task) = network(&compact_graph).unwrap();
    let mut compact = selection.gather(&full);
    if compact.values() != Weights::from_graph(&compact_graph).unwrap().values() {
        return Err("gathered weights are not those of the removed file".to_string());
    }
    let x = images(IMAGES, net.input_shape().unwrap().iter().product(), 7);
    let agree = |when: &str, full: &Weights, compact: &Weights| {
        let full = model.with_weights(&full.values()).unwrap();
        let masked = surgery::zero_inputs(&full, &groups, &masks).unwrap();
        let small = removed.with_weights(&compact.values()).unwrap();
        let (small, big) = (scores(&small, &x), scores(&masked, &x));
        let error = max_difference(&small, &big) / largest(&big).max(1e-3);
        if error < TOLERANCE {
            Ok(small)
        } else {
            Err(format!("{when}: outputs differ by {error}"))
        }
    };
    let before = agree("before", &full, &compact)?;
    train(&net, task.as_ref(), &mut compact, &x);
    selection.scatter(&compact, &mut full);
    let after = agree("after", &full, &compact)?;
    if max_difference(&before, &after) == 0.0 {
        return Err("training changed nothing".to_string());
    }
    Ok(())
}

/// Single precision through a few layers.
const SCORE_TOLERANCE: f32 = 5e-5;

/// Scores of every layer by one engine.
fn gathered(graph: &Graph, engine: &Engine) -> BTreeMap<String, LayerScores> {
    let task = task::find(graph, Against::Labels, Some(TaskKind::Classify)).unwrap();
    let net = Interpreter::new(graph, &task.outputs(), engine).unwrap();
    let bound = net.bind_training(&Weights::from_graph(graph).unwrap());
    let len = net.input_shape().unwrap().iter().product();
    let n_classes = task.n_classes().unwrap();
    let labels: Vec<u32> = (0..IMAGES).map(|i| (i % n_classes) as u32).collect();
    let collector = Arc::new(Collector::default());
    let x = images(IMAGES, len, 7);
    let pass = net.forward_training(&bound, Inputs::images(x, IMAGES), Some(collector.clone()));
    let pass = pass.unwrap();
    let loss = task.loss(engine, &pass.outputs, &Targets::labels(&labels));
    pass.backward(&loss.unwrap()).unwrap();
    collector.gathered().scores()
}

#[test]
fn both_engines_score_the_same_layers_alike() {
    let mut failures = Vec::new();
    let mut layers = 0;
    for (idea, path) in files() {
        let graph = Graph::from_model(&Model::read(&path).unwrap()).unwrap();
        if REFUSED.iter().any(|(name, _)| *name == idea) {
            continue;
        }
        let fused = gathered(&graph, &Engine::fused());
        let stock = gathered(&graph, &Engine::stock());
        layers += fused.len();
        for problem in differing_scores(&fused, &stock, SCORE_TOLERANCE) {
            failures.push(format!("{}: {problem}", path.display()));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(layers > 100, "{layers}");
}

/// Weights that are stored in another type or order than their layer reads are its own, and are
/// written in the type that they had.
#[test]
fn weights_behind_views_are_trained_as_they_are_stored() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/views/model.onnx");
    let model = Model::read(&path).unwrap();
    let graph = Graph::from_model(&model).unwrap();
    let mut weights = Weights::from_graph(&graph).unwrap();
    let floats = graph
        .initializers
        .iter()
        .filter(|(_, tensor)| tensor.is_float());
    let floats: Vec<&String> = floats.map(|(name, _)| name).collect();
    assert_eq!(weights.iter().count(), floats.len());
    for (_, weight) in weights.iter_mut() {
        weight.data.fill(0.5);
    }
    let written = Graph::from_model(&model.with_weights(&weights.values()).unwrap()).unwrap();
    for name in floats {
        let (before, after) = (&graph.initializers[name], &written.initializers[name]);
        assert_eq!(
            std::mem::discriminant(&before.values),
            std::mem::discriminant(&after.values),
            "{name}"
        );
        let values = after.as_f32().unwrap();
        assert!(values.iter().all(|value| *value == 0.5), "{name}");
    }
}

#[test]
fn halves_train_and_go_back() {
    let mut failures = Vec::new();
    let mut trained = 0;
    for (idea, path) in files() {
        // What nodes mix, a compact network mixes too.
        let model = Model::read(&path).unwrap().with_mixing(true);
        let graph = Graph::from_model(&model).unwrap();
        let refused = REFUSED.iter().find(|(name, _)| *name == idea);
        let outcome = match (network(&graph), refused) {
            (Ok(_), None) => {
                trained += 1;
                check(&model, &graph)
            }
            (Ok(_), Some(_)) => Err("trains now".to_string()),
            (Err(error), Some((_, word))) if error.to_string().contains(word) => Ok(()),
            (Err(error), _) => Err(error.to_string()),
        };
        if let Err(problem) = outcome {
            failures.push(format!("{}: {problem}", path.display()));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(trained > 30, "{trained}");
}
