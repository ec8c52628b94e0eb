//! Rows times weights are what the interpreter computes, for every form.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_onnx::graph::{Attribute, Dim, Graph, Node, ValueInfo};
use secateur_onnx::model::{Tensor, Values};

use super::plain::Plain;
use super::sampled::Sampled;
use crate::pass::Phase;
use crate::value::Value;
use crate::weights::Weights;
use crate::{Dense, Engine, Interpreter};

/// Of outputs of size 1.
const TOLERANCE: f32 = 1e-4;

fn numbers(shape: &[usize], seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let len = shape.iter().product();
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn info(name: &str, shape: &[usize]) -> ValueInfo {
    ValueInfo {
        name: name.to_string(),
        shape: shape.iter().copied().map(Dim::Fixed).collect(),
        elem_type: 1,
        has_shape: true,
    }
}

/// A node of input `x` and weights `w` alone.
fn graph(
    op_type: &str,
    inputs: [&str; 2],
    attributes: &[(&str, Attribute)],
    x: &[usize],
    w: &[usize],
) -> Graph {
    let attributes = attributes
        .iter()
        .map(|(name, value)| (name.to_string(), value.clone()));
    let weight = Tensor {
        shape: w.to_vec(),
        values: Values::F32(numbers(w, 1)),
    };
    Graph {
        name: op_type.to_string(),
        opset: 17,
        inputs: vec![info("x", x)],
        outputs: vec![info("y", &[])],
        value_info: HashMap::new(),
        nodes: vec![Node {
            name: "layer".to_string(),
            op_type: op_type.to_string(),
            domain: String::new(),
            inputs: inputs.map(|name| Some(name.to_string())).to_vec(),
            outputs: vec!["y".to_string()],
            attributes: attributes.collect::<BTreeMap<_, _>>(),
            bodies: Vec::new(),
            is_inner: false,
        }],
        initializers: [("w".to_string(), weight)].into_iter().collect(),
        uncut: BTreeSet::new(),
        computed: Vec::new(),
        allow_mixing: false,
        no_batch: false,
    }
}

fn check(
    op_type: &str,
    inputs: [&str; 2],
    attributes: &[(&str, Attribute)],
    x: &[usize],
    w: &[usize],
) {
    let graph = graph(op_type, inputs, attributes, x, w);
    let (layers, unsolved) = super::layers::find(&graph);
    assert!(unsolved.is_empty(), "{op_type}: {unsolved:?}");
    let layer = &layers["layer"];
    let weights = Weights::from_graph(&graph).unwrap();
    let engine = Engine::stock();
    let network = Interpreter::new(&graph, &["y"], &engine).unwrap();
    let values = numbers(x, 2);
    let flat = burn::tensor::Tensor::<1>::from_data(values.as_slice(), engine.device());
    let input = Value::Dense(Dense::from_tensor(flat).reshape(x));
    let bound = network.bind_inference(&weights).unwrap();
    let pass = network.pass(Phase::Inference, &bound, None);
    let y = network.run(&pass, &[("x", input.clone())], &["y"]).unwrap();
    let y = Plain::new(&y[0], engine.device());

    let input = Plain::new(&input, engine.device());
    let extents = layer.form.positions(&input.dims).unwrap();
    let positions: Vec<usize> = (0..extents.iter().product()).collect();
    let c_out = layer.form.c_out(w);
    let sizes = layer.form.extents(w, &input.dims, c_out).unwrap();
    let mut rows = vec![0.0; positions.len() * sizes.groups * sizes.columns];
    layer.form.rows(&input, &positions, &mut rows);
    let sampled = Sampled {
        x: rows,
        rows: positions.len(),
        extents: sizes,
    };
    let found = sampled.outputs(layer, &weights).unwrap();
    let axis = layer.form.channel_axis(y.dims.len()).unwrap();
    let expected = y.channels(&positions, axis);
    assert_eq!(found.len(), expected.len(), "{op_type} {attributes:?}");
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (found - expected).abs() < TOLERANCE,
            "{op_type} {attributes:?}"
        );
    }
}

#[test]
fn convolutions() {
    let ints = |values: &[i64]| Attribute::Ints(values.to_vec());
    let text = |text: &str| Attribute::Text(text.to_string());
    let group = |groups| ("group", Attribute::Int(groups));
    let strides = ("strides", ints(&[2, 1]));
    let pads = ("pads", ints(&[1, 0, 2, 1]));
    let check = |attributes: &[(&str, Attribute)], x: &[usize], w: &[usize]| {
        check("Conv", ["x", "w"], attributes, x, w);
    };
    check(&[], &[2, 3, 7, 6], &[4, 3, 3, 2]);
    check(
        &[strides.clone(), pads.clone()],
        &[2, 3, 7, 6],
        &[4, 3, 3, 2],
    );
    check(
        &[("dilations", ints(&[2, 2])), pads],
        &[2, 3, 8, 7],
        &[4, 3, 3, 2],
    );
    check(
        &[("auto_pad", text("SAME_UPPER")), strides.clone()],
        &[1, 2, 7, 6],
        &[3, 2, 3, 2],
    );
    check(
        &[("auto_pad", text("SAME_LOWER")), strides],
        &[1, 2, 7, 6],
        &[3, 2, 3, 2],
    );
    check(&[group(2)], &[2, 6, 5, 5], &[4, 3, 3, 3]);
    check(&[group(6)], &[2, 6, 5, 5], &[6, 1, 3, 3]);
    check(&[("pads", ints(&[2, 1]))], &[2, 3, 9], &[4, 3, 3]);
}

#[test]
fn transposed_convolutions() {
    let ints = |values: &[i64]| Attribute::Ints(values.to_vec());
    let check = |attributes: &[(&str, Attribute)], x: &[usize], w: &[usize]| {
        check("ConvTranspose", ["x", "w"], attributes, x, w);
    };
    let strides = ("strides", ints(&[2, 3]));
    check(&[], &[2, 3, 4, 5], &[3, 4, 3, 2]);
    check(
        &[strides.clone(), ("pads", ints(&[1, 0, 0, 1]))],
        &[2, 3, 4, 5],
        &[3, 4, 3, 3],
    );
    let more = ("output_padding", ints(&[1, 2]));
    check(&[strides.clone(), more], &[1, 3, 4, 5], &[3, 4, 3, 3]);
    check(
        &[strides, ("output_shape", ints(&[8, 15]))],
        &[1, 3, 4, 5],
        &[3, 4, 3, 3],
    );
    check(
        &[("group", Attribute::Int(2))],
        &[2, 4, 4, 4],
        &[4, 3, 2, 2],
    );
    check(&[("strides", ints(&[2]))], &[2, 3, 6], &[3, 4, 3]);
}

#[test]
fn products() {
    let one = |name| (name, Attribute::Int(1));
    check("Gemm", ["x", "w"], &[], &[5, 3], &[3, 4]);
    check(
        "Gemm",
        ["x", "w"],
        &[one("transB"), ("alpha", Attribute::Float(0.5))],
        &[5, 3],
        &[4, 3],
    );
    check("Gemm", ["x", "w"], &[one("transA")], &[3, 5], &[3, 4]);
    check("MatMul", ["x", "w"], &[], &[2, 5, 3], &[3, 4]);
    check("MatMul", ["w", "x"], &[], &[2, 3, 5], &[4, 3]);
}
