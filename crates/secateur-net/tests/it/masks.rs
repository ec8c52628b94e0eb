//! Masked equals removed; gather and scatter are inverse.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_net::Inputs;
use secateur_net::mask::Selection;
use secateur_net::task;
use secateur_net::task::Against;
use secateur_net::weights::Weights;
use secateur_net::{Engine, Interpreter};
use secateur_onnx::coupling::Masks;
use secateur_onnx::graph::Graph;
use secateur_onnx::surgery;

use crate::common::{
    Case, images, largest, max_difference, small_mobilenet, small_resnet, small_vgg,
};

/// Relative to the largest score; sums run in another order.
const TOLERANCE: f32 = 1e-4;

/// What a random small net is made from: its kind, widths and seed.
fn recipes() -> impl Strategy<Value = (usize, Vec<usize>, u64)> {
    let widths = proptest::collection::vec(1usize..12, 1..4);
    (0usize..3, widths, 0u64..1000)
}

/// A plain net of these widths, a residual one or one of inverted bottlenecks, and the
/// number of values of an image.
fn case((kind, widths, seed): (usize, Vec<usize>, u64)) -> (Case, usize) {
    match kind {
        0 => {
            let stages: Vec<String> = widths.iter().map(ToString::to_string).collect();
            (small_vgg(&stages.join(",M,"), seed), 2 * 9 * 8)
        }
        1 => (small_resnet(seed), 3 * 9 * 8),
        _ => (small_mobilenet(seed), 3 * 16 * 12),
    }
}

/// Which kernels stay: any, but one a layer at least and all that are pinned.
fn masks(case: &Case, seed: u64) -> Masks {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let groups = case.groups.groups.iter().map(|group| {
        let kept = rng.random_range(0..group.width);
        (0..group.width)
            .map(|k| group.pinned.is_some() || k == kept || rng.random_bool(0.5))
            .collect()
    });
    Masks(groups.collect())
}

fn outputs(graph: &Graph, weights: &Weights, x: &[f32]) -> Vec<f32> {
    let task = task::find(graph, Against::Labels, None).unwrap();
    let net = Interpreter::new(graph, &task.outputs(), &Engine::fused()).unwrap();
    let bound = net.bind_inference(weights).unwrap();
    let outputs = net
        .forward_inference(&bound, Inputs::images(x.to_vec(), 4))
        .unwrap();
    outputs[0].values.clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn masked_equals_removed(recipe in recipes(), seed in 0u64..1000) {
        let (case, pixels) = case(recipe);
        let masks = masks(&case, seed);
        let x = images(4, pixels, seed);
        let full = case.model.with_weights(&case.weights.values()).unwrap();
        let removed = surgery::remove(&full, &case.groups, &masks).unwrap();
        let masked = surgery::zero_inputs(&full, &case.groups, &masks).unwrap();
        let run = |model: &secateur_onnx::model::Model| {
            let graph = Graph::from_model(model).unwrap();
            outputs(&graph, &Weights::from_graph(&graph).unwrap(), &x)
        };
        let (small, big) = (run(&removed), run(&masked));
        let error = max_difference(&small, &big) / largest(&big).max(1e-3);
        prop_assert!(error < TOLERANCE, "{error}");
        // The gathered weights are those of the removed file.
        let gathered = Selection::new(&case.groups, &masks).gather(&case.weights);
        let graph = Graph::from_model(&removed).unwrap();
        prop_assert_eq!(gathered.values(), Weights::from_graph(&graph).unwrap().values());
    }

    #[test]
    fn scatter_after_gather_is_the_identity(recipe in recipes(), seed in 0u64..1000) {
        let (mut case, _) = case(recipe);
        let masks = masks(&case, seed);
        for (i, (_, weight)) in case.weights.iter_mut().enumerate() {
            weight.moment1 = images(1, weight.data.len(), i as u64);
        }
        let selection = Selection::new(&case.groups, &masks);
        let compact = selection.gather(&case.weights);
        let mut back = case.weights.clone();
        selection.scatter(&compact, &mut back);
        prop_assert_eq!(&back, &case.weights);
        // What was trained in the compact network comes back, the rest is untouched.
        let mut trained = compact;
        for (_, weight) in trained.iter_mut() {
            weight.data.iter_mut().for_each(|v| *v += 1.0);
        }
        selection.scatter(&trained, &mut back);
        prop_assert_eq!(selection.gather(&back).values(), trained.values());
        let changed: usize = back
            .iter()
            .zip(case.weights.iter())
            .map(|((_, a), (_, b))| a.data.iter().zip(&b.data).filter(|(a, b)| a != b).count())
            .sum();
        let active: usize = trained.iter().map(|(_, w)| w.data.len()).sum();
        prop_assert_eq!(changed, active);
    }
}
