//! Copies of vectors that layers share, and what stays as it is.

use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::surgery;

use crate::build::{Attr, Net};
use crate::message::{proto_of, with_graph};
use crate::nets::TEMPLATES;
use crate::reference::{self, Array};
use crate::surgery as removal;

/// Widths of the groups that can be pruned.
fn free(model: &Model) -> Vec<usize> {
    let groups = ChannelGroups::find(&Graph::from_model(model).unwrap()).unwrap();
    let free = groups.groups.iter().filter(|g| g.pinned.is_none());
    free.map(|g| g.width).collect()
}

fn node_names(model: &Model) -> Vec<String> {
    let proto = proto_of(model);
    let nodes = proto.graph.node.iter();
    nodes.map(|node| node.name().to_string()).collect()
}

fn stored_names(model: &Model) -> Vec<String> {
    let proto = proto_of(model);
    let stored = proto.graph.initializer.iter();
    stored.map(|tensor| tensor.name().to_string()).collect()
}

#[test]
fn shared_vectors_get_copies() {
    // Both batch norms share all four vectors of one, as exporters write fresh networks; that
    // takes equal widths.
    let model = with_graph(&TEMPLATES[0].1(1, 3, 3), |graph| {
        let norms: Vec<usize> = (0..graph.node.len())
            .filter(|&i| graph.node[i].op_type() == "BatchNormalization")
            .collect();
        let shared: Vec<String> = graph.node[norms[0]].input[1..].to_vec();
        graph.node[norms[1]].input.splice(1.., shared);
    });
    assert_eq!(free(&model), [3], "coupled through their norms");
    let apart = model.unshared();
    assert_eq!(free(&apart), [3, 3]);
    let total = |model: &Model| Graph::from_model(model).unwrap().initializers.len();
    assert_eq!(total(&apart), total(&model) + 4);
}

/// A convolution of 4 channels with a bias of that name.
fn biased(net: &mut Net, x: &str, c_in: usize, bias: &str) -> String {
    let weights = net.weights(&[4, c_in, 1, 1]);
    net.node("Conv", &[x, &weights, bias], &[])
}

#[test]
fn nodes_survive_and_formulas_share_their_numbers() {
    let mut net = Net::new(1, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let bias = net.weights(&[4]);
    let same = net.node("Identity", &[&bias], &[]);
    let again = net.node("Identity", &[&same], &[]);
    let alone = net.weights(&[4]);
    let renamed = net.node("Identity", &[&alone], &[]);
    let half = net.floats(&[1], &[0.5]);
    let scales = net.floats(&[4], &[1.0, 1.0, 2.0, 2.0]);
    let mut x = biased(&mut net, &x, 3, &bias);
    for bias in [&same, &again, &renamed] {
        x = net.relu(&x);
        x = net.node("Mul", &[&x, &half], &[]);
        x = net.node(
            "Resize",
            &[&x, "", &scales],
            &[("mode", Attr::S("nearest"))],
        );
        x = biased(&mut net, &x, 4, bias);
    }
    let x = net.classify(&x, 4);
    let model = net.finish(&x);

    assert_eq!(free(&model), [4, 4], "three are coupled through their bias");
    let apart = model.unshared();
    assert_eq!(free(&apart), [4, 4, 4, 4]);
    assert_eq!(node_names(&apart), node_names(&model));
    let mut stored = stored_names(&model);
    stored.extend([format!("{same}/2"), format!("{again}/2")]);
    assert_eq!(stored_names(&apart), stored);
    let proto = proto_of(&apart);
    let convs = proto.graph.node.iter();
    let biases = convs
        .filter(|node| node.op_type() == "Conv")
        .map(|node| node.input[2].clone());
    assert_eq!(
        biases.collect::<Vec<_>>(),
        [bias, format!("{same}/2"), format!("{again}/2"), alone]
    );
    assert_eq!(proto_of(&apart.unshared()), proto, "nothing is left to do");

    let image = Array::new(vec![1, 3, 2, 2], (0..12).map(f64::from).collect());
    let outputs = |model: &Model| {
        let graph = Graph::from_model(model).unwrap();
        reference::run(&graph, &[("x", image.clone())])
            .into_iter()
            .map(|array| array.data)
            .collect::<Vec<_>>()
    };
    assert_eq!(outputs(&apart), outputs(&model));

    let gone: usize = (0..6)
        .map(|seed| removal::check("apart", &apart, seed))
        .sum();
    assert!(gone > 0);
    let groups = ChannelGroups::find(&Graph::from_model(&apart).unwrap()).unwrap();
    let masks = groups.groups.iter().map(|group| {
        let keep = |kernel| group.pinned.is_some() || kernel > 0;
        (0..group.width).map(keep).collect()
    });
    let cut = surgery::remove(&apart, &groups, &Masks(masks.collect())).unwrap();
    assert_eq!(node_names(&cut), node_names(&model));
}
