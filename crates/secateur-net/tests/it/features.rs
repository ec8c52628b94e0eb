//! What is matched inside of networks besides their outputs.

use std::path::Path;
use std::sync::Arc;

use secateur_net::data::{BatchSampler, InMemory, Part};
use secateur_net::mask::Selection;
use secateur_net::task::{self, Against, LastPooling, TeacherWeight};
use secateur_net::train::{
    Optimizer, OptimizerConfig, OptimizerKind, Original, Reference, Schedule, ScheduleKind, Slice,
    Teacher, predict, train_slice,
};
use secateur_net::weights::Weights;
use secateur_net::{Engine, Interpreter};
use secateur_onnx::coupling::ChannelGroups;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::surgery;

use crate::common::{images, slice};
use crate::fixtures::half;

const SAMPLES: usize = 32;

fn model(idea: &str) -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    Model::read(folder.join(idea).join("dynamo.onnx")).unwrap()
}

fn poolings(idea: &str) -> Vec<LastPooling> {
    let graph = Graph::from_model(&model(idea)).unwrap();
    let outputs: Vec<&str> = graph.outputs.iter().map(|o| o.name.as_str()).collect();
    LastPooling::find(&graph, &outputs).unwrap()
}

#[test]
fn the_last_pooling_is_what_makes_a_row_of_a_map() {
    let check = |idea: &str, expected: &[(&str, Option<&str>)]| {
        let expected: Vec<LastPooling> = expected
            .iter()
            .map(|(map, row)| LastPooling {
                map: (*map).to_string(),
                row: row.map(str::to_string),
            })
            .collect();
        assert_eq!(poolings(idea), expected, "{idea}");
    };
    check("residual", &[("relu_3", Some("mean"))]);
    // Not the gate's own pooling.
    check("se-gate", &[("relu_1", Some("mean_1"))]);
    // A map that is laid flat has a value for each position.
    check("flatten", &[("max_pool2d", None)]);
    // A map is no row.
    check("unet", &[]);
}

/// A network of half of the kernels follows the original where the last pooling reads, and has no
/// more to follow it with than the channels that it kept.
#[test]
fn what_the_last_pooling_reads_comes_nearer_to_the_original() {
    for idea in ["residual", "se-gate"] {
        let model = model(idea);
        let graph = Graph::from_model(&model).unwrap();
        let task = task::find(&graph, Against::Original, None).unwrap();
        let engine = Engine::fused();
        let map = poolings(idea).remove(0).map;
        let planned = |graph: &Graph| {
            let mut names = task.outputs();
            names.push(&map);
            Interpreter::new(graph, &names, &engine).unwrap()
        };
        let weights = Weights::from_graph(&graph).unwrap();
        let network = Arc::new(planned(&graph));
        let original = Arc::new(Original::new(network, &weights).unwrap());
        let shape = original.network().input_shape().unwrap();
        let [c, h, w] = shape;
        let data = InMemory::floats([h, w, c], images(SAMPLES, c * h * w, 3), vec![0; SAMPLES]);
        let part = Part::of(data.unwrap());

        let groups = ChannelGroups::find(&graph).unwrap();
        let masks = half(&groups);
        let removed = surgery::remove(&model, &groups, &masks).unwrap();
        let compact_network = planned(&Graph::from_model(&removed).unwrap());
        let mut compact = Selection::new(&groups, &masks).gather(&weights);

        let features = original
            .features(std::slice::from_ref(&map), &part)
            .unwrap();
        let kept = |value: &str, axis| groups.kept_along(value, axis, &masks);
        let teacher = Teacher {
            reference: Reference::of(&original, &part, usize::MAX).unwrap(),
            weight: TeacherWeight {
                share: 1.0,
                temperature: 2.0,
            },
            features,
        }
        .cut(kept);
        let wanted = original.predict(&part).unwrap().remove(1);
        let wanted = kept(&map, 1).map_or(wanted.clone(), |kept| wanted.select(1, &kept));
        let error = |weights: &Weights| {
            let given = predict(&compact_network, weights, &part).unwrap().remove(1);
            assert_eq!(given.shape, wanted.shape, "{idea}");
            let pairs = given.values.iter().zip(&wanted.values);
            pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
        };
        let before = error(&compact);
        let schedule = Schedule {
            kind: ScheduleKind::Cosine,
            peak: 0.01,
            steps: 40,
        };
        let slice = Slice {
            teacher: Some(&teacher),
            ..slice(&compact_network, task.as_ref(), &part, schedule)
        };
        let mut optimizer = Optimizer::new(OptimizerConfig {
            kind: OptimizerKind::Adamw,
            ..OptimizerConfig::default()
        });
        let mut sampler = BatchSampler::new(SAMPLES, 8, 3);
        train_slice(&slice, &mut compact, &mut optimizer, &mut sampler, &mut ()).unwrap();
        let after = error(&compact);
        assert!(
            after < 0.9 * before,
            "{idea}: {before} before, {after} after"
        );
    }
}
