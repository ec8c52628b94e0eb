//! The operators that weights are computed with: standardisation, normalisation to a length,
//! scales, and the shape arithmetic around them.

use ndarray::{ArrayD, Axis};

use super::array::{Array, Kind, common_shape, count};
use super::layout::{
    axes, bound, concat, constant_of_shape, extents, flatten, gather, reshape, slice, squeeze,
    transpose,
};
use crate::graph::{Attribute, Node};

/// Inputs of a node, by slot.
pub(super) type Inputs<'a> = Vec<Option<&'a Array>>;

/// The first output of a node; `None` for operators that are not known here.
pub(super) fn evaluate(node: &Node, inputs: &Inputs<'_>) -> Option<Array> {
    let input = |slot: usize| inputs.get(slot).copied().flatten();
    let first = || input(0);
    match node.op_type.as_str() {
        "Identity" | "Dropout" => first().cloned(),
        "Cast" => Some(cast(first()?, Kind::of(node.attr_i("to", 0))?)),
        "CastLike" => Some(cast(first()?, input(1)?.kind)),
        "Shape" => {
            let shape = first()?.values.shape();
            let start = bound(node.attr_i("start", 0), shape.len());
            let end = bound(node.attr_i("end", i64::MAX), shape.len());
            Array::integers(shape.get(start..end)?.iter().copied())
        }
        "Size" => Array::new(Kind::I64, &[], vec![first()?.values.len() as f64]),
        "ConstantOfShape" => constant_of_shape(node, first()?),
        "Reshape" => reshape(node, first()?, &input(1)?.as_integers()),
        "Flatten" => flatten(node, first()?),
        "Squeeze" | "Unsqueeze" => squeeze(node, first()?, input(1)),
        "Transpose" => transpose(node, first()?),
        "Expand" => {
            let target = extents(&input(1)?.as_integers())?;
            let shape = common_shape(first()?.values.shape(), &target)?;
            first()?.broadcast(&shape)
        }
        "Concat" => concat(node, inputs),
        "Slice" => slice(node, inputs),
        "Gather" => gather(node, first()?, input(1)?),
        "Where" => select(first()?, input(1)?, input(2)?),
        "Clip" => clip(node, inputs),
        "MatMul" => matmul(first()?, input(1)?),
        "BatchNormalization" => batch_norm(node, inputs),
        name if name.starts_with("Reduce") => reduce(node, first()?, input(1)),
        name => match inputs.len() {
            1 => unary(name, first()?),
            _ => {
                let operands: Vec<&Array> = inputs.iter().copied().collect::<Option<_>>()?;
                let (first, rest) = operands.split_first()?;
                let mut result = (*first).clone();
                for other in rest {
                    result = binary(name, &result, other)?;
                }
                Some(result)
            }
        },
    }
}

fn cast(array: &Array, kind: Kind) -> Array {
    let values = match kind {
        _ if kind.is_float() => array.values.clone(),
        Kind::Bool => array.values.mapv(|v| f64::from(u8::from(v != 0.0))),
        _ => array.values.mapv(f64::trunc),
    };
    Array { kind, values }
}

fn unary(name: &str, array: &Array) -> Option<Array> {
    let f: fn(f64) -> f64 = match name {
        "Abs" => f64::abs,
        "Neg" => |v| -v,
        "Sqrt" => f64::sqrt,
        "Reciprocal" => f64::recip,
        "Exp" => f64::exp,
        "Log" => f64::ln,
        "Floor" => f64::floor,
        "Ceil" => f64::ceil,
        "Round" => f64::round_ties_even,
        "Sign" => |v| if v == 0.0 { 0.0 } else { v.signum() },
        "Relu" => |v| v.max(0.0),
        "Tanh" => f64::tanh,
        "Sigmoid" => |v| 1.0 / (1.0 + (-v).exp()),
        "Softplus" => |v| v.exp().ln_1p(),
        "Not" => |v| f64::from(u8::from(v == 0.0)),
        _ => return None,
    };
    Some(array.map(f))
}

