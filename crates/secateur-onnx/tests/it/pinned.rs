//! What is not understood stays, with node and reason; the rest can still go.

use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::shape::infer;
use secateur_onnx::surgery;

use crate::build::{Attr, Net};
use crate::message::attribute_proto::AttributeType;
use crate::message::{AttributeProto, GraphProto, NodeProto, ValueInfoProto, with_graph};

fn groups(model: &Model) -> ChannelGroups {
    ChannelGroups::find(&Graph::from_model(model).unwrap()).unwrap()
}

/// Node and reason for the group that the convolution number `index` (from 0) produces;
/// empty if it is free.
fn pin_of_conv(model: &Model, index: usize) -> (String, String) {
    let graph = Graph::from_model(model).unwrap();
    let conv = graph
        .nodes
        .iter()
        .filter(|n| n.op_type == "Conv")
        .nth(index)
        .unwrap();
    let groups = groups(model);
    let mut of_conv = groups.groups.iter();
    let group = of_conv.find(|group| group.producers.contains(&conv.name));
    let group = group.unwrap();
    group
        .pinned
        .clone()
        .map_or_else(Default::default, |pin| (pin.node, pin.reason))
}

/// Two convolutions with `between` after the first.
fn around(between: impl FnOnce(&mut Net, &str) -> String) -> Model {
    let mut net = Net::new(1, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv(&x, 3, 4, 3, 1);
    let x = between(&mut net, &x);
    let x = net.conv(&x, 4, 5, 3, 1);
    let x = net.classify(&x, 5);
    net.finish(&x)
}

#[test]
fn operators_without_a_rule_pin_what_they_touch() {
    // A standard operator without a rule.
    let standard = around(|net, x| net.node("ImageDecoder", &[x], &[]));
    let (node, reason) = pin_of_conv(&standard, 0);
    assert!(
        node.starts_with("imagedecoder") && reason.contains("ImageDecoder"),
        "{node}: {reason}"
    );
    assert_eq!(pin_of_conv(&standard, 1).1, "");

    let custom = around(|net, x| {
        let y = net.node("Relu", &[x], &[]);
        net.graph
            .node
            .last_mut()
            .unwrap()
            .set_domain("acme".to_string());
        y
    });
    let (node, reason) = pin_of_conv(&custom, 0);
    assert!(
        node.starts_with("relu") && reason.contains("acme::Relu"),
        "{node}: {reason}"
    );
    assert_eq!(pin_of_conv(&custom, 1).1, "");
}

/// An `If` between two convolutions whose branches each apply one operator, under equal names.
fn branching(operators: [(&str, &str); 2]) -> Model {
    around(|net, x| {
        let flag = net.floats(&[], &[1.0]);
        let y = net.node("If", &[&flag], &[]);
        let branch = |(domain, op_type): (&str, &str)| {
            let mut inner = NodeProto::new();
            inner.set_op_type(op_type.to_string());
            inner.set_domain(domain.to_string());
            inner.input = vec![x.to_string()];
            inner.output = vec!["inside".to_string()];
            let mut graph = GraphProto::new();
            graph.node.push(inner);
            let mut output = ValueInfoProto::new();
            output.set_name("inside".to_string());
            graph.output.push(output);
            graph
        };
        for (name, operator) in ["then_branch", "else_branch"].into_iter().zip(operators) {
            let mut attribute = AttributeProto::new();
            attribute.set_name(name.to_string());
            attribute.set_type(AttributeType::GRAPH);
            attribute.g = protobuf::MessageField::some(branch(operator));
            net.graph.node.last_mut().unwrap().attribute.push(attribute);
        }
        y
    })
}

#[test]
fn channels_pass_through_branches_that_can_be_followed() {
    let free = branching([("", "Relu"), ("", "Neg")]);
    let graph = Graph::from_model(&free).unwrap();
    let names: Vec<&str> = graph.nodes.iter().map(|n| n.op_type.as_str()).collect();
    assert_eq!(names[..4], ["Conv", "Relu", "Neg", "If"]);
    assert_eq!(pin_of_conv(&free, 0).1, "");
    let groups = groups(&free);
    let conv = groups.groups.iter().position(|group| group.width == 4);
    let mut masks = Masks::all_active(&groups);
    masks.0[conv.unwrap()][1] = false;
    let small = surgery::remove(&free, &groups, &masks).unwrap();
    let small = Graph::from_model(&small).unwrap();
    let columns: Vec<usize> = small
        .initializers
        .values()
        .map(|t| t.shape.get(1).copied().unwrap_or(0))
        .collect();
    assert!(columns.contains(&3), "{columns:?}");

    let custom = branching([("", "Relu"), ("acme", "Relu")]);
    let (node, reason) = pin_of_conv(&custom, 0);
    assert!(
        node.contains("else_branch") && reason.contains("acme::Relu"),
        "{node}: {reason}"
    );
}

#[test]
fn mixing_across_channels_pins_them_and_mixing_pixels_does_not() {
    let softmax =
        |axis: i64| around(move |net, x| net.node("Softmax", &[x], &[("axis", Attr::I(axis))]));
    assert!(pin_of_conv(&softmax(1), 0).1.contains("mixes"));
    assert_eq!(pin_of_conv(&softmax(3), 0).1, "");
    let group_norm = around(|net, x| {
        let (scale, shift) = (net.weights(&[2]), net.weights(&[2]));
        net.node(
            "GroupNormalization",
            &[x, &scale, &shift],
            &[("num_groups", Attr::I(2))],
        )
    });
    assert!(pin_of_conv(&group_norm, 0).1.contains("normalises across"));
    let response = around(|net, x| net.node("LRN", &[x], &[("size", Attr::I(3))]));
    assert!(
        pin_of_conv(&response, 0)
            .1
            .contains("normalises by neighbours")
    );
    let summed = around(|net, x| {
        let sum = net.node("ReduceMean", &[x], &[("axes", Attr::Is(&[1]))]);
        net.node("Mul", &[x, &sum], &[])
    });
    assert!(pin_of_conv(&summed, 0).1.contains("takes a mean"));
}

#[test]
fn outputs_and_computed_weights_are_pinned() {
    let model = with_graph(&around(|_, x| x.to_string()), |graph| {
        let mut output = ValueInfoProto::new();
        output.set_name(graph.node[0].output[0].clone());
        graph.output.push(output);
    });
    assert!(pin_of_conv(&model, 0).1.contains("output of the model"));

    let computed = {
        let mut net = Net::new(1, 17);
        let x = net.input(&[-1, 3, 6, 6]);
        let x = net.conv(&x, 3, 4, 3, 1);
        let kernel = net.weights(&[5, 4, 3, 3]);
        // Standardised weights: not what is stored is used.
        let kernel = net.node("Tanh", &[&kernel], &[]);
        let x = net.node("Conv", &[&x, &kernel], &[]);
        let x = net.classify(&x, 5);
        net.finish(&x)
    };
    assert!(pin_of_conv(&computed, 0).1.contains("computed, not stored"));
}

#[test]
fn weights_used_as_rows_and_as_columns_are_pinned() {
    let mut net = Net::new(1, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv(&x, 3, 4, 3, 1);
    let kernel = net.weights(&[4, 4, 1, 1]);
    let x = net.node("Conv", &[&x, &kernel], &[]);
    let x = net.node("Conv", &[&x, &kernel], &[]);
    let short = net.weights(&[4, 3]);
    let x = net.node("GlobalAveragePool", &[&x], &[]);
    let x = net.node("Flatten", &[&x], &[]);
    // Encoder and decoder share a matrix.
    let code = net.node("MatMul", &[&x, &short], &[]);
    let x = net.node("Gemm", &[&code, &short], &[("transB", Attr::I(1))]);
    let x = net.linear(&x, 4, 3);
    let model = net.finish(&x);
    for group in &groups(&model).groups {
        let reason = group.pinned.as_ref().map_or("", |pin| pin.reason.as_str());
        assert!(!reason.is_empty(), "{group:?}");
    }
}

#[test]
fn extents_that_enter_computations_are_pinned() {
    let model = around(|net, x| {
        // Divided by the square root of the number of channels, read at run time.
        let shape = net.node("Shape", &[x], &[("start", Attr::I(1)), ("end", Attr::I(2))]);
        let count = net.node("Cast", &[&shape], &[("to", Attr::I(1))]);
        let root = net.node("Sqrt", &[&count], &[]);
        net.node("Div", &[x, &root], &[])
    });
    assert!(pin_of_conv(&model, 0).1.contains("number of channels"));
}

#[test]
fn pinned_models_survive_removal_of_the_rest() {
    let model = around(|net, x| net.node("ImageDecoder", &[x], &[]));
    let groups = groups(&model);
    let masks = groups.groups.iter().map(|group| {
        (0..group.width)
            .map(|kernel| group.pinned.is_some() || kernel > 0)
            .collect()
    });
    let masks = Masks(masks.collect());
    let small = surgery::remove(&model, &groups, &masks).unwrap();
    let shapes = |model: &Model| {
        let graph = Graph::from_model(model).unwrap();
        let convs = graph.nodes.iter().filter(|n| n.op_type == "Conv");
        convs
            .map(|n| {
                graph.initializers[n.inputs[1].as_ref().unwrap()]
                    .shape
                    .clone()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(shapes(&model), [[4, 3, 3, 3], [5, 4, 3, 3]]);
    assert_eq!(shapes(&small), [[4, 3, 3, 3], [4, 4, 3, 3]]);
}

/// Joins a value with itself, time after time.
fn doubled(net: &mut Net, x: &str, axis: i64, times: usize) -> String {
    let twice = |x: String, _| net.node("Concat", &[&x, &x], &[("axis", Attr::I(axis))]);
    (0..times).fold(x.to_string(), twice)
}

#[test]
fn what_grows_beyond_every_memory_is_pinned_and_not_followed() {
    // Whatever the number of channels, their mean can be added to the input.
    let add_mean = |net: &mut Net, x: &str, y: &str| {
        let over = [("axes", Attr::Is(&[1, 2, 3])), ("keepdims", Attr::I(1))];
        let mean = net.node("ReduceMean", &[y], &over);
        net.node("Add", &[x, &mean], &[])
    };
    let channels = around(|net, x| {
        let y = doubled(net, x, 1, 60);
        add_mean(net, x, &y)
    });
    let (node, reason) = pin_of_conv(&channels, 0);
    assert!(
        node.starts_with("concat") && reason.contains("more positions than"),
        "{node}: {reason}"
    );
    assert_eq!(pin_of_conv(&channels, 1).1, "");

    let extents = around(|net, x| {
        let shape = net.node("Shape", &[x], &[]);
        let shape = doubled(net, &shape, 0, 60);
        net.node("Reshape", &[x, &shape], &[])
    });
    let reason = pin_of_conv(&extents, 0).1;
    assert!(reason.contains("number of channels"), "{reason}");

    // 2^40 channels of weights without an element.
    let weights = around(|net, x| {
        let weights = net.floats(&[1 << 20, 1 << 20, 0, 0], &[]);
        let repeats = net.ints(&[1, 1 << 18, 1, 1]);
        let wide = net.node("Tile", &[x, &repeats], &[]);
        let groups = [("group", Attr::I(1 << 20))];
        let y = net.node("ConvTranspose", &[&wide, &weights], &groups);
        add_mean(net, x, &y)
    });
    let reason = pin_of_conv(&weights, 0).1;
    assert!(reason.contains("more channels than"), "{reason}");
}

#[test]
fn shapes_with_long_names_are_not_copied_without_end() {
    let model = around(|net, x| {
        let shape = net.node("Shape", &[x], &[]);
        let ones = net.ints(&[1; 4096]);
        let y = net.node("Gather", &[&shape, &ones], &[]);
        let y = net.node("ReduceProd", &[&y], &[]);
        let y = net.node("Cast", &[&y], &[("to", Attr::I(1))]);
        net.node("Mul", &[x, &y], &[])
    });
    let long = with_graph(&model, |graph| {
        let old = graph.node[0].output[0].clone();
        let name = old.repeat(1000);
        graph.node[0].output[0].clone_from(&name);
        let inputs = graph.node.iter_mut().flat_map(|node| &mut node.input);
        for input in inputs.filter(|input| **input == old) {
            input.clone_from(&name);
        }
    });
    let graph = Graph::from_model(&long).unwrap();
    let gathered = graph.nodes.iter().find(|node| node.op_type == "Gather");
    let known = infer(&graph, None).unwrap();
    assert!(!known.values.contains_key(&gathered.unwrap().outputs[0]));
    assert!(pin_of_conv(&long, 0).1.contains("number of channels"));
}
