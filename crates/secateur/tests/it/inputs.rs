//! Files with inputs of every type and shape: compared and timed at the sizes that they have.

use std::path::{Path, PathBuf};
use std::process::Output;

use secateur_onnx::model::{INPUT_SHAPES, Model};

use crate::common::{command, path, run, stderr};
use crate::message::attribute_proto::AttributeType;
use crate::message::{
    AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, with_graph,
};
use crate::no_train::fixture;

const I64: i32 = 7;

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A model made from a fixture, in a folder of its own.
fn changed(idea: &str, change: impl FnOnce(&mut GraphProto)) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.onnx");
    let model = with_graph(&Model::read(fixture(idea)).unwrap(), change);
    model.write(&file).unwrap();
    (folder, file)
}

fn prune(model: &Path, extra: &[&str]) -> (PathBuf, Output) {
    let small = model.with_file_name("small.onnx");
    let args = ["prune", path(model), "--no-train", "-o", path(&small)];
    let output = run(&[&args[..], extra].concat());
    (small, output)
}

fn succeeded(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    stdout(&output) + &stderr(&output)
}

/// As PyTorch exports: the batch of the example in the input and in a reshape.
fn with_fixed_batch(graph: &mut GraphProto) {
    let shape = graph.input[0].type_.as_mut().unwrap().mut_tensor_type();
    shape.shape.as_mut().unwrap().dim[0].set_dim_value(1);
    let stored = &graph.initializer;
    let flatten = graph.node.iter_mut().find(|n| n.op_type() == "Flatten");
    let flatten = flatten.expect("the fixture flattens");
    let flat = flatten.output[0].clone();
    flatten.set_op_type("Reshape".to_string());
    flatten.attribute.clear();
    flatten.input.push("flat_shape".to_string());
    let gemm = graph.node.iter().find(|n| n.input[0] == flat).unwrap();
    let weight = stored.iter().find(|t| t.name() == gemm.input[1]).unwrap();
    let features = *weight.dims.iter().max().unwrap();
    let mut target = TensorProto::new();
    target.set_name("flat_shape".to_string());
    target.set_data_type(I64);
    target.dims = vec![2];
    target.int64_data = vec![1, features];
    graph.initializer.push(target);
}

