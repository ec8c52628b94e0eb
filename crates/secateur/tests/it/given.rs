//! What is said of the given network: constants that are no weights, how far it can be pruned,
//! and whether it knows the data at all.

use std::path::Path;

use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use serde_json::Value;

use crate::common::{MODE, data_dir, net, path, prune, quick_config, run, stderr};
use crate::message::{NodeProto, TensorProto, with_graph};

fn stdout(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn inspected(model: &Path) -> Value {
    serde_json::from_str(&stdout(&["inspect", path(model), "--json"])).unwrap()
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let mut tensor = TensorProto::new();
    tensor.set_name(name.to_string());
    tensor.set_data_type(1);
    tensor.dims = dims.to_vec();
    tensor.set_raw_data(values.iter().flat_map(|v| v.to_le_bytes()).collect());
    tensor
}

pub fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    let mut node = NodeProto::new();
    node.set_op_type(op_type.to_string());
    node.set_name(format!("{output}/node"));
    node.input = inputs.iter().map(ToString::to_string).collect();
    node.output = vec![output.to_string()];
    node
}

/// The trained network with y + relu(max(clip(y), mask) + mask) in place of the first activation
/// y, where the mask is minus infinity throughout: another way to write y.
fn masked(value: f32) -> Model {
    with_graph(&Model::read(net()).unwrap(), |graph| {
        let at = graph.node.iter().position(|n| n.op_type() == "Relu");
        let at = at.unwrap();
        let y = graph.node[at].output[0].clone();
        graph.node[at].output[0] = "activated".to_string();
        let mask = [value; 8];
        graph.initializer.push(floats("mask", &[1, 8, 1, 1], &mask));
        graph.initializer.push(floats("bound", &[], &mask[..1]));
        let nodes = [
            node("Clip", &["activated", "bound"], "clipped"),
            node("Max", &["clipped", "mask"], "largest"),
            node("Add", &["largest", "mask"], "hidden"),
            node("Relu", &["hidden"], "nothing"),
            node("Add", &["activated", "nothing"], &y),
        ];
        graph.node.splice(at + 1..at + 1, nodes);
    })
}

#[test]
fn infinities_outside_of_weights_are_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let given = folder.path().join("masked.onnx");
    masked(f32::NEG_INFINITY).write(&given).unwrap();
    let seen = inspected(&given);
    assert_eq!(
        (&seen["trainable"], &seen["prunable"]),
        (&true.into(), &true.into())
    );
    let of = |model: &Path| {
        let data = data_dir();
        let args = ["eval", path(model), "--data", path(&data), "--json"];
        let value: Value = serde_json::from_str(&stdout(&args)).unwrap();
        value["quality"].as_f64().unwrap()
    };
    assert_eq!(of(&given), of(net()));

    let small = folder.path().join("small.onnx");
    let args = [
        "prune",
        path(&given),
        "--no-train",
        "--budget",
        "params=0.5",
    ];
    let said = stdout(&[&args[..], &["-o", path(&small)]].concat());
    assert!(said.contains("outputs agree"), "{said}");
    let healed = folder.path().join("healed.onnx");
    let done = prune(&given, &quick_config(folder.path(), MODE), &healed);
    assert!(done.status.success(), "{}", stderr(&done));
    let graph = Graph::from_model(&Model::read(&healed).unwrap()).unwrap();
    let mask = graph.initializers["mask"].as_f32().unwrap();
    assert!(
        mask.iter().all(|&value| value == f32::NEG_INFINITY),
        "not trained"
    );

    // Where it is a parameter, NaN is still refused, with the node that reads it.
    masked(f32::NAN).write(&given).unwrap();
    let refused = run(&[&args[..], &["-o", path(&small)]].concat());
    let text = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(
        text.contains("`mask`, which node `largest/node` reads, holds NaN"),
        "{text}"
    );
}

#[test]
fn the_verdict_agrees_with_what_can_be_pruned() {
    let seen = inspected(net());
    let least = seen["limits"]["least"].as_array().unwrap();
    let of = |metric: &str| {
        let entry = least.iter().find(|entry| entry["metric"] == metric);
        entry.unwrap()["remaining"].as_f64().unwrap()
    };
    let said = stdout(&["inspect", path(net())]);
    let last = said.lines().next_back().unwrap();
    assert!(
        last.starts_with("can be trained and pruned, to no less than"),
        "{last}"
    );
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small.onnx");
    for metric in ["params", "macs", "kernels"] {
        let tried = |share: f64| {
            let budget = format!("{metric}={share}");
            let args = ["prune", path(net()), "--no-train", "--budget", &budget];
            run(&[&args[..], &["-o", path(&small)]].concat())
        };
        let least = of(metric);
        assert!(
            last.contains(&format!("{:.2} %", (least * 1e4).ceil() / 1e2)),
            "{last}"
        );
        let refused = tried(least * 0.999);
        let text = stderr(&refused);
        assert!(text.contains(&format!("leaves {least:.4}")), "{text}");
        assert!(tried(least * 1.001).status.success());
    }
}

