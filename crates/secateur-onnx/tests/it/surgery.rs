//! Removal from every kind of structure: masked equals removed, counted equals
//! written.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_onnx::cost::{CostModel, layer_table};
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::{Dim, Graph};
use secateur_onnx::model::Model;
use secateur_onnx::shape::infer_shapes;
use secateur_onnx::surgery;

use crate::build::{Attr, Net};
use crate::nets::TEMPLATES;
use crate::reference::{self, Array};

/// Relative error between two evaluations in f64 that sum the same terms in another
/// order: some thousand terms at 2^-53 each, with room for cancellation.
const TOLERANCE: f64 = 1e-9;

fn random_masks(groups: &ChannelGroups, rng: &mut ChaCha8Rng) -> Masks {
    let masks = groups.groups.iter().map(|group| {
        let mut flags: Vec<bool> = (0..group.width)
            .map(|_| group.pinned.is_some() || rng.random_bool(0.5))
            .collect();
        let kept = rng.random_range(0..group.width);
        flags[kept] = true;
        flags
    });
    Masks(masks.collect())
}

/// An image for the model; dynamic extents become 2 (batch) or 5.
fn image(graph: &Graph, rng: &mut ChaCha8Rng) -> Array {
    let shape: Vec<usize> = graph.inputs[0]
        .shape
        .iter()
        .enumerate()
        .map(|(axis, dim)| match dim {
            Dim::Fixed(size) => *size,
            _ => [2, 3, 5, 5][axis],
        })
        .collect();
    let data = (0..shape.iter().product())
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    Array::new(shape, data)
}

/// Checks one removal; returns the number of kernels that went.
pub fn check(name: &str, model: &Model, seed: u64) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let graph = Graph::from_model(model).unwrap();
    let groups = ChannelGroups::find(&graph).unwrap();
    let masks = random_masks(&groups, &mut rng);
    let removed =
        surgery::remove(model, &groups, &masks).unwrap_or_else(|error| panic!("{name}: {error}"));
    let removed =
        Model::from_bytes(&removed.to_bytes().unwrap(), model.base_dir.as_deref()).unwrap();
    let small = Graph::from_model(&removed).unwrap();
    let zeroed = surgery::zero_inputs(model, &groups, &masks).unwrap();

    // Outputs agree with the masked network.
    let x = image(&graph, &mut rng);
    let input = graph.inputs[0].name.as_str();
    let masked = reference::run(&Graph::from_model(&zeroed).unwrap(), &[(input, x.clone())]);
    let values = reference::run_all(&small, &[(input, x)]);
    for (output, expected) in small.outputs.iter().zip(&masked) {
        let got = &values[&output.name];
        assert_eq!(
            got.shape, expected.shape,
            "{name}: shape of `{}`",
            output.name
        );
        let scale = expected.data.iter().fold(1.0f64, |m, v| m.max(v.abs()));
        for (a, b) in got.data.iter().zip(&expected.data) {
            assert!((a - b).abs() <= TOLERANCE * scale, "{name}: {a} is not {b}");
        }
    }
    // Inferred shapes are those that values really take.
    for (value, dims) in infer_shapes(&small, None).unwrap() {
        let Some(array) = values.get(&value) else {
            continue;
        };
        assert_eq!(dims.len(), array.shape.len(), "{name}: rank of `{value}`");
        for (dim, &size) in dims.iter().zip(&array.shape) {
            assert!(
                dim.fixed().is_none_or(|d| d == size),
                "{name}: `{value}` {dims:?}"
            );
        }
    }
    // What was counted is what was written.
    let counted = CostModel::new(&graph, &groups).unwrap().count(&masks);
    let own = ChannelGroups::find(&small).unwrap();
    let written = CostModel::new(&small, &own)
        .unwrap()
        .count(&Masks::all_active(&own));
    assert_eq!(counted, written, "{name}");
    masks.0.iter().flatten().filter(|&&active| !active).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn masked_equals_removed(seed in any::<u64>(), a in 1usize..5, b in 1usize..5) {
        for (name, build) in TEMPLATES {
            check(name, &build(seed, a, b), seed);
        }
    }
}

#[test]
fn every_structure_has_something_to_remove() {
    for (name, build) in TEMPLATES {
        let gone: usize = (0..8)
            .map(|seed| check(name, &build(seed, 4, 3), seed))
            .sum();
        assert!(gone > 0, "{name}: nothing can be pruned");
    }
}

