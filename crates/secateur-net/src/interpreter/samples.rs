//! Which axis of an output counts samples.

use secateur_onnx::graph::{Dim, Graph};

use crate::engine::Engine;
use crate::error::{NetError, Result};
use crate::extension::tensor_from_vec;
use crate::value::{Dense, Output};

/// For each of these values, the first axis that has the name or extent of the batch, the first
/// axis of the graph's first input: the first, unless another is stated, as in `[2, batch, 128]`,
/// or `[2, 1, 128]` in a file for one sample.
pub(super) fn sample_axes(graph: &Graph, outputs: &[&str]) -> Vec<usize> {
    let first = graph.inputs.first().and_then(|input| input.shape.first());
    // A graph that contradicts itself is reported by whoever plans it.
    let shapes = secateur_onnx::shape::infer_shapes(graph, None).unwrap_or_default();
    let stated = |name: &str| {
        let stated = graph.outputs.iter().find(|info| info.name == name);
        stated.map_or(&[][..], |info| info.shape.as_slice())
    };
    let axis = |name: &&str| {
        let batch = first.filter(|dim| !matches!(dim, Dim::Unknown))?;
        let alike = |dims: &[Dim]| dims.iter().position(|dim| dim == batch);
        shapes
            .get(*name)
            .and_then(|dims| alike(dims))
            .or_else(|| alike(stated(name)))
    };
    outputs.iter().map(|name| axis(name).unwrap_or(0)).collect()
}

/// Outputs of a graph as another engine gave them for `n` samples, in the file's order of axes, with the
/// samples in front.
///
/// # Errors
/// [`NetError::Shape`] for one that does not hold so many samples.
pub fn by_sample(graph: &Graph, outputs: Vec<Output>, n: usize) -> Result<Vec<Output>> {
    let names: Vec<&str> = graph.outputs.iter().map(|o| o.name.as_str()).collect();
    let axes = sample_axes(graph, &names);
    let device = Engine::fused().device().clone();
    let first = |(output, (name, axis)): (Output, (&str, usize))| {
        let len = output.values.len();
        let flat = tensor_from_vec(output.values, [len], &device);
        let whole = Dense::from_tensor(flat).reshape(&output.shape);
        Ok(Output::from_dense(&samples_first(name, whole, axis, n)?))
    };
    let named = names.into_iter().zip(axes);
    outputs.into_iter().zip(named).map(first).collect()
}

/// A value for `n` samples with the axis of the samples in front. Where the first axis holds
/// several rows of each sample, `[n * k, c]`, they become an axis of their own.
pub(super) fn samples_first(name: &str, value: Dense, axis: usize, n: usize) -> Result<Dense> {
    let dims = value.dims().to_vec();
    if axis > 0 && dims.get(axis) == Some(&n) {
        let others = (0..dims.len()).filter(|&other| other != axis);
        let order: Vec<usize> = std::iter::once(axis).chain(others).collect();
        return Ok(value.permute(&order));
    }
    match dims.split_first() {
        Some((&rows, _)) if rows == n => Ok(value),
        None if n == 1 => Ok(value.reshape(&[1])),
        Some((&rows, rest)) if rows > 0 && rows.is_multiple_of(n.max(1)) => {
            let mut apart = vec![n, rows / n.max(1)];
            apart.extend(rest);
            Ok(value.reshape(&apart))
        }
        _ => Err(NetError::Shape {
            node: name.to_string(),
            expected: format!("values for {n} samples"),
            got: format!("{dims:?}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use burn::tensor::{Tensor, TensorData};
    use indexmap::IndexMap;
    use secateur_onnx::graph::ValueInfo;

    use super::*;
    use crate::engine::Engine;

    fn dense(dims: &[usize]) -> Dense {
        let len: usize = dims.iter().product();
        let values: Vec<f32> = (0..len).map(|v| v as f32).collect();
        let data = TensorData::new(values, [len]);
        let flat = Tensor::<1>::from_data(data, Engine::fused().device());
        Dense::from_tensor(flat).reshape(dims)
    }

    #[test]
    fn samples_lie_on_the_axis_of_the_batch_named_or_not() {
        let info = |name: &str, shape: &[Dim]| ValueInfo {
            name: name.to_string(),
            shape: shape.to_vec(),
            elem_type: 1,
            has_shape: true,
        };
        let check = |batch: Dim, output: &[Dim], expected: usize| {
            let graph = Graph {
                name: "g".to_string(),
                opset: 17,
                inputs: vec![info("x", &[batch, Dim::Fixed(5)])],
                outputs: vec![info("y", output)],
                value_info: HashMap::new(),
                nodes: Vec::new(),
                initializers: IndexMap::new(),
                uncut: BTreeSet::new(),
                computed: Vec::new(),
                allow_mixing: false,
                no_batch: false,
            };
            assert_eq!(sample_axes(&graph, &["y"]), [expected], "{output:?}");
        };
        let (n, one) = (Dim::Named("n".into()), Dim::Fixed(1));
        let state = |batch: &Dim| [Dim::Fixed(2), batch.clone(), Dim::Fixed(128)];
        check(n.clone(), &state(&n), 1);
        check(one.clone(), &state(&one), 1);
        check(one.clone(), &[one.clone(), one.clone()], 0);
        check(one, &[Dim::Fixed(300), Dim::Fixed(4)], 0);
        check(n, &state(&Dim::Fixed(1)), 0);
    }

    #[test]
    fn samples_come_first_wherever_the_file_counts_them() {
        let check = |dims: &[usize], axis: usize, n: usize, expected: Option<&[usize]>| {
            let got = samples_first("y", dense(dims), axis, n);
            assert_eq!(got.ok().as_ref().map(Dense::dims), expected, "{dims:?}");
        };
        check(&[3, 5], 0, 3, Some(&[3, 5]));
        check(&[2, 3, 4], 1, 3, Some(&[3, 2, 4]));
        check(&[6, 4], 0, 3, Some(&[3, 2, 4]));
        check(&[5, 4], 0, 1, Some(&[1, 5, 4]));
        check(&[], 0, 1, Some(&[1]));
        check(&[5, 4], 0, 3, None);
        check(&[], 0, 2, None);
        let moved = samples_first("y", dense(&[2, 3]), 1, 3).unwrap();
        assert_eq!(moved.to_vec(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }
}
