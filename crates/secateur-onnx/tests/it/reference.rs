//! A plain evaluator of ONNX graphs: nested loops over `f64`, nothing fused.
//!
//! It shares no code with the crate's rules, so that an error in a rule shows.
//! Integers and truth values are held as `f64` too (exact up to 2^53).

use std::collections::HashMap;

use secateur_onnx::graph::{Attribute, Graph, Node};
use secateur_onnx::model::{Tensor, Values};

/// A dense array, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Array {
    pub fn new(shape: Vec<usize>, data: Vec<f64>) -> Self {
        assert_eq!(
            shape.iter().product::<usize>(),
            data.len(),
            "shape {shape:?}"
        );
        Self { shape, data }
    }

    fn vector(data: Vec<f64>) -> Self {
        Self::new(vec![data.len()], data)
    }

    fn ints(&self) -> Vec<i64> {
        self.data.iter().map(|&v| v as i64).collect()
    }

    fn strides(&self) -> Vec<usize> {
        strides(&self.shape)
    }

    fn at(&self, index: &[usize]) -> f64 {
        self.data[index
            .iter()
            .zip(self.strides())
            .map(|(i, s)| i * s)
            .sum::<usize>()]
    }

    /// An array of that shape, filled element by element.
    fn build(shape: Vec<usize>, mut value: impl FnMut(&[usize]) -> f64) -> Self {
        let mut data = Vec::with_capacity(shape.iter().product());
        for_each_index(&shape, |index| data.push(value(index)));
        Self::new(shape, data)
    }
}

