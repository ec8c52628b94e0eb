//! Every operator alone: outputs against those of the ONNX standard and of onnxruntime,
//! gradients against finite differences, by both engines.
//!
//! The cases come from `fixtures/make_operator_cases.py`.

use std::collections::HashMap;

use burn::tensor::{Tensor, TensorData};
use secateur_net::pass::Phase;
use secateur_net::weights::{WeightRole, Weights};
use secateur_net::{Dense, Engine, Host, Interpreter, NetError, Value};
use secateur_onnx::model::{Model, Tensor as Stored};

use crate::common::{Packed as Case, images, unpack};

fn cases() -> Vec<Case> {
    let mut cases = unpack(
        include_bytes!("../fixtures/operator_cases.bin.gz"),
        Model::clone,
    );
    cases.retain(|case| !LEFT_OUT.iter().any(|(part, _)| case.name.contains(part)));
    cases
}

/// Forms that training refuses, and why. Nothing else may be refused.
const REFUSED: &[(&str, &str)] = &[
    ("tf_crop_and_resize", "regions of interest"),
    ("antialias", "smoothing before making smaller"),
];

/// Cases that are left out, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    (
        "training_mode",
        "the node asks for batch statistics; training takes them anyway",
    ),
    ("training_dropout", "dropout has no effect here"),
    (
        "ceil_last_window_starts_on_pad",
        "its expected output has four digits",
    ),
    (
        "test_resize_downsample_scales_linear_align_corners",
        "the standard takes a size of 2.4 pixels here, onnxruntime and we take 2",
    ),
    (
        "test_resize_downsample_scales_cubic_align_corners",
        "as above",
    ),
];

fn is_refused(case: &Case) -> bool {
    let windowed = ["AveragePool", "MaxPool", "Conv", "ConvTranspose", "Resize"];
    windowed.contains(&case.graph.nodes[0].op_type.as_str())
        && REFUSED.iter().any(|(part, _)| case.name.contains(part))
}

/// Operators whose outputs are all computed; further ones of others are statistics and
/// positions, which nothing reads.
const SEVERAL: &[&str] = &["GRU", "LSTM", "RNN", "Split", "TopK"];

/// The outputs that are tested.
fn outputs(case: &Case) -> Vec<&str> {
    let names = case.graph.outputs.iter().map(|o| o.name.as_str());
    let is_several = SEVERAL.contains(&case.graph.nodes[0].op_type.as_str());
    let count = if is_several { usize::MAX } else { 1 };
    names.take(count).collect()
}

/// Plans a case; `None` where training refuses it as expected.
fn plan(case: &Case, engine: &Engine, failures: &mut Vec<String>) -> Option<Interpreter> {
    match (
        Interpreter::new(&case.graph, &outputs(case), engine),
        is_refused(case),
    ) {
        (Ok(program), false) => return Some(program),
        (Ok(_), true) => failures.push(format!("{} is planned", case.name)),
        (Err(NetError::Unsupported { .. }), true) => {}
        (Err(error), _) => failures.push(format!("{}: {error}", case.name)),
    }
    None
}

/// True for computed values without elements, which networks do not have.
fn has_empty(case: &Case) -> bool {
    let stored = case.graph.initializers.values();
    let floats = stored.filter(|t| t.as_f32().is_none() && case.graph.inputs.is_empty());
    let values = case.graph.inputs.iter().chain(&case.graph.outputs);
    values
        .map(|value| &case.data[&value.name])
        .chain(floats)
        .any(Stored::is_empty)
}

/// Single precision, relative to the largest output.
const TOLERANCE: f32 = 2e-5;

