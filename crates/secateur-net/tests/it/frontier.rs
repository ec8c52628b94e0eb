//! Where training ends: which tensors, what is kept for them, and that the part in front trains.

use burn::tensor::Tensor;
use secateur_net::Inputs;
use secateur_net::interpreter::{Frontier, Stop};
use secateur_net::weights::{WeightRole, Weights};
use secateur_net::{Engine, Interpreter, Output};
use secateur_onnx::coupling::ChannelGroups;
use secateur_onnx::graph::{Attribute, Graph, Node};
use secateur_onnx::model::Model;
use secateur_onnx::surgery;

use crate::common::{images, largest, max_difference};
use crate::fixtures::{files, half};

/// Relative to the largest value; sums run in another order.
const TOLERANCE: f32 = 1e-4;
const IMAGES: usize = 4;

/// Fixtures of which nothing can be trained: the first layer already is of a runtime's own
/// operators, or every layer reads quantised numbers.
const NOTHING: &[&str] = &[
    "fused",
    "quantised-dynamic",
    "quantised-operators",
    "quantised-qdq",
];

fn read(idea: &str) -> (Model, Graph) {
    let mut files = files().into_iter();
    let (_, path) = files.find(|(name, _)| name == idea).unwrap();
    let model = Model::read(path).unwrap().prepared();
    let graph = Graph::from_model(&model).unwrap();
    (model, graph)
}

/// Widths of the groups that may go, sorted.
fn free(groups: &ChannelGroups) -> Vec<usize> {
    let free = groups.groups.iter().filter(|group| group.pinned.is_none());
    let mut widths: Vec<usize> = free.map(|group| group.width).collect();
    widths.sort_unstable();
    widths
}

/// The values of the frontier for made-up images.
fn values(graph: &Graph, names: &[&str], x: &[f32]) -> Vec<Output> {
    let net = Interpreter::new(graph, names, &Engine::fused()).unwrap();
    let bound = net.bind_inference(&Weights::from_graph(graph).unwrap());
    net.forward_inference(&bound.unwrap(), Inputs::images(x.to_vec(), IMAGES))
        .unwrap()
}

fn image_len(graph: &Graph, names: &[&str]) -> Option<usize> {
    let net = Interpreter::new(graph, names, &Engine::fused()).unwrap();
    Some(net.input_shape().ok()?.iter().product())
}

#[test]
fn training_ends_where_a_node_stops_it_and_what_lies_behind_stays() {
    // What each tensor ends at, and the widths that may still go.
    type Expected = (
        &'static str,
        &'static [Option<&'static str>],
        &'static [usize],
    );
    const EXPECTED: &[Expected] = &[
        ("custom-operator", &[Some("own.operators::Blur")], &[6]),
        ("loop", &[Some("Loop")], &[6]),
        ("nested-subgraph", &[Some("If")], &[6]),
        ("plain", &[None], &[5, 6]),
        ("selection", &[None], &[4, 5, 6, 7, 8]),
        (
            "suppression",
            &[None, Some("NonMaxSuppression"), Some("NonMaxSuppression")],
            &[4, 5, 6, 7],
        ),
        // Weights that are read on both sides stay, and so does what they read.
        ("two-outputs", &[None, Some("Resize")], &[5, 6]),
    ];
    for (idea, stops, widths) in EXPECTED {
        let (_, graph) = read(idea);
        let frontier = Frontier::find(&graph).unwrap();
        let ends = frontier.ends().iter();
        let found: Vec<Option<&str>> = ends
            .map(|end| Some(end.stop.as_ref()?.op_type.as_str()))
            .collect();
        assert_eq!(found, *stops, "{idea}: {:#?}", frontier.ends());
        assert_eq!(frontier.is_whole(), stops == &[None], "{idea}");
        let groups = ChannelGroups::find_keeping(&graph, &frontier.keeps()).unwrap();
        assert_eq!(free(&groups), *widths, "{idea}: {:#?}", groups.groups);
        let reasons = groups.groups.iter().filter_map(|g| g.pinned.as_ref());
        let told = reasons
            .filter(|pinned| pinned.reason.starts_with("training ends at `"))
            .count();
        let without = ChannelGroups::find(&graph).unwrap();
        assert_eq!(told > 0, free(&without) != *widths, "{idea}");
    }
}

#[test]
fn half_of_the_part_in_front_gives_what_the_masked_one_gives() {
    let (mut ran, mut ended) = (0, 0);
    for (idea, path) in files() {
        let model = Model::read(&path).unwrap().prepared();
        let graph = Graph::from_model(&model).unwrap();
        let frontier = Frontier::find(&graph).unwrap();
        let names = frontier.values();
        assert_eq!(names.is_empty(), NOTHING.contains(&idea.as_str()), "{idea}");
        let Some(len) = image_len(&graph, &names).filter(|_| !names.is_empty()) else {
            continue;
        };
        let groups = ChannelGroups::find_keeping(&graph, &frontier.keeps()).unwrap();
        let masks = half(&groups);
        let small = surgery::remove(&model, &groups, &masks).unwrap();
        let masked = surgery::zero_inputs(&model, &groups, &masks).unwrap();
        let [small, masked] = [small, masked].map(|model| Graph::from_model(&model).unwrap());
        // The part in front ends at the same tensors, and what is stored behind is untouched.
        assert_eq!(Frontier::find(&small).unwrap().values(), names, "{idea}");
        for (name, tensor) in &graph.initializers {
            let is_behind = frontier.keeps().iter().any(|keep| keep.value == *name);
            assert!(!is_behind || small.initializers[name] == *tensor, "{idea}");
        }
        let x = images(IMAGES, len, 7);
        let [full, small, masked] = [&graph, &small, &masked].map(|g| values(g, &names, &x));
        for ((full, small), masked) in full.iter().zip(small).zip(masked) {
            assert_eq!(small.shape, full.shape, "{idea}");
            let error = max_difference(&small.values, &masked.values);
            let error = error / largest(&masked.values).max(1e-3);
            assert!(error < TOLERANCE, "{idea}: {error}");
        }
        ran += 1;
        ended += usize::from(!frontier.is_whole());
    }
    assert!(ran > 40 && ended >= 6, "{ran} ran, {ended} not to the end");
}