fn binary(name: &str, a: &Array, b: &Array) -> Option<Array> {
    let truth = |value: bool| f64::from(u8::from(value));
    let whole = !a.kind.is_float();
    let result = match name {
        "Add" | "Sum" => a.zip(b, |a, b| a + b),
        "Sub" => a.zip(b, |a, b| a - b),
        "Mul" => a.zip(b, |a, b| a * b),
        "Div" if whole => {
            let by_zero = b.values.iter().any(|&v| v == 0.0);
            (!by_zero).then(|| a.zip(b, |a, b| (a / b).trunc()))?
        }
        "Div" => a.zip(b, |a, b| a / b),
        "Pow" => a.zip(b, f64::powf),
        "Max" => a.zip(b, f64::max),
        "Min" => a.zip(b, f64::min),
        "Equal" => a.zip(b, |a, b| truth(a == b)),
        "Greater" => a.zip(b, |a, b| truth(a > b)),
        "GreaterOrEqual" => a.zip(b, |a, b| truth(a >= b)),
        "Less" => a.zip(b, |a, b| truth(a < b)),
        "LessOrEqual" => a.zip(b, |a, b| truth(a <= b)),
        "And" => a.zip(b, |a, b| truth(a != 0.0 && b != 0.0)),
        "Or" => a.zip(b, |a, b| truth(a != 0.0 || b != 0.0)),
        _ => None,
    }?;
    let compares = matches!(
        name,
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or"
    );
    Some(Array {
        kind: if compares { Kind::Bool } else { result.kind },
        ..result
    })
}

fn select(condition: &Array, yes: &Array, no: &Array) -> Option<Array> {
    let shape = common_shape(yes.values.shape(), no.values.shape())?;
    let shape = common_shape(&shape, condition.values.shape())?;
    let (yes, no) = (yes.broadcast(&shape)?, no.broadcast(&shape)?);
    let condition = condition.broadcast(&shape)?;
    let taken = condition
        .values
        .iter()
        .zip(yes.values.iter().zip(&no.values));
    let values = taken.map(|(&c, (&yes, &no))| if c != 0.0 { yes } else { no });
    Array::new(yes.kind, &shape, values.collect())
}

fn clip(node: &Node, inputs: &Inputs<'_>) -> Option<Array> {
    let number = |slot: usize, name: &str, default: f64| {
        let input = inputs.get(slot).copied().flatten();
        let input = input.and_then(|array| array.values.first().copied());
        let attribute = match node.attributes.get(name) {
            Some(Attribute::Float(value)) => Some(f64::from(*value)),
            _ => None,
        };
        input.or(attribute).unwrap_or(default)
    };
    let (low, high) = (
        number(1, "min", f64::NEG_INFINITY),
        number(2, "max", f64::INFINITY),
    );
    Some(
        inputs
            .first()
            .copied()
            .flatten()?
            .map(|v| v.max(low).min(high)),
    )
}

/// Axes taken together one by one; they stay, with one position.
fn along(
    values: ArrayD<f64>,
    axes: &[usize],
    step: &dyn Fn(ArrayD<f64>, Axis) -> ArrayD<f64>,
) -> ArrayD<f64> {
    axes.iter().fold(values, |values, &axis| {
        step(values, Axis(axis)).insert_axis(Axis(axis))
    })
}

/// Means over some axes, which stay, with one position.
fn mean_over(array: &Array, axes: &[usize]) -> Array {
    let extents = axes.iter().map(|&axis| array.values.shape()[axis]);
    let count: usize = extents.product();
    let sums = along(array.values.clone(), axes, &|values, axis| {
        values.sum_axis(axis)
    });
    Array {
        kind: array.kind,
        values: sums / count as f64,
    }
}