/// Widths of the groups that can be pruned, by template: fewer would mean channels that
/// are coupled or pinned without need.
#[test]
fn as_much_can_be_pruned_as_the_structure_allows() {
    let expected: &[(&str, &[usize])] = &[
        ("plain", &[4, 3]),
        ("flattened", &[4, 3]),
        ("residual", &[4, 3, 3]),
        // 4 come through the shortcut, 4 meet its padding.
        ("residual with padded shortcut", &[4, 4]),
        ("dense", &[4, 3, 3, 3]),
        ("inverted bottleneck", &[4, 6]),
        ("grouped", &[5, 4, 10]),
        ("grouped with one output each", &[4, 3]),
        ("split by attribute", &[4, 3]),
        ("slices", &[4, 2, 3]),
        ("squeeze and excite", &[4, 3, 3]),
        ("squeeze and excite through a matrix", &[4, 3]),
        ("u-net", &[4, 3, 4, 3]),
        ("grouped transposed convolution", &[5, 4]),
        ("depthwise transposed convolution", &[4, 3]),
        ("space to depth", &[4, 3]),
        ("channels last", &[4, 3]),
        ("stored transpose", &[4, 3]),
        ("activations", &[4, 3, 4]),
        ("expanded gate", &[4, 3]),
        ("expanded by a computed shape", &[4, 3]),
        ("resized", &[4, 3]),
        ("shared constants", &[4, 3, 3]),
        ("tiled", &[4, 3]),
        ("old attributes", &[4, 3]),
        ("view by computed channels", &[4, 4, 3]),
    ];
    for (name, widths) in expected {
        let (_, build) = TEMPLATES.iter().find(|(own, _)| own == name).unwrap();
        let groups = ChannelGroups::find(&Graph::from_model(&build(1, 4, 3)).unwrap()).unwrap();
        let free = groups.groups.iter().filter(|group| group.pinned.is_none());
        let mut found: Vec<usize> = free.map(|group| group.width).collect();
        let mut widths = widths.to_vec();
        found.sort_unstable();
        widths.sort_unstable();
        assert_eq!(found, widths, "{name}: {:#?}", groups.groups);
    }
}

/// Floats of a file's stored tensors, without the statistics of its batch norms.
fn stored_floats(graph: &Graph) -> u64 {
    let statistics: Vec<&String> = graph
        .nodes
        .iter()
        .filter(|node| node.op_type == "BatchNormalization")
        .flat_map(|node| node.inputs[3..].iter().flatten())
        .collect();
    let stored = graph.initializers.iter();
    stored
        .filter(|(name, tensor)| tensor.is_float() && !statistics.contains(name))
        .map(|(_, tensor)| tensor.len() as u64)
        .sum()
}

#[test]
fn parameters_of_operators_without_a_rule_are_counted() {
    let mut net = Net::new(1, 17);
    let x = net.input(&[1, 3, 4, 4]);
    let x = net.conv_bn_relu(&x, 3, 5, 3);
    let x = net.conv_bn_relu(&x, 5, 4, 3);
    // Read by one node twice, and by another: one tensor.
    let shared = net.weights(&[4, 4]);
    let x = net.node(
        "Einsum",
        &[&x, &shared, &shared],
        &[("equation", Attr::S("nchw,cd,de->nehw"))],
    );
    let kernel = net.weights(&[6, 4, 1, 1]);
    let kernel = net.node("Identity", &[&kernel], &[]);
    let x = net.node("Conv", &[&x, &kernel], &[]);
    let target = net.ints(&[0, 6, 16]);
    let x = net.node("Reshape", &[&x, &target], &[]);
    let (w, r, b) = (
        net.weights(&[1, 12, 16]),
        net.weights(&[1, 12, 3]),
        net.weights(&[1, 24]),
    );
    let size = [("hidden_size", Attr::I(3))];
    let x = net.nodes("LSTM", &[&x, &w, &r, &b], &size, 3).remove(1);
    let x = net.node("Own", &[&x, &shared], &[]);
    net.graph
        .node
        .last_mut()
        .unwrap()
        .set_domain("acme".to_string());
    let model = net.finish(&x);
    let graph = Graph::from_model(&model).unwrap();
    let groups = ChannelGroups::find(&graph).unwrap();
    let cost = CostModel::new(&graph, &groups).unwrap();
    let full = cost.count(&Masks::all_active(&groups));
    let convs = (5 * 3 * 9 + 5) + (4 * 5 * 9 + 4) + 6 * 4;
    let others = 2 * (5 + 4) + 4 * 4 + 12 * 16 + 12 * 3 + 24;
    assert_eq!((full.conv_params, full.params), (convs, convs + others));
    assert_eq!(full.kernels, 5 + 4 + 6);
    assert_eq!(full.params, stored_floats(&graph));
    let by_layer = layer_table(&graph).unwrap();
    let lstm = by_layer.iter().find(|layer| layer.op_type == "LSTM");
    assert_eq!(lstm.unwrap().n_params, 12 * 16 + 12 * 3 + 24);

    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let masks = random_masks(&groups, &mut rng);
    assert!(masks.0.iter().flatten().any(|&active| !active));
    let small = surgery::remove(&model, &groups, &masks).unwrap();
    let small = Graph::from_model(&small).unwrap();
    assert_eq!(cost.count(&masks).params, stored_floats(&small));
}