#[test]
fn gradients_reach_what_lies_in_front_alone() {
    let (_, graph) = read("two-outputs");
    let frontier = Frontier::find(&graph).unwrap();
    // The weights and the bias that are read on both sides.
    assert_eq!(frontier.shared().len(), 2);
    let mut weights = Weights::from_graph(&graph).unwrap();
    weights.freeze(frontier.shared());
    let names = frontier.values();
    let net = Interpreter::new(&graph, &names, &Engine::fused()).unwrap();
    let bound = net.bind_training(&weights);
    let x = images(IMAGES, image_len(&graph, &names).unwrap(), 3);
    let pass = net
        .forward_training(&bound, Inputs::images(x, IMAGES), None)
        .unwrap();
    let squares = pass.outputs.iter().map(|output| {
        let flat: Tensor<1> = output.reshape(&[output.dims().iter().product()]).tensor();
        flat.powi_scalar(2).mean()
    });
    let loss = squares.reduce(|sum, square| sum + square).unwrap();
    let gradients = pass.backward(&loss).unwrap();
    let behind: Vec<String> = frontier
        .keeps()
        .into_iter()
        .map(|keep| keep.value)
        .collect();
    let mut reached = 0;
    for (name, weight) in weights.iter() {
        let gradient = bound.tensor(name).and_then(|t| t.grad(&gradients));
        let is_trained = weight.role != WeightRole::Running && !behind.contains(name);
        assert_eq!(gradient.is_some(), is_trained, "{name}");
        reached += usize::from(is_trained);
    }
    // Weights and bias of five layers.
    assert_eq!(reached, 10);
}

/// A node of an operator that nobody knows.
fn unknown(name: &str, input: &str, output: &str) -> Node {
    Node {
        name: name.to_string(),
        op_type: "Unheard".to_string(),
        domain: String::new(),
        inputs: vec![Some(input.to_string())],
        outputs: vec![output.to_string()],
        attributes: std::collections::BTreeMap::new(),
        bodies: Vec::new(),
        is_inner: false,
    }
}

fn add_output(graph: &mut Graph, name: &str) {
    let mut output = graph.outputs[0].clone();
    output.name = name.to_string();
    output.has_shape = false;
    graph.outputs.push(output);
}

#[test]
fn a_node_in_front_of_every_layer_is_told_as_that() {
    let (_, mut graph) = read("plain");
    let input = graph.inputs[0].name.clone();
    for node in &mut graph.nodes {
        for name in node.inputs.iter_mut().flatten() {
            if *name == input {
                *name = "prepared".to_string();
            }
        }
    }
    graph
        .nodes
        .insert(0, unknown("prepare", &input, "prepared"));
    let frontier = Frontier::find(&graph).unwrap();
    assert!(frontier.ends().is_empty() && !frontier.is_whole());
    let expected = Stop {
        node: "prepare".to_string(),
        op_type: "Unheard".to_string(),
        reason: "has no training rule".to_string(),
        precedes_layers: true,
    };
    assert_eq!(frontier.stops(), [expected]);
    assert_eq!(frontier.nodes_behind().len(), graph.nodes.len());
}

#[test]
fn a_shape_that_is_read_behind_is_no_end() {
    let (_, mut graph) = read("plain");
    let hidden = graph.nodes[0].outputs[0].clone();
    let mut shape = unknown("extents", &hidden, "extents");
    shape.op_type = "Shape".to_string();
    graph.nodes.push(shape);
    graph.nodes.push(unknown("odd", "extents", "sized"));
    add_output(&mut graph, "sized");
    let frontier = Frontier::find(&graph).unwrap();
    assert_eq!(frontier.values(), [graph.outputs[0].name.as_str()]);
    assert!(frontier.is_whole() && !frontier.is_in_front("sized"));
    assert_eq!(frontier.stops().len(), 1);
    assert!(!frontier.stops()[0].precedes_layers);
}

#[test]
fn an_output_that_training_lacks_leaves_the_others_in_front() {
    let (_, mut graph) = read("plain");
    let hidden = graph.nodes[0].outputs[0].clone();
    let mut pool = unknown("pool", &hidden, "pooled");
    pool.op_type = "MaxPool".to_string();
    pool.outputs.push("places".to_string());
    let window = Attribute::Ints(vec![2, 2]);
    pool.attributes.insert("kernel_shape".to_string(), window);
    graph.nodes.push(pool);
    graph.nodes.push(unknown("odd", "places", "looked up"));
    add_output(&mut graph, "pooled");
    add_output(&mut graph, "looked up");
    let frontier = Frontier::find(&graph).unwrap();
    let output = graph.outputs[0].name.as_str();
    assert_eq!(frontier.values(), [output, "pooled"]);
    assert!(!frontier.is_in_front("places") && frontier.is_in_front("pooled"));
    let reasons: Vec<&str> = frontier.stops().iter().map(|s| s.reason.as_str()).collect();
    let [reason] = reasons[..] else {
        panic!("{reasons:?}")
    };
    assert!(reason.contains("further output `places`"), "{reason}");
    Interpreter::new(&graph, &frontier.values(), &Engine::fused()).unwrap();
}