#[test]
fn outputs_are_those_of_the_standard() {
    let mut tested = 0;
    let mut failures = Vec::new();
    for case in cases() {
        if has_empty(&case) {
            continue;
        }
        for engine in [Engine::fused(), Engine::stock()] {
            let Some(program) = plan(&case, &engine, &mut failures) else {
                continue;
            };
            let weights = Weights::from_graph(&case.graph).unwrap();
            let bound = program.bind_inference(&weights).unwrap();
            let device = Phase::Inference.device(&engine);
            let pass = program.pass(Phase::Inference, &bound, None);
            let inputs: Vec<(&str, Value)> = case
                .graph
                .inputs
                .iter()
                .map(|input| {
                    let host = Host::from_stored(&case.data[&input.name]).unwrap();
                    (input.name.as_str(), Value::Dense(host.to_device(&device)))
                })
                .collect();
            let names = outputs(&case);
            let outputs = match program.run(&pass, &inputs, &names) {
                Ok(outputs) => outputs,
                Err(error) => {
                    failures.push(format!("{} ({engine:?}): {error}", case.name));
                    continue;
                }
            };
            for (name, output) in names.iter().zip(outputs) {
                let expected = Host::from_stored(&case.data[*name]).unwrap();
                if output.onnx_dims() != expected.shape {
                    failures.push(format!(
                        "{} ({engine:?}): shape {:?}, expected {:?}",
                        case.name,
                        output.onnx_dims(),
                        expected.shape
                    ));
                    continue;
                }
                let got = match output.host() {
                    Some(host) => host.floats(),
                    None => output.dense(&device).to_vec(),
                };
                let expected = expected.floats();
                let scale = expected.iter().filter(|v| v.is_finite());
                let scale = scale.fold(1.0f32, |m, v| m.max(v.abs()));
                let wrong = got.iter().zip(&expected).find(|&(&a, &b)| {
                    let close = (a - b).abs() <= TOLERANCE * scale;
                    a != b && !(a.is_nan() && b.is_nan()) && !close
                });
                if let Some((got, expected)) = wrong {
                    failures.push(format!(
                        "{} ({engine:?}): {got}, expected {expected}",
                        case.name
                    ));
                }
            }
            tested += 1;
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {tested}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(tested > 1000, "{tested} cases");
}

/// Inputs that are moved off kinks (zeros, bounds), and where need be away from zero.
fn smooth(case: &Case, values: &[f32], seed: u64) -> Vec<f32> {
    let positive = ["Log", "Sqrt", "Pow", "ReduceLogSum", "Reciprocal"];
    let op_type = case.graph.nodes[0].op_type.as_str();
    let noise = images(1, values.len(), seed);
    // Large values would drown the differences in rounding.
    let largest = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let scale = 1.0f32.min(2.0 / largest);
    let moved = values.iter().zip(&noise).map(|(v, n)| scale * v + 0.1 * n);
    moved
        .map(|v| match op_type {
            // Defined between -1 and 1, and from 1 on.
            "Acos" | "Asin" | "Atanh" => v.clamp(-0.8, 0.8),
            "Acosh" => v.abs() + 1.2,
            _ if positive.contains(&op_type) => v.abs() + 0.2,
            _ => v,
        })
        .collect()
}

/// Σ output · r over all float outputs, with fixed r, in f64.
fn weighted(values: &[Vec<f32>]) -> f64 {
    let each = values.iter().enumerate().flat_map(|(i, output)| {
        let r = images(1, output.len(), 1000 + i as u64);
        output
            .iter()
            .zip(r)
            .map(|(&y, r)| f64::from(y) * f64::from(r))
            .collect::<Vec<_>>()
    });
    each.sum()
}

/// What is differentiated: inputs by name, and parameters.
type Point = (HashMap<String, Vec<f32>>, Weights);

struct Slopes {
    loss: f64,
    inputs: HashMap<String, Vec<f32>>,
    parameters: HashMap<String, Vec<f32>>,
}

/// The weighted output at a point, with its gradients if wanted. `None` if no output is
/// computed from an input.
fn evaluate(case: &Case, program: &Interpreter, point: &Point, gradients: bool) -> Option<Slopes> {
    let (inputs, weights) = point;
    let device = Phase::Training.device(program.engine());
    let bound = program.bind_training(weights);
    let pass = program.pass(Phase::Training, &bound, None);
    let mut leaves: HashMap<&str, Tensor<1>> = HashMap::new();
    let values: Vec<(&str, Value)> = case
        .graph
        .inputs
        .iter()
        .map(|input| {
            let name = input.name.as_str();
            let data = TensorData::new(inputs[name].clone(), [inputs[name].len()]);
            let leaf = Tensor::<1>::from_data(data, &device).require_grad();
            leaves.insert(name, leaf.clone());
            let dims = &case.data[name].shape;
            (name, Value::Dense(Dense::from_tensor(leaf).reshape(dims)))
        })
        .collect();
    let outputs: Vec<Dense> = program
        .run(&pass, &values, &outputs(case))
        .unwrap()
        .iter()
        .filter(|output| output.host().is_none())
        .map(|output| output.dense(&device))
        .collect();
    let plain: Vec<Vec<f32>> = outputs.iter().map(Dense::to_vec).collect();
    let loss = weighted(&plain);
    let mut slopes = Slopes {
        loss,
        inputs: HashMap::new(),
        parameters: HashMap::new(),
    };
    if outputs.is_empty() {
        return None;
    }
    if gradients {
        let sum = outputs.iter().enumerate().map(|(i, output)| {
            let r = images(1, output.len(), 1000 + i as u64);
            let r = Tensor::<1>::from_data(TensorData::new(r, [output.len()]), &device);
            (output.reshape(&[output.len()]).tensor::<1>() * r).sum()
        });
        let sum: Tensor<1> = sum.reduce(|a, b| a + b)?;
        let found = sum.backward();
        for (name, leaf) in &leaves {
            if let Some(gradient) = leaf.grad(&found) {
                let gradient = gradient.into_data().iter::<f32>().collect();
                slopes.inputs.insert((*name).to_string(), gradient);
            }
        }
        for (name, _) in weights.iter() {
            if let Some(gradient) = bound.tensor(name).and_then(|leaf| leaf.grad(&found)) {
                let gradient = gradient.into_data().iter::<f32>().collect();
                slopes.parameters.insert(name.clone(), gradient);
            }
        }
    }
    Some(slopes)
}

/// Steps have no slope, so there is nothing to compare.
const STEPS: &[&str] = &["Ceil", "Floor", "Round", "Sign"];

/// Central differences are taken over this much to both sides.
const STEP: f32 = 1e-3;

/// Where a gradient and the finite difference disagree at a random point: which, and how.
fn disagreements(
    case: &Case,
    program: &Interpreter,
    seed: u64,
    tested: &mut usize,
) -> Vec<(String, String)> {
    let inputs: HashMap<String, Vec<f32>> = case
        .graph
        .inputs
        .iter()
        .zip(0u64..)
        .map(|(input, i)| {
            let host = Host::from_stored(&case.data[&input.name]).unwrap();
            // Not the same for every input, or equal ones would stay equal.
            let values = smooth(case, &host.floats(), seed + 1_000_000 * i);
            (input.name.clone(), values)
        })
        .collect();
    let point = (inputs, Weights::from_graph(&case.graph).unwrap());
    let Some(slopes) = evaluate(case, program, &point, true) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut check = |name: &str, gradient: Option<&Vec<f32>>, at: &dyn Fn(&[f32]) -> Point| {
        let moved = |direction: &[f32], sign: f32| {
            let by: Vec<f32> = direction.iter().map(|d| sign * STEP * d).collect();
            evaluate(case, program, &at(&by), false).unwrap().loss
        };
        let len = match point.0.get(name) {
            Some(values) => values.len(),
            None => point.1.get(name).unwrap().data.len(),
        };
        let direction = images(1, len, 7 + seed);
        // A value that nothing depends on has no gradient.
        let pairs = gradient.into_iter().flatten().zip(&direction);
        let slope: f64 = pairs.map(|(&g, &d)| f64::from(g) * f64::from(d)).sum();
        let difference =
            (moved(&direction, 1.0) - moved(&direction, -1.0)) / (2.0 * f64::from(STEP));
        // f32 rounding of every output over the step, and the third derivative.
        let agrees = (slope - difference).abs() < 5e-3 + 0.01 * difference.abs();
        if !agrees {
            let text = format!("gradient {slope}, difference {difference}");
            found.push((name.to_string(), text));
        }
        *tested += 1;
    };
    let add = |values: &mut [f32], by: &[f32]| {
        values.iter_mut().zip(by).for_each(|(v, d)| *v += d);
    };
    for input in &case.graph.inputs {
        let name = &input.name;
        check(name, slopes.inputs.get(name), &|by| {
            let mut moved = point.clone();
            add(moved.0.get_mut(name).unwrap(), by);
            moved
        });
    }
    for (name, weight) in point.1.iter() {
        if weight.role == WeightRole::Running {
            continue;
        }
        check(name, slopes.parameters.get(name), &|by| {
            let mut moved = point.clone();
            add(&mut moved.1.get_mut(name).unwrap().data, by);
            moved
        });
    }
    found
}

/// A kink may lie within the step around a point, but not around every point; a wrong
/// gradient is wrong everywhere.
#[test]
fn gradients_are_those_of_finite_differences() {
    const POINTS: u64 = 3;
    let (mut tested, mut failures) = (0, Vec::new());
    for (index, case) in cases().into_iter().enumerate() {
        let mut sizes = case.graph.inputs.iter().map(|i| case.data[&i.name].len());
        let op_type = case.graph.nodes[0].op_type.as_str();
        // At inputs of 10^4 the step is lost in rounding.
        let is_large = case.name.contains("large_number");
        if has_empty(&case) || is_large || STEPS.contains(&op_type) || sizes.any(|n| n > 2500) {
            continue;
        }
        for engine in [Engine::fused(), Engine::stock()] {
            let Some(program) = plan(&case, &engine, &mut failures) else {
                continue;
            };
            let mut wrong: Option<Vec<(String, String)>> = None;
            for attempt in 0..POINTS {
                let seed = index as u64 + 10_000 * attempt;
                let found = disagreements(&case, &program, seed, &mut tested);
                wrong = Some(match wrong {
                    None => found,
                    Some(before) => {
                        let again = |what: &String| found.iter().any(|(other, _)| other == what);
                        before.into_iter().filter(|(what, _)| again(what)).collect()
                    }
                });
                if wrong.as_ref().is_none_or(Vec::is_empty) {
                    break;
                }
            }
            for (what, text) in wrong.into_iter().flatten() {
                failures.push(format!("{} ({engine:?}), {what}: {text}", case.name));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {tested}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(tested > 1000, "{tested} gradients");
}

#[test]
fn an_operator_without_a_rule_is_named_with_its_node_and_opset() {
    let mut case = cases().swap_remove(0);
    case.graph.nodes[0].op_type = "NonMaxSuppression".to_string();
    case.graph.nodes[0].name = "/head/nms".to_string();
    case.graph.opset = 11;
    let output = case.graph.outputs[0].name.clone();
    let error = Interpreter::new(&case.graph, &[&output], &Engine::fused()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot train: node `/head/nms` (NonMaxSuppression, opset 11) has no training rule"
    );
    assert!(error.hint().unwrap().contains("norms of the weights"));
}