#[test]
fn a_network_without_anything_to_prune_is_said_to_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let given = folder.path().join("pinned.onnx");
    let pinned = with_graph(&Model::read(net()).unwrap(), |graph| {
        let layers = graph
            .node
            .iter()
            .filter(|n| matches!(n.op_type(), "Conv" | "Gemm"));
        let last = graph.output[0].name().to_string();
        let values: Vec<String> = layers.map(|n| n.output[0].clone()).collect();
        for value in values.into_iter().filter(|value| *value != last) {
            let mut output = graph.output[0].clone();
            output.set_name(value);
            output.type_ = Default::default();
            graph.output.push(output);
        }
    });
    pinned.write(&given).unwrap();
    let said = stdout(&["inspect", path(&given)]);
    let last = said.lines().next_back().unwrap();
    assert!(
        last.contains("nothing can be pruned: every channel group must stay"),
        "{last}"
    );
    assert!(said.contains("must stay: graph output"), "{said}");
    let seen = inspected(&given);
    assert_eq!(seen["prunable"], false);
    assert!(!seen["limits"]["held_by"].as_array().unwrap().is_empty());
}

/// The trained network with its classes moved by one.
#[test]
fn a_network_that_guesses_is_not_pruned_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::read(net()).unwrap();
    let graph = Graph::from_model(&model).unwrap();
    let last = graph
        .nodes
        .iter()
        .rfind(|node| node.op_type == "Gemm")
        .unwrap();
    let moved = [1, 2].map(|slot| {
        let name = last.input(slot).unwrap();
        let mut values = graph.initializers[name].as_f32().unwrap().into_owned();
        let row = values.len() / 10;
        values.rotate_right(row);
        (name.to_string(), values)
    });
    let given = folder.path().join("moved.onnx");
    model
        .with_weights(&moved.into())
        .unwrap()
        .write(&given)
        .unwrap();
    let (config, small) = (
        quick_config(folder.path(), MODE),
        folder.path().join("small.onnx"),
    );
    let refused = prune(&given, &config, &small);
    let text = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    for said in [
        "no better than guessing",
        "normalisation bytes",
        "classes in the order that fits best",
        "`classes.txt`",
        "`--force`",
    ] {
        assert!(text.contains(said), "`{said}` is not in: {text}");
    }
    let best = text.lines().rfind(|line| line.contains("better")).unwrap();
    assert!(
        best.contains("classes in the order that fits best"),
        "{text}"
    );
    assert!(!small.exists() && !folder.path().join("small.onnx.run").exists());

    let data = data_dir();
    let judged = run(&["eval", path(&given), "--data", path(&data)]);
    assert!(judged.status.success());
    assert!(
        stderr(&judged).contains("no better than guessing"),
        "{}",
        stderr(&judged)
    );

    let args = ["prune", path(&given), "--data", path(&data), "--force"];
    let rest = ["--config", path(&config), "-o", path(&small)];
    let forced = run(&[&args[..], &rest].concat());
    assert!(forced.status.success(), "{}", stderr(&forced));
    assert!(small.exists());
}

/// Where training ends is told with the node, and which share lies behind; without training all goes.
#[test]
fn the_verdict_tells_how_far_a_network_can_be_trained() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let model = fixtures.join("custom-operator/model.onnx");
    let seen = inspected(&model);
    let ends = &seen["training_ends"];
    let stops: Vec<&str> = ends["at"]
        .as_array()
        .unwrap()
        .iter()
        .map(|end| end["stop"]["op_type"].as_str().unwrap())
        .collect();
    assert_eq!(stops, ["own.operators::Blur"]);
    assert_eq!(seen["trainable"], true);
    let params = ends["left_out"]["params"].as_f64().unwrap();
    assert!(params > 0.0 && params < 0.5, "{params}");
    let least = |limits: &Value| limits["least"][0]["remaining"].as_f64().unwrap();
    assert!(least(&ends["limits"]) > least(&seen["limits"]), "{seen}");
    let groups = seen["groups"].as_array().unwrap();
    let staying = groups
        .iter()
        .filter(|group| group["stays_in_training"].is_string());
    assert_eq!(staying.count(), 1);

    let said = stdout(&["inspect", path(&model)]);
    let last = said.lines().next_back().unwrap();
    assert!(last.starts_with("can be trained up to `"), "{last}");
    assert!(last.contains("which leaves out"), "{last}");
    assert!(
        said.contains("(own.operators::Blur has no training rule)"),
        "{said}"
    );
    assert!(
        said.contains("can be pruned without training, must stay with it"),
        "{said}"
    );

    // The whole of a network that has no such node.
    assert!(inspected(net())["training_ends"].is_null());
}