impl From<&Tensor> for Array {
    fn from(tensor: &Tensor) -> Self {
        let data = match &tensor.values {
            Values::F64(values) => values.clone(),
            Values::Bool(values) => values.iter().map(|&b| f64::from(u8::from(b))).collect(),
            _ => match (tensor.as_f32(), tensor.as_i64()) {
                (Some(values), _) => values.iter().map(|&v| f64::from(v)).collect(),
                (_, Some(values)) => values.iter().map(|&v| v as f64).collect(),
                _ => panic!("unexpected tensor type"),
            },
        };
        Self::new(tensor.shape.clone(), data)
    }
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

fn for_each_index(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    if shape.contains(&0) {
        return;
    }
    let mut index = vec![0; shape.len()];
    loop {
        visit(&index);
        let mut axis = shape.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// Runs `graph`; returns its outputs in order.
pub fn run(graph: &Graph, inputs: &[(&str, Array)]) -> Vec<Array> {
    let values = run_all(graph, inputs);
    graph
        .outputs
        .iter()
        .map(|o| values[&o.name].clone())
        .collect()
}

/// Runs `graph`; returns every value.
pub fn run_all(graph: &Graph, inputs: &[(&str, Array)]) -> HashMap<String, Array> {
    let mut values: HashMap<String, Array> = HashMap::new();
    for (name, tensor) in &graph.initializers {
        values.insert(name.clone(), Array::from(tensor));
    }
    for (name, array) in inputs {
        values.insert((*name).to_string(), array.clone());
    }
    for node in &graph.nodes {
        let inputs: Vec<Option<Array>> = node
            .inputs
            .iter()
            .map(|name| name.as_ref().map(|name| values[name].clone()))
            .collect();
        let outputs = evaluate(node, graph.opset, &inputs);
        for (name, array) in node.outputs.iter().zip(outputs) {
            if !name.is_empty() {
                values.insert(name.clone(), array);
            }
        }
    }
    values
}

fn axis_of(axis: i64, rank: usize) -> usize {
    (if axis < 0 { axis + rank as i64 } else { axis }) as usize
}

/// Integers from an attribute (older opsets) or an input (newer ones).
fn ints_of(node: &Node, inputs: &[Option<Array>], name: &str, slot: usize) -> Option<Vec<i64>> {
    node.attr_ints(name)
        .map(<[i64]>::to_vec)
        .or_else(|| inputs.get(slot).and_then(Option::as_ref).map(Array::ints))
}

fn evaluate(node: &Node, opset: i64, inputs: &[Option<Array>]) -> Vec<Array> {
    let x = || inputs[0].as_ref().unwrap();
    let second = || inputs[1].as_ref().unwrap();
    let map = |f: &dyn Fn(f64) -> f64| {
        vec![Array::new(
            x().shape.clone(),
            x().data.iter().map(|&v| f(v)).collect(),
        )]
    };
    let fold = |f: &dyn Fn(f64, f64) -> f64| {
        let mut result = x().clone();
        for other in inputs[1..].iter().flatten() {
            result = broadcast(&result, other, f);
        }
        vec![result]
    };
    let truth = |b: bool| f64::from(u8::from(b));
    match node.op_type.as_str() {
        "Identity" | "Dropout" => vec![x().clone()],
        "Cast" => match node.attr_i("to", 1) {
            6 | 7 => map(&f64::trunc),
            _ => vec![x().clone()],
        },
        "Relu" => map(&|v| v.max(0.0)),
        "LeakyRelu" => {
            let alpha = f64::from(node.attr_f("alpha", 0.01));
            map(&|v| if v < 0.0 { alpha * v } else { v })
        }
        "Sigmoid" => map(&|v| 1.0 / (1.0 + (-v).exp())),
        "HardSigmoid" => {
            let (a, b) = (node.attr_f("alpha", 0.2), node.attr_f("beta", 0.5));
            map(&|v| (f64::from(a) * v + f64::from(b)).clamp(0.0, 1.0))
        }
        "HardSwish" => map(&|v| v * (v / 6.0 + 0.5).clamp(0.0, 1.0)),
        "Tanh" => map(&f64::tanh),
        "Exp" => map(&f64::exp),
        "Erf" => map(&erf),
        "Gelu" => map(&|v| 0.5 * v * (1.0 + erf(v / 2.0f64.sqrt()))),
        "Sqrt" => map(&f64::sqrt),
        "Softplus" => map(&|v| v.exp().ln_1p()),
        "Clip" => {
            let bound = |slot: usize, name: &str, default: f64| {
                inputs.get(slot).and_then(Option::as_ref).map_or_else(
                    || f64::from(node.attr_f(name, default as f32)),
                    |array| array.data[0],
                )
            };
            let (low, high) = (bound(1, "min", -1e30), bound(2, "max", 1e30));
            map(&|v| v.clamp(low, high))
        }
        "Add" | "Sum" => fold(&|a, b| a + b),
        "Sub" => fold(&|a, b| a - b),
        "Mul" => fold(&|a, b| a * b),
        "Div" => fold(&|a, b| a / b),
        "Pow" => fold(&f64::powf),
        "Max" => fold(&f64::max),
        "Min" => fold(&f64::min),
        "PRelu" => fold(&|a, slope| if a < 0.0 { a * slope } else { a }),
        "Equal" => fold(&|a, b| truth(a == b)),
        "Greater" => fold(&|a, b| truth(a > b)),
        "Where" => {
            let (a, b) = (second(), inputs[2].as_ref().unwrap());
            let a = broadcast(x(), a, &|c, a| if c != 0.0 { a } else { f64::NAN });
            vec![broadcast(&a, b, &|a, b| if a.is_nan() { b } else { a })]
        }
        "Conv" => vec![conv(
            node,
            x(),
            second(),
            inputs.get(2).and_then(Option::as_ref),
        )],
        "ConvTranspose" => {
            vec![conv_transpose(
                node,
                x(),
                second(),
                inputs.get(2).and_then(Option::as_ref),
            )]
        }
        "BatchNormalization" => {
            let p: Vec<&Array> = inputs[1..5].iter().map(|a| a.as_ref().unwrap()).collect();
            let epsilon = f64::from(node.attr_f("epsilon", 1e-5));
            vec![Array::build(x().shape.clone(), |index| {
                let c = index[1];
                let scaled = (x().at(index) - p[2].data[c]) / (p[3].data[c] + epsilon).sqrt();
                p[0].data[c] * scaled + p[1].data[c]
            })]
        }
        "InstanceNormalization" => {
            let epsilon = f64::from(node.attr_f("epsilon", 1e-5));
            let (n, c) = (x().shape[0], x().shape[1]);
            let pixels = x().data.len() / (n * c);
            let mut out = x().clone();
            for (block, values) in out.data.chunks_mut(pixels).enumerate() {
                let c = block % c;
                normalise(values, epsilon);
                for v in values {
                    *v = *v * second().data[c] + inputs[2].as_ref().unwrap().data[c];
                }
            }
            vec![out]
        }
        // Opset 21: a scale per channel (18 had one per group).
        "GroupNormalization" => {
            let epsilon = f64::from(node.attr_f("epsilon", 1e-5));
            let (n, c) = (x().shape[0], x().shape[1]);
            let groups = node.attr_i("num_groups", 1) as usize;
            let size = x().data.len() / (n * groups);
            let pixels = x().data.len() / (n * c);
            let mut out = x().clone();
            let blocks = out.data.chunks_mut(size);
            blocks.for_each(|values| normalise(values, epsilon));
            let (scale, bias) = (second(), inputs[2].as_ref().unwrap());
            let of = |p: &Array, c: usize| p.data[c * p.data.len() / x().shape[1]];
            for (block, values) in out.data.chunks_mut(pixels).enumerate() {
                let c = block % c;
                values
                    .iter_mut()
                    .for_each(|v| *v = *v * of(scale, c) + of(bias, c));
            }
            vec![out]
        }
        "LayerNormalization" => {
            let epsilon = f64::from(node.attr_f("epsilon", 1e-5));
            let axis = axis_of(node.attr_i("axis", -1), x().shape.len());
            let size: usize = x().shape[axis..].iter().product();
            let mut out = x().clone();
            out.data
                .chunks_mut(size)
                .for_each(|values| normalise(values, epsilon));
            out = broadcast(&out, second(), &|a, b| a * b);
            if let Some(Some(bias)) = inputs.get(2) {
                out = broadcast(&out, bias, &|a, b| a + b);
            }
            vec![out]
        }
        "MaxPool" => vec![pool(node, x(), true)],
        "AveragePool" => vec![pool(node, x(), false)],
        "GlobalAveragePool" | "GlobalMaxPool" => {
            let axes: Vec<usize> = (2..x().shape.len()).collect();
            vec![reduce(
                x(),
                &axes,
                true,
                if node.op_type == "GlobalMaxPool" {
                    "Max"
                } else {
                    "Mean"
                },
            )]
        }
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceL2" => {
            let rank = x().shape.len();
            let axes: Vec<usize> = match ints_of(node, inputs, "axes", 1) {
                Some(axes) if !axes.is_empty() => axes.iter().map(|&a| axis_of(a, rank)).collect(),
                _ => (0..rank).collect(),
            };
            vec![reduce(
                x(),
                &axes,
                node.attr_i("keepdims", 1) != 0,
                &node.op_type[6..],
            )]
        }
        "Gemm" => {
            let transpose = |a: &Array, on: bool| if on { permute(a, &[1, 0]) } else { a.clone() };
            let a = transpose(x(), node.attr_i("transA", 0) != 0);
            let b = transpose(second(), node.attr_i("transB", 0) != 0);
            let (alpha, beta) = (
                f64::from(node.attr_f("alpha", 1.0)),
                f64::from(node.attr_f("beta", 1.0)),
            );
            let mut out = matmul(&a, &b);
            out.data.iter_mut().for_each(|v| *v *= alpha);
            if let Some(Some(bias)) = inputs.get(2) {
                out = broadcast(&out, bias, &|a, b| a + beta * b);
            }
            vec![out]
        }
        "MatMul" => vec![matmul(x(), second())],
        "Softmax" => {
            let rank = x().shape.len();
            let axis = axis_of(node.attr_i("axis", if opset < 13 { 1 } else { -1 }), rank);
            let axes: Vec<usize> = if opset < 13 {
                (axis..rank).collect()
            } else {
                vec![axis]
            };
            let top = reduce(x(), &axes, true, "Max");
            let powers = broadcast(x(), &top, &|v, top| (v - top).exp());
            let sum = reduce(&powers, &axes, true, "Sum");
            vec![broadcast(&powers, &sum, &|v, sum| v / sum)]
        }
        "Concat" => {
            let arrays: Vec<&Array> = inputs.iter().flatten().collect();
            let axis = axis_of(node.attr_i("axis", 1), arrays[0].shape.len());
            let mut shape = arrays[0].shape.clone();
            shape[axis] = arrays.iter().map(|a| a.shape[axis]).sum();
            vec![Array::build(shape, |index| {
                let mut index = index.to_vec();
                for array in &arrays {
                    if index[axis] < array.shape[axis] {
                        return array.at(&index);
                    }
                    index[axis] -= array.shape[axis];
                }
                unreachable!()
            })]
        }
        "Split" => {
            let axis = axis_of(node.attr_i("axis", 0), x().shape.len());
            let count = node.outputs.len();
            let even = x().shape[axis].div_ceil(count);
            let sizes: Vec<usize> = match ints_of(node, inputs, "split", 1) {
                Some(sizes) => sizes.iter().map(|&s| s as usize).collect(),
                None => (0..count)
                    .map(|i| even.min(x().shape[axis] - i * even))
                    .collect(),
            };
            assert_eq!(
                sizes.iter().sum::<usize>(),
                x().shape[axis],
                "Split `{}`",
                node.name
            );
            let mut start = 0;
            sizes
                .iter()
                .map(|&size| {
                    let picks: Vec<usize> = (start..start + size).collect();
                    start += size;
                    pick(x(), axis, &picks)
                })
                .collect()
        }
        "Slice" => {
            let rank = x().shape.len();
            let starts = ints_of(node, inputs, "starts", 1).unwrap();
            let ends = ints_of(node, inputs, "ends", 2).unwrap();
            let axes = ints_of(node, inputs, "axes", 3)
                .unwrap_or_else(|| (0..starts.len() as i64).collect());
            let steps = ints_of(node, inputs, "steps", 4).unwrap_or_else(|| vec![1; starts.len()]);
            let mut out = x().clone();
            for (i, &axis) in axes.iter().enumerate() {
                let axis = axis_of(axis, rank);
                let size = out.shape[axis] as i64;
                let wrap = |v: i64| if v < 0 { v.saturating_add(size) } else { v };
                let picks: Vec<usize> = if steps[i] > 0 {
                    let (a, b) = (wrap(starts[i]).clamp(0, size), wrap(ends[i]).clamp(0, size));
                    (a..b)
                        .step_by(steps[i] as usize)
                        .map(|v| v as usize)
                        .collect()
                } else {
                    let a = wrap(starts[i]).clamp(0, size - 1);
                    let b = wrap(ends[i]).clamp(-1, size - 1);
                    (b + 1..=a)
                        .rev()
                        .step_by(-steps[i] as usize)
                        .map(|v| v as usize)
                        .collect()
                };
                out = pick(&out, axis, &picks);
            }
            vec![out]
        }
        "Gather" => {
            let axis = axis_of(node.attr_i("axis", 0), x().shape.len());
            let size = x().shape[axis] as i64;
            let picks: Vec<usize> = second()
                .ints()
                .iter()
                .map(|&i| (if i < 0 { i + size } else { i }) as usize)
                .collect();
            let mut out = pick(x(), axis, &picks);
            out.shape
                .splice(axis..=axis, second().shape.iter().copied());
            vec![out]
        }
        "Flatten" => {
            let axis = axis_of(node.attr_i("axis", 1), x().shape.len());
            let rows: usize = x().shape[..axis].iter().product();
            vec![Array::new(
                vec![rows, x().data.len() / rows],
                x().data.clone(),
            )]
        }
        "Reshape" => {
            let mut shape: Vec<usize> = Vec::new();
            let target = second().ints();
            for (axis, &extent) in target.iter().enumerate() {
                shape.push(match extent {
                    0 => x().shape[axis],
                    -1 => 1,
                    extent => extent as usize,
                });
            }
            if let Some(open) = target.iter().position(|&e| e == -1) {
                shape[open] = x().data.len() / shape.iter().product::<usize>();
            }
            vec![Array::new(shape, x().data.clone())]
        }
        "Transpose" => {
            let rank = x().shape.len();
            let perm: Vec<usize> = match node.attr_ints("perm") {
                Some(perm) => perm.iter().map(|&p| p as usize).collect(),
                None => (0..rank).rev().collect(),
            };
            vec![permute(x(), &perm)]
        }
        "Squeeze" => {
            let rank = x().shape.len();
            let axes: Vec<usize> = match ints_of(node, inputs, "axes", 1) {
                Some(axes) => axes.iter().map(|&a| axis_of(a, rank)).collect(),
                None => (0..rank).filter(|&a| x().shape[a] == 1).collect(),
            };
            let shape: Vec<usize> = (0..rank)
                .filter(|a| !axes.contains(a))
                .map(|a| x().shape[a])
                .collect();
            vec![Array::new(shape, x().data.clone())]
        }
        "Unsqueeze" => {
            let axes = ints_of(node, inputs, "axes", 1).unwrap();
            let rank = x().shape.len() + axes.len();
            let axes: Vec<usize> = axes.iter().map(|&a| axis_of(a, rank)).collect();
            let mut left = x().shape.iter().copied();
            let shape = (0..rank).map(|a| {
                if axes.contains(&a) {
                    1
                } else {
                    left.next().unwrap()
                }
            });
            vec![Array::new(shape.collect(), x().data.clone())]
        }
        "Expand" => {
            let shape: Vec<usize> = second().ints().iter().map(|&v| v as usize).collect();
            let ones = Array::new(shape.clone(), vec![1.0; shape.iter().product()]);
            vec![broadcast(x(), &ones, &|a, _| a)]
        }
        "Tile" => {
            let repeats = second().ints();
            let mut out = x().clone();
            for (axis, &n) in repeats.iter().enumerate() {
                let size = out.shape[axis];
                let picks: Vec<usize> = (0..size * n as usize).map(|i| i % size).collect();
                out = pick(&out, axis, &picks);
            }
            vec![out]
        }
        "Pad" => {
            let rank = x().shape.len();
            let pads = ints_of(node, inputs, "pads", 1).unwrap();
            let value = match inputs.get(2) {
                Some(Some(value)) => value.data[0],
                _ => f64::from(node.attr_f("value", 0.0)),
            };
            let shape: Vec<usize> = (0..rank)
                .map(|a| (x().shape[a] as i64 + pads[a] + pads[a + rank]) as usize)
                .collect();
            vec![Array::build(shape, |index| {
                let source: Option<Vec<usize>> = (0..rank)
                    .map(|a| {
                        let at = index[a] as i64 - pads[a];
                        usize::try_from(at).ok().filter(|&at| at < x().shape[a])
                    })
                    .collect();
                source.map_or(value, |source| x().at(&source))
            })]
        }
        // Nearest, asymmetric, floor: the only form the tests use.
        "Resize" | "Upsample" => {
            let rank = x().shape.len();
            let slot = if node.op_type == "Resize" { 2 } else { 1 };
            let shape: Vec<usize> = match (inputs.get(slot), inputs.get(3)) {
                (_, Some(Some(sizes))) => sizes.ints().iter().map(|&s| s as usize).collect(),
                (Some(Some(scales)), _) => (0..rank)
                    .map(|a| (x().shape[a] as f64 * scales.data[a]).floor() as usize)
                    .collect(),
                _ => panic!("Resize without sizes and scales"),
            };
            let from = x().shape.clone();
            vec![Array::build(shape.clone(), |index| {
                let source: Vec<usize> = (0..rank).map(|a| index[a] * from[a] / shape[a]).collect();
                x().at(&source)
            })]
        }
        "DepthToSpace" | "SpaceToDepth" => {
            let b = node.attr_i("blocksize", 1) as usize;
            let [n, c, h, w] = x().shape[..] else {
                panic!("expected rank 4")
            };
            if node.op_type == "SpaceToDepth" {
                let shape = vec![n, c * b * b, h / b, w / b];
                return vec![Array::build(shape, |i| {
                    let (block, channel) = (i[1] / c, i[1] % c);
                    x().at(&[i[0], channel, i[2] * b + block / b, i[3] * b + block % b])
                })];
            }
            let columns_first = node.attr_s("mode").as_deref() == Some("CRD");
            let out = c / (b * b);
            vec![Array::build(vec![n, out, h * b, w * b], |i| {
                let block = (i[2] % b) * b + i[3] % b;
                let channel = if columns_first {
                    i[1] * b * b + block
                } else {
                    block * out + i[1]
                };
                x().at(&[i[0], channel, i[2] / b, i[3] / b])
            })]
        }
        "Shape" => {
            let rank = x().shape.len() as i64;
            let bound = |name: &str, default: i64| {
                let at = node.attr_i(name, default);
                (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize
            };
            let part = &x().shape[bound("start", 0)..bound("end", rank)];
            vec![Array::vector(part.iter().map(|&d| d as f64).collect())]
        }
        "ConstantOfShape" => {
            let shape: Vec<usize> = x().ints().iter().map(|&v| v as usize).collect();
            let value = match node.attributes.get("value") {
                Some(Attribute::Tensor(tensor)) => Array::from(tensor).data[0],
                _ => 0.0,
            };
            let size = shape.iter().product();
            vec![Array::new(shape, vec![value; size])]
        }
        other => panic!("the reference has no `{other}`"),
    }
}

/// The error function by its Maclaurin series, which converges for all.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-17 {
        n += 1.0;
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn normalise(values: &mut [f64], epsilon: f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    values
        .iter_mut()
        .for_each(|v| *v = (*v - mean) / (variance + epsilon).sqrt());
}

fn pick(x: &Array, axis: usize, picks: &[usize]) -> Array {
    let mut shape = x.shape.clone();
    shape[axis] = picks.len();
    Array::build(shape, |index| {
        let mut index = index.to_vec();
        index[axis] = picks[index[axis]];
        x.at(&index)
    })
}

fn permute(x: &Array, perm: &[usize]) -> Array {
    let shape = perm.iter().map(|&p| x.shape[p]).collect();
    Array::build(shape, |index| {
        let mut source = vec![0; perm.len()];
        perm.iter().zip(index).for_each(|(&p, &i)| source[p] = i);
        x.at(&source)
    })
}

fn broadcast(a: &Array, b: &Array, f: &dyn Fn(f64, f64) -> f64) -> Array {
    let rank = a.shape.len().max(b.shape.len());
    let padded = |x: &Array| {
        let mut shape = vec![1; rank - x.shape.len()];
        shape.extend_from_slice(&x.shape);
        Array::new(shape, x.data.clone())
    };
    let (a, b) = (padded(a), padded(b));
    let shape: Vec<usize> = a
        .shape
        .iter()
        .zip(&b.shape)
        .map(|(&x, &y)| {
            assert!(
                x == y || x == 1 || y == 1,
                "{:?} and {:?}",
                a.shape,
                b.shape
            );
            if x == 1 { y } else { x }
        })
        .collect();
    let at = |x: &Array, index: &[usize]| {
        let index: Vec<usize> = index
            .iter()
            .zip(&x.shape)
            .map(|(&i, &d)| if d == 1 { 0 } else { i })
            .collect();
        x.at(&index)
    };
    Array::build(shape, |index| f(at(&a, index), at(&b, index)))
}

fn reduce(x: &Array, axes: &[usize], keep: bool, how: &str) -> Array {
    let mut shape = x.shape.clone();
    axes.iter().for_each(|&a| shape[a] = 1);
    let start = if how == "Max" { f64::NEG_INFINITY } else { 0.0 };
    let mut out = Array::new(shape.clone(), vec![start; shape.iter().product()]);
    let strides = out.strides();
    for_each_index(&x.shape, |index| {
        let at: usize = (0..index.len())
            .filter(|a| !axes.contains(a))
            .map(|a| index[a] * strides[a])
            .sum();
        let v = x.at(index);
        match how {
            "Max" => out.data[at] = out.data[at].max(v),
            "L2" => out.data[at] += v * v,
            _ => out.data[at] += v,
        }
    });
    let n: usize = axes.iter().map(|&a| x.shape[a]).product();
    match how {
        "Mean" => out.data.iter_mut().for_each(|v| *v /= n as f64),
        "L2" => out.data.iter_mut().for_each(|v| *v = v.sqrt()),
        _ => {}
    }
    if !keep {
        out.shape = (0..shape.len())
            .filter(|a| !axes.contains(a))
            .map(|a| shape[a])
            .collect();
    }
    out
}

fn matmul(a: &Array, b: &Array) -> Array {
    let (ra, rb) = (a.shape.len(), b.shape.len());
    assert!(ra >= 2 && rb >= 2, "the reference multiplies matrices only");
    let (m, k, n) = (a.shape[ra - 2], a.shape[ra - 1], b.shape[rb - 1]);
    assert_eq!(k, b.shape[rb - 2], "{:?} times {:?}", a.shape, b.shape);
    let rank = ra.max(rb);
    let batch = |x: &Array, axis: usize| {
        let offset = rank - x.shape.len();
        if axis < offset {
            1
        } else {
            x.shape[axis - offset]
        }
    };
    let mut shape: Vec<usize> = (0..rank - 2)
        .map(|i| batch(a, i).max(batch(b, i)))
        .collect();
    shape.extend([m, n]);
    Array::build(shape, |index| {
        let source = |x: &Array, row: usize, column: usize| {
            let offset = rank - x.shape.len();
            let mut at: Vec<usize> = (offset..rank - 2)
                .map(|i| {
                    if x.shape[i - offset] == 1 {
                        0
                    } else {
                        index[i]
                    }
                })
                .collect();
            at.extend([row, column]);
            x.at(&at)
        };
        (0..k)
            .map(|i| source(a, index[rank - 2], i) * source(b, i, index[rank - 1]))
            .sum()
    })
}

/// Window settings of convolutions and pools, for 2 spatial axes.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    begin: [usize; 2],
    end: [usize; 2],
}

impl Window {
    fn new(node: &Node, kernel: [usize; 2]) -> Self {
        let pair = |name: &str| match node.attr_ints(name) {
            Some(v) => [v[0] as usize, v[1] as usize],
            None => [1, 1],
        };
        let pads = node.attr_ints("pads").unwrap_or(&[0, 0, 0, 0]);
        Self {
            kernel,
            stride: pair("strides"),
            dilation: pair("dilations"),
            begin: [pads[0] as usize, pads[1] as usize],
            end: [pads[2] as usize, pads[3] as usize],
        }
    }

    fn output(&self, input: &[usize]) -> [usize; 2] {
        [0, 1].map(|i| {
            let reach = self.dilation[i] * (self.kernel[i] - 1) + 1;
            (input[i] + self.begin[i] + self.end[i] - reach) / self.stride[i] + 1
        })
    }

    /// The pixel under tap `k` of the window at `o`, if it is not padding.
    fn pixel(&self, i: usize, o: usize, k: usize, extent: usize) -> Option<usize> {
        (o * self.stride[i] + k * self.dilation[i])
            .checked_sub(self.begin[i])
            .filter(|&p| p < extent)
    }
}

fn conv(node: &Node, x: &Array, w: &Array, bias: Option<&Array>) -> Array {
    let groups = node.attr_i("group", 1) as usize;
    let window = Window::new(node, [w.shape[2], w.shape[3]]);
    let [oh, ow] = window.output(&x.shape[2..]);
    let (rows, columns) = (w.shape[0], w.shape[1]);
    assert_eq!(x.shape[1], columns * groups, "Conv `{}`", node.name);
    assert_eq!(rows % groups, 0, "Conv `{}`", node.name);
    Array::build(vec![x.shape[0], rows, oh, ow], |i| {
        let group = i[1] / (rows / groups);
        let mut sum = bias.map_or(0.0, |b| b.data[i[1]]);
        for c in 0..columns {
            for kh in 0..w.shape[2] {
                for kw in 0..w.shape[3] {
                    let (Some(h), Some(v)) = (
                        window.pixel(0, i[2], kh, x.shape[2]),
                        window.pixel(1, i[3], kw, x.shape[3]),
                    ) else {
                        continue;
                    };
                    sum += w.at(&[i[1], c, kh, kw]) * x.at(&[i[0], group * columns + c, h, v]);
                }
            }
        }
        sum
    })
}

fn conv_transpose(node: &Node, x: &Array, w: &Array, bias: Option<&Array>) -> Array {
    let groups = node.attr_i("group", 1) as usize;
    let window = Window::new(node, [w.shape[2], w.shape[3]]);
    let extra = node.attr_ints("output_padding").unwrap_or(&[0, 0]).to_vec();
    let (inputs, columns) = (w.shape[0], w.shape[1]);
    assert_eq!(x.shape[1], inputs, "ConvTranspose `{}`", node.name);
    let [oh, ow] = [0, 1].map(|i| {
        window.stride[i] * (x.shape[2 + i] - 1)
            + extra[i] as usize
            + window.dilation[i] * (window.kernel[i] - 1)
            + 1
            - window.begin[i]
            - window.end[i]
    });
    let mut out = Array::build(vec![x.shape[0], columns * groups, oh, ow], |i| {
        bias.map_or(0.0, |b| b.data[i[1]])
    });
    let strides = out.strides();
    for_each_index(&x.shape, |i| {
        let group = i[1] / (inputs / groups);
        for c in 0..columns {
            for kh in 0..w.shape[2] {
                for kw in 0..w.shape[3] {
                    let place = |axis: usize, k: usize, extent: usize| {
                        (i[2 + axis] * window.stride[axis] + k * window.dilation[axis])
                            .checked_sub(window.begin[axis])
                            .filter(|&p| p < extent)
                    };
                    let (Some(h), Some(v)) = (place(0, kh, oh), place(1, kw, ow)) else {
                        continue;
                    };
                    let at = i[0] * strides[0] + (group * columns + c) * strides[1] + h * ow + v;
                    out.data[at] += x.at(i) * w.at(&[i[1], c, kh, kw]);
                }
            }
        }
    });
    out
}

fn pool(node: &Node, x: &Array, max: bool) -> Array {
    let kernel = node.attr_ints("kernel_shape").unwrap();
    let window = Window::new(node, [kernel[0] as usize, kernel[1] as usize]);
    let [oh, ow] = window.output(&x.shape[2..]);
    let count_padding = node.attr_i("count_include_pad", 0) != 0;
    Array::build(vec![x.shape[0], x.shape[1], oh, ow], |i| {
        let mut found = Vec::new();
        for kh in 0..window.kernel[0] {
            for kw in 0..window.kernel[1] {
                if let (Some(h), Some(v)) = (
                    window.pixel(0, i[2], kh, x.shape[2]),
                    window.pixel(1, i[3], kw, x.shape[3]),
                ) {
                    found.push(x.at(&[i[0], i[1], h, v]));
                }
            }
        }
        if max {
            return found.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        }
        let n = if count_padding {
            window.kernel[0] * window.kernel[1]
        } else {
            found.len()
        };
        found.iter().sum::<f64>() / n as f64
    })
}
