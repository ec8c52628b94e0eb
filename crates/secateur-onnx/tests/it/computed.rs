//! Weights that a file computes, stored in place of their computation.

use secateur_onnx::coupling::ChannelGroups;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;

use crate::build::{Attr, Net};
use crate::reference::{self, Array};

/// A network of two convolutions; `weights` makes those of the first from stored ones of
/// `[4, 3, 3, 3]`.
fn computing(weights: impl FnOnce(&mut Net, &str, &str) -> String) -> Model {
    let mut net = Net::new(1, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let stored = net.weights(&[4, 3, 3, 3]);
    let weights = weights(&mut net, &x, &stored);
    let y = net.node(
        "Conv",
        &[&x, &weights],
        &[("pads", Attr::Is(&[1, 1, 1, 1]))],
    );
    let y = net.conv(&y, 4, 5, 3, 1);
    let y = net.classify(&y, 5);
    net.finish(&y)
}

fn outputs(model: &Model) -> Vec<f64> {
    let graph = Graph::from_model(model).unwrap();
    let values = (0..2 * 3 * 6 * 6).map(|i| f64::from(i * 7919 % 101) / 50.0 - 1.0);
    let input = Array {
        shape: vec![2, 3, 6, 6],
        data: values.collect(),
    };
    let name = graph.inputs[0].name.as_str();
    reference::run(&graph, &[(name, input)])[0].data.clone()
}

/// Means over the columns of each kernel, subtracted.
fn centred(net: &mut Net, _: &str, stored: &str) -> String {
    let mean = net.node("ReduceMean", &[stored], &[("axes", Attr::Is(&[1, 2, 3]))]);
    net.node("Sub", &[stored, &mean], &[])
}

#[test]
fn what_is_stored_gives_the_same_outputs_and_frees_the_layer() {
    let model = computing(centred);
    let prepared = model.prepared();
    assert_eq!(prepared.computed_weights().len(), 1);
    for (a, b) in outputs(&model).iter().zip(outputs(&prepared)) {
        assert!((a - b).abs() <= 1e-6 * a.abs().max(1.0), "{a} and {b}");
    }
    let graph = Graph::from_model(&prepared).unwrap();
    let operators: Vec<&str> = graph.nodes.iter().map(|n| n.op_type.as_str()).collect();
    assert!(!operators.contains(&"ReduceMean") && !operators.contains(&"Sub"));
    // The weights that it was computed from are read by nobody any more.
    let of_kernels = graph
        .initializers
        .values()
        .filter(|t| t.shape == [4, 3, 3, 3]);
    assert_eq!(of_kernels.count(), 1);
    let groups = ChannelGroups::find(&graph).unwrap();
    assert!(
        groups
            .groups
            .iter()
            .any(|g| g.width == 4 && g.pinned.is_none())
    );
    assert!(groups.fixed.is_empty());
    assert!(
        prepared.prepared().computed_weights().len() == 1,
        "nothing is left to do"
    );
}

/// The only layer that no group belongs to.
fn fixed(model: &Model) -> (Option<usize>, String) {
    let graph = Graph::from_model(&model.prepared()).unwrap();
    let fixed = ChannelGroups::find(&graph).unwrap().fixed;
    let [layer] = &fixed[..] else {
        panic!("expected one layer, got {fixed:?}");
    };
    assert!(layer.is_conv && layer.node.starts_with("conv"), "{layer:?}");
    (layer.kernels, layer.reason.clone())
}

#[test]
fn layers_without_stored_weights_are_listed_with_the_reason() {
    // `Trilu` makes no weights that are known here.
    let unknown = computing(|net, _, stored| net.node("Trilu", &[stored], &[]));
    let (kernels, reason) = fixed(&unknown);
    assert_eq!(kernels, Some(4));
    assert!(reason.contains("from stored ones"), "{reason}");

    let dynamic = computing(|net, x, stored| {
        let mean = net.node("ReduceMean", &[x], &[("keepdims", Attr::I(0))]);
        net.node("Mul", &[stored, &mean], &[])
    });
    assert!(fixed(&dynamic).1.contains("from the input"));
}

#[test]
fn layers_of_unknown_operators_are_listed() {
    let mut net = Net::new(1, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let y = net.conv(&x, 3, 4, 3, 1);
    net.graph.node[0].set_domain("com.microsoft.nchwc".to_string());
    let y = net.classify(&y, 4);
    let model = net.finish(&y);
    let (_, reason) = fixed(&model);
    assert!(
        reason.contains("com.microsoft.nchwc::Conv") && reason.contains("prune the file as it was"),
        "{reason}"
    );
}
