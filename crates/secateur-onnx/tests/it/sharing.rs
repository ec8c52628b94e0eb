//! Copies of vectors that layers share, and what stays as it is.

use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::surgery;

use crate::build::{Attr, Net};
use crate::fixtures::{self, FIXTURES};
use crate::message::{edited, proto_of, with_graph};
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
    let model = with_shared_norm(|values| values.fill(1.0));
    assert_eq!(free(&model), [3], "coupled through their norms");
    let apart = model.unshared();
    assert_eq!(free(&apart), [3, 3]);
    let total = |model: &Model| Graph::from_model(model).unwrap().initializers.len();
    assert_eq!(total(&apart), total(&model) + 4);
}

/// The first template with one norm's vectors, changed, in both norms.
fn with_shared_norm(change: impl Fn(&mut [f32])) -> Model {
    with_graph(&TEMPLATES[0].1(1, 3, 3), |graph| {
        let norms: Vec<usize> = (0..graph.node.len())
            .filter(|&i| graph.node[i].op_type() == "BatchNormalization")
            .collect();
        let shared: Vec<String> = graph.node[norms[0]].input[1..].to_vec();
        let stored = graph.initializer.iter_mut();
        for tensor in stored.filter(|tensor| shared.iter().any(|name| name == tensor.name())) {
            let mut values = [0.25, 0.5, 0.75];
            change(&mut values);
            tensor.set_raw_data(values.iter().flat_map(|v| v.to_le_bytes()).collect());
        }
        graph.node[norms[1]].input.splice(1.., shared);
    })
}

/// Two trained vectors are not equal by chance.
#[test]
fn vectors_whose_elements_differ_stay_one() {
    let model = with_shared_norm(|_| ());
    let same = model.unshared();
    assert_eq!(proto_of(&same), proto_of(&model));
    assert_eq!(free(&same), [3]);
}

/// A convolution that is applied twice keeps its bias of zeros; another one with the same zeros
/// gets its own, as do both norms that nothing but their own ones and zeros tells apart.
#[test]
fn layers_that_are_applied_twice_keep_what_they_share() {
    let mut net = Net::new(1, 17);
    let x = net.input(&[-1, 4, 6, 6]);
    let zeros = net.floats(&[4], &[0.0; 4]);
    let ones = net.floats(&[4], &[1.0; 4]);
    let (own, other) = (net.weights(&[4, 4, 1, 1]), net.weights(&[4, 4, 1, 1]));
    let mean = net.weights(&[4]);
    let norms = [
        [&zeros, &ones],
        [&zeros, &ones],
        [&mean, &ones],
        [&mean, &ones],
    ];
    let mut branches = Vec::new();
    for (weights, [mean, variance]) in [&own, &other, &own, &own].into_iter().zip(norms) {
        let y = net.node("Conv", &[&x, weights, &zeros], &[]);
        let inputs = [&y, &ones, &zeros, mean, variance];
        let y = net.node("BatchNormalization", &inputs.map(String::as_str), &[]);
        branches.push(net.relu(&y));
    }
    let branches: Vec<&str> = branches.iter().map(String::as_str).collect();
    let x = net.node("Concat", &branches, &[("axis", Attr::I(1))]);
    let x = net.classify(&x, 16);
    let apart = net.finish(&x).unshared();
    let proto = proto_of(&apart);
    let inputs = |op_type: &str| -> Vec<Vec<String>> {
        let nodes = proto
            .graph
            .node
            .iter()
            .filter(|node| node.op_type() == op_type);
        nodes.map(|node| node.input[1..].to_vec()).collect()
    };
    let convs = inputs("Conv");
    assert_eq!(
        convs[0],
        [own.clone(), zeros.clone()],
        "the first reader keeps the tensor"
    );
    assert_eq!([&convs[2], &convs[3]], [&convs[0], &convs[0]]);
    assert!(convs[1][1] != zeros);
    let norms = inputs("BatchNormalization");
    assert_eq!(norms[2], norms[3], "the mean tells that they are one");
    assert_eq!(norms[2][2], mean);
    let mut vectors: Vec<&String> = norms[..3]
        .iter()
        .flatten()
        .chain([&convs[0][1], &convs[1][1]])
        .collect();
    let count = vectors.len();
    vectors.sort();
    vectors.dedup();
    assert_eq!(vectors.len(), count, "all others have their own");
    assert_eq!(proto_of(&apart.unshared()), proto, "nothing is left to do");
    let gone: usize = (0..6)
        .map(|seed| removal::check("twice", &apart, seed))
        .sum();
    assert!(gone > 0);
}

/// Files of old versions list initialisers among the inputs.
#[test]
fn copies_are_listed_as_their_originals_are() {
    let model = edited(&with_shared_norm(|values| values.fill(1.0)), |proto| {
        proto.set_ir_version(3);
        let graph = proto.graph.mut_or_insert_default();
        for tensor in &graph.initializer {
            let mut listed = graph.input[0].clone();
            listed.set_name(tensor.name().to_string());
            graph.input.push(listed);
        }
    });
    let proto = proto_of(&model.unshared());
    let listed: Vec<&str> = proto.graph.input[1..]
        .iter()
        .map(|input| input.name())
        .collect();
    assert_eq!(listed, stored_names(&model.unshared()));
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
    let bias = net.floats(&[4], &[0.5; 4]);
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

/// What exporters write: a block that is applied twice stays one, whatever its vectors hold. Only
/// the zeros that it shares with another layer are told apart from that layer's own.
#[test]
fn blocks_that_are_applied_twice_stay_one() {
    let mut copied = Vec::new();
    for idea in FIXTURES.iter().map(|fixture| fixture.idea) {
        for (file, model) in fixtures::files(idea) {
            let apart = model.unshared();
            assert_eq!(node_names(&apart), node_names(&model), "{file}");
            let (given, stored) = (stored_names(&model), stored_names(&apart));
            assert_eq!(stored[..given.len()], given, "{file}");
            copied.extend(
                stored[given.len()..]
                    .iter()
                    .map(|name| (idea, name.clone())),
            );
        }
    }
    assert_eq!(copied, [("twice", "other.bias/2".to_string())]);
    let (_, model) = fixtures::files("twice").remove(0);
    assert_eq!(
        free(&model),
        [6, 4],
        "the other layer is coupled through its zeros"
    );
    assert_eq!(free(&model.unshared()), [6, 4, 4]);
}
