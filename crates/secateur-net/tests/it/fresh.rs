//! New weights are as those of a network that was never trained, whatever they were.

use secateur_net::fresh::fresh_weights;
use secateur_onnx::arch::{
    MobileNetConfig, ResNetConfig, VggConfig, mobilenet_v2, resnet, vgg_like,
};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::{Attribute, Dim, Model, ModelBuilder};

fn networks() -> [Model; 3] {
    [
        vgg_like(&VggConfig::new([1, 28, 28], 10), 3).unwrap(),
        resnet(&ResNetConfig::new([3, 32, 32], 10), 3).unwrap(),
        mobilenet_v2(&MobileNetConfig::new([3, 32, 32], 10), 3).unwrap(),
    ]
}

fn deviation(values: &[f32]) -> f64 {
    let squares: f64 = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    (squares / values.len() as f64).sqrt()
}

#[test]
fn they_are_as_those_of_built_networks() {
    for model in networks() {
        let built = Graph::from_model(&model).unwrap();
        let mut other = fresh_weights(&built, 1).unwrap();
        // What was there does not matter.
        for values in other.values_mut() {
            values.iter_mut().for_each(|value| *value = 7.0);
        }
        let graph = Graph::from_model(&model.with_weights(&other).unwrap()).unwrap();
        let fresh = fresh_weights(&graph, 1).unwrap();
        assert_eq!(fresh, fresh_weights(&graph, 1).unwrap());
        for (name, new) in &fresh {
            let old = built.initializers[name].as_f32().unwrap();
            if deviation(&old) == 0.0 || old.iter().all(|&value| value == old[0]) {
                assert_eq!(new.as_slice(), &*old, "{name}");
            } else {
                // Each is known to 1 / √(2 n), of which five are never reached by chance.
                let ratio = deviation(new) / deviation(&old);
                let bound = 5.0 / (old.len() as f64).sqrt();
                assert!((ratio - 1.0).abs() < bound, "{name}: {ratio}");
                assert_ne!(new.as_slice(), &*old, "{name}");
            }
        }
        assert_ne!(fresh, fresh_weights(&graph, 2).unwrap());
    }
}

/// A network of one node `op_type` whose second input is a stored matrix of 400 rows and 100 columns, read
/// as it is or transposed.
fn one_matrix(op_type: &str, is_transposed: bool) -> Graph {
    let mut builder = ModelBuilder::new("one");
    builder.input(
        "x",
        &[
            Dim::Named("N".into()),
            Dim::Fixed(if is_transposed { 100 } else { 400 }),
        ],
    );
    builder.floats("w", &[400, 100], &vec![1.0; 40_000]);
    let read = if is_transposed {
        builder.node(
            "Transpose",
            "turn",
            &["w"],
            "turned",
            &[("perm", Attribute::Ints(vec![1, 0]))],
        );
        "turned"
    } else {
        "w"
    };
    builder.node(op_type, "layer", &["x", read], "y", &[]);
    builder.output(
        "y",
        &[
            Dim::Named("N".into()),
            Dim::Fixed(if is_transposed { 400 } else { 100 }),
        ],
    );
    Graph::from_model(&builder.finish()).unwrap()
}

#[test]
fn deviations_follow_what_a_layer_sums() {
    for (op_type, is_transposed, fan_in) in [
        ("MatMul", false, 400),
        ("MatMul", true, 100),
        ("Gemm", false, 400),
    ] {
        let graph = one_matrix(op_type, is_transposed);
        let found = deviation(&fresh_weights(&graph, 0).unwrap()["w"]);
        let expected = (2.0 / f64::from(fan_in)).sqrt();
        assert!((found / expected - 1.0).abs() < 0.02, "{op_type}: {found}");
    }
}
