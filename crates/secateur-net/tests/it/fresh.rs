//! New weights are as those of a network that was never trained, whatever they were.

use secateur_net::fresh::fresh_weights;
use secateur_onnx::arch::{
    MobileNetConfig, ResNetConfig, VggConfig, mobilenet_v2, resnet, vgg_like,
};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;

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

/// The hidden layer of a VGG-like network, `[128, 1152]`, read by another operator: as its matrix is stored
/// or transposed.
fn hidden_layer(op_type: &str, is_transposed: bool) -> Graph {
    let mut graph = Graph::from_model(&networks()[0]).unwrap();
    let at = graph
        .nodes
        .iter()
        .position(|node| node.name == "fc1")
        .unwrap();
    let node = &mut graph.nodes[at];
    node.op_type = op_type.to_string();
    node.inputs.truncate(2);
    node.attributes.clear();
    if is_transposed {
        let mut turn = node.clone();
        turn.name = "turn".to_string();
        turn.op_type = "Transpose".to_string();
        turn.inputs = vec![node.inputs[1].clone()];
        turn.outputs = vec!["turned".to_string()];
        node.inputs[1] = Some("turned".to_string());
        graph.nodes.insert(at, turn);
    }
    graph
}

#[test]
fn deviations_follow_what_a_layer_sums() {
    for (op_type, is_transposed, fan_in) in [
        ("MatMul", false, 128),
        ("MatMul", true, 1152),
        ("Gemm", false, 128),
    ] {
        let graph = hidden_layer(op_type, is_transposed);
        assert_eq!(graph.initializers["fc1.weight"].shape, [128, 1152]);
        let found = deviation(&fresh_weights(&graph, 0).unwrap()["fc1.weight"]);
        let expected = (2.0 / f64::from(fan_in)).sqrt();
        // 147,456 values: known to a fifth of a per cent.
        assert!((found / expected - 1.0).abs() < 0.02, "{op_type}: {found}");
    }
}