#[test]
fn a_fixed_batch_is_compared_and_timed_at_that() {
    let (_folder, model) = changed("flatten", with_fixed_batch);
    let (small, done) = prune(&model, &["--budget", "params=0.7"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(stdout(&done).contains("outputs agree"), "{}", stdout(&done));
    let said = succeeded(&["verify", path(&model), path(&small)]);
    assert!(said.contains("inputs input 1x"), "{said}");
    let args = ["bench", path(&model), path(&small), "--rounds", "1"];
    let said = succeeded(&args);
    assert!(
        said.contains("takes batches of 1 alone: not timed at 8, 64"),
        "{said}"
    );
    assert!(said.contains("thread"), "{said}");
    let json = run(&[&args[..], &["--json"]].concat());
    let rows: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let latency = rows[1]["latency"].as_array().unwrap();
    assert_eq!(latency.len(), 1);
    assert_eq!(latency[0]["batch"], 1);
    let inputs = latency[0]["inputs"].as_str().unwrap();
    assert!(inputs.starts_with("input 1x"), "{inputs}");
}

/// A second input of whole numbers that scales the output.
fn with_gain(graph: &mut GraphProto) {
    let mut gain = ValueInfoProto::new();
    gain.set_name("gain".to_string());
    let tensor = gain.type_.mut_or_insert_default().mut_tensor_type();
    tensor.set_elem_type(I64);
    tensor
        .shape
        .mut_or_insert_default()
        .dim
        .resize_with(1, Default::default);
    tensor.shape.as_mut().unwrap().dim[0].set_dim_value(1);
    graph.input.push(gain);
    let output = graph.output[0].name().to_string();
    for name in graph.node.iter_mut().flat_map(|node| &mut node.output) {
        if *name == output {
            *name = "before_gain".to_string();
        }
    }
    let mut to = AttributeProto::new();
    to.set_name("to".to_string());
    to.set_type(AttributeType::INT);
    to.set_i(1);
    let mut node = |op: &str, inputs: &[&str], output: &str| {
        let mut node = NodeProto::new();
        node.set_op_type(op.to_string());
        node.input = inputs.iter().map(ToString::to_string).collect();
        node.output = vec![output.to_string()];
        graph.node.push(node);
    };
    node("Cast", &["gain"], "float_gain");
    node("Mul", &["before_gain", "float_gain"], &output);
    let n = graph.node.len();
    graph.node[n - 2].attribute.push(to);
}

#[test]
fn open_extents_and_several_inputs_are_compared_at_a_size_that_is_told() {
    let (_folder, model) = changed("dynamic-size", with_gain);
    let (small, done) = prune(&model, &["--budget", "params=0.8"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(stderr(&done).contains("count as 224"), "{}", stderr(&done));
    let said = succeeded(&["verify", path(&model), path(&small)]);
    assert!(said.contains("x3x224x224, gain 1"), "{said}");

    // The sizes that were given are left in the file.
    let given = ["--budget", "macs=0.8", "--input-shape", "input=2x3x40x24"];
    let (small, done) = prune(&model, &given);
    assert!(done.status.success(), "{}", stderr(&done));
    let shapes = Model::read(&small).unwrap();
    assert_eq!(shapes.metadata(INPUT_SHAPES), Some("input=2x3x40x24"));
    let said = succeeded(&["verify", path(&model), path(&small)]);
    assert!(said.contains("inputs input 2x3x40x24, gain 1"), "{said}");
    let said = succeeded(&["inspect", path(&small)]);
    assert!(!said.contains("open extents"), "{said}");
    let said = succeeded(&["bench", path(&small), "--batch", "3", "--rounds", "1"]);
    assert!(said.contains("input 3x3x40x24, gain 1"), "{said}");
}

#[test]
fn an_earlier_versions_image_size_is_read() {
    let (_folder, file) = changed("dynamic-size", |_| {});
    let mut model = Model::read(&file).unwrap();
    model.set_metadata("secateur.image_size", "40x24");
    model.write(&file).unwrap();
    let said = succeeded(&["bench", path(&file), "--batch", "1", "--rounds", "1"]);
    assert!(said.contains("input 1x3x40x24"), "{said}");
}

#[test]
fn half_precision_is_compared_by_its_own_tolerance() {
    let (_folder, model) = changed("half", |_| {});
    let (small, done) = prune(&model, &["--budget", "params=0.7"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let said = succeeded(&["verify", path(&model), path(&small)]);
    assert!(said.contains("outputs agree"), "{said}");
    assert!(said.contains("(half precision)"), "{said}");
}

#[test]
fn multiply_adds_follow_from_the_shape_that_is_given() {
    let (_folder, model) = changed("plain", |graph| {
        graph.value_info.clear();
        let input = graph.input[0].type_.as_mut().unwrap().mut_tensor_type();
        input.shape.clear();
    });
    let (_, refused) = prune(&model, &["--budget", "macs=0.7"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(said.contains("`--input-shape`, such as"), "{said}");
    let given = ["--budget", "macs=0.7", "--input-shape", "input=1x3x8x8"];
    let (_, done) = prune(&model, &given);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(stdout(&done).contains("input 1x3x8x8"), "{}", stdout(&done));
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let model = fixture("dynamic-size");
    for (shape, code, expected) in [
        (
            "x=1x3x8x8",
            1,
            "the file has no input `x`, its inputs are `input`",
        ),
        ("input=1x3x8", 1, "expected 4 extents"),
        ("input=1x4x8x8", 1, "expected 3, got 4"),
        ("input", 2, "such as x=1x3x48x320"),
        ("input=1x3x0x8", 2, "such as x=1x3x48x320"),
    ] {
        for args in [
            vec!["inspect", path(&model), "--input-shape", shape],
            vec!["bench", path(&model), "--input-shape", shape],
            vec!["verify", path(&model), path(&model), "--input-shape", shape],
        ] {
            let output = run(&args);
            assert_eq!(output.status.code(), Some(code), "{args:?}");
            let said = stderr(&output);
            assert!(said.contains(expected), "{args:?}: {said}");
        }
        let (small, output) = prune(
            &model,
            &[
                "--budget",
                "params=0.8",
                "--input-shape",
                shape,
                "-o",
                "never.onnx",
            ],
        );
        assert!(!output.status.success() && !small.exists());
    }
}

/// What ORT_DYLIB_PATH names instead of a library.
fn with_library(library: &str, args: &[&str]) -> Output {
    let mut command = command();
    command.env("ORT_DYLIB_PATH", library).args(args);
    command.output().unwrap()
}

#[test]
fn a_library_that_is_none_is_not_used() {
    let model = fixture("plain");
    let args = ["-v", "bench", path(&model), "--batch", "1", "--rounds", "1"];
    for library in ["", "/no/such/libonnxruntime.so", path(&model)] {
        let output = with_library(library, &args);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stdout(&output).contains("latency in tract"), "{library}");
        let said = stderr(&output);
        let unused = "it is not used: cannot use the engine `onnxruntime`";
        assert!(said.contains(unused), "{said}");
    }
}

#[test]
fn what_no_engine_runs_is_told_as_theirs() {
    let (_folder, model) = changed("plain", |graph| {
        let relu = graph.node.iter_mut().find(|n| n.op_type() == "Relu");
        relu.unwrap().set_op_type("Unheard".to_string());
    });
    let output = run(&["bench", path(&model), "--batch", "1", "--rounds", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("no engine at hand runs"), "{said}");
    assert!(said.contains("tract, 1 thread said: "), "{said}");
    assert!(said.contains("nothing against the file"), "{said}");
}

/// A softmax behind everything, as in files that give probabilities.
fn with_softmax(graph: &mut GraphProto) {
    let output = graph.output[0].name().to_string();
    for name in graph.node.iter_mut().flat_map(|node| &mut node.output) {
        if *name == output {
            *name = "scores".to_string();
        }
    }
    let mut node = NodeProto::new();
    node.set_op_type("Softmax".to_string());
    node.input = vec!["scores".to_string()];
    node.output = vec![output];
    graph.node.push(node);
}

/// The file's own output is a probability, which may saturate: the scores in front of it are
/// compared, and the file is as it was.
#[test]
fn outputs_that_saturate_are_compared_in_front() {
    let (_folder, model) = changed("flatten", with_softmax);
    let (small, done) = prune(&model, &["--budget", "params=0.7"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(
        stdout(&done).contains("in front of Softmax"),
        "{}",
        stdout(&done)
    );
    let written = Model::read(&small).unwrap();
    let graph = secateur_onnx::graph::Graph::from_model(&written).unwrap();
    let last = graph.nodes.last().unwrap();
    assert_eq!(last.op_type, "Softmax", "the file keeps its own output");
    assert_eq!(last.outputs[0], graph.outputs[0].name);
}