fn reduce(node: &Node, array: &Array, given: Option<&Array>) -> Option<Array> {
    let rank = array.rank();
    let axes = match axes(node, given, rank)? {
        Some(axes) if !axes.is_empty() => axes,
        _ if node.attr_i("noop_with_empty_axes", 0) != 0 => return Some(array.clone()),
        _ => (0..rank).collect(),
    };
    let square = |values: &ArrayD<f64>| values.mapv(|v| v * v);
    let sum = |values: ArrayD<f64>, axis| values.sum_axis(axis);
    let fold = |start: f64, f: fn(f64, f64) -> f64| {
        move |values: ArrayD<f64>, axis| values.fold_axis(axis, start, move |&a, &b| f(a, b))
    };
    let along =
        |values, step: &dyn Fn(ArrayD<f64>, Axis) -> ArrayD<f64>| along(values, &axes, step);
    let values = array.values.clone();
    let reduced = match node.op_type.as_str() {
        "ReduceMean" => mean_over(array, &axes).values,
        "ReduceSum" => along(values, &sum),
        "ReduceSumSquare" => along(square(&values), &sum),
        "ReduceL1" => along(values.mapv(f64::abs), &sum),
        "ReduceL2" => along(square(&values), &sum).mapv(f64::sqrt),
        "ReduceMax" => along(values, &fold(f64::NEG_INFINITY, f64::max)),
        "ReduceMin" => along(values, &fold(f64::INFINITY, f64::min)),
        "ReduceProd" => along(values, &fold(1.0, |a, b| a * b)),
        _ => return None,
    };
    let reduced = Array {
        kind: array.kind,
        values: reduced,
    };
    if node.attr_i("keepdims", 1) != 0 {
        return Some(reduced);
    }
    let left = reduced.values.shape().iter().enumerate();
    let left: Vec<usize> = left
        .filter(|(axis, _)| !axes.contains(axis))
        .map(|(_, &extent)| extent)
        .collect();
    reduced.reshaped(&left)
}

/// A product of matrices or vectors.
fn matmul(a: &Array, b: &Array) -> Option<Array> {
    let (rows, columns) = (a.rank() == 2, b.rank() == 2);
    if !(1..=2).contains(&a.rank()) || !(1..=2).contains(&b.rank()) {
        return None;
    }
    let (sa, sb) = (a.values.shape(), b.values.shape());
    let left = a.reshaped(&[if rows { sa[0] } else { 1 }, sa[sa.len() - 1]])?;
    let right = b.reshaped(&[sb[0], if columns { sb[1] } else { 1 }])?;
    let matrix = |array: Array| array.values.into_dimensionality::<ndarray::Ix2>().ok();
    let (left, right) = (matrix(left)?, matrix(right)?);
    (left.ncols() == right.nrows()).then_some(())?;
    count(&[left.nrows(), right.ncols()])?;
    let product = left.dot(&right);
    let mut shape = Vec::new();
    shape.extend(rows.then_some(product.nrows()));
    shape.extend(columns.then_some(product.ncols()));
    Array {
        kind: a.kind,
        values: product.into_dyn(),
    }
    .reshaped(&shape)
}

/// With the mean and variance that are given, or in training mode with those of the values.
fn batch_norm(node: &Node, inputs: &Inputs<'_>) -> Option<Array> {
    let given: Vec<&Array> = inputs.iter().copied().collect::<Option<_>>()?;
    let [array, scale, shift, mean, variance] = given[..] else {
        return None;
    };
    if array.rank() < 2 {
        return None;
    }
    let mut shape = vec![1; array.rank()];
    shape[1] = array.values.shape()[1];
    let vector = |vector: &Array| vector.reshaped(&shape);
    let others: Vec<usize> = (0..array.rank()).filter(|&axis| axis != 1).collect();
    let (mean, variance) = if node.attr_i("training_mode", 0) == 0 {
        (vector(mean)?, vector(variance)?)
    } else {
        let mean = mean_over(array, &others);
        let centred = array.zip(&mean, |v, mean| v - mean)?;
        (mean, mean_over(&centred.map(|v| v * v), &others))
    };
    let epsilon = f64::from(node.attr_f("epsilon", 1e-5));
    let deviation = variance.map(|v| (v + epsilon).sqrt());
    let centred = array.zip(&mean, |v, mean| v - mean)?;
    let scaled = centred.zip(&deviation, |v, deviation| v / deviation)?;
    let scaled = scaled.zip(&vector(scale)?, |v, scale| v * scale)?;
    scaled.zip(&vector(shift)?, |v, shift| v + shift)
}
