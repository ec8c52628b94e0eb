//! Operators that move elements and leave them as they are.

use ndarray::{Axis, IxDyn, Slice, concatenate};

use super::array::{Array, Kind, count};
use super::operators::Inputs;
use crate::graph::{Attribute, Node};
use crate::ops::axis_of;

/// Axes that a node names in an attribute or in an input; `None` if it names none.
pub(super) fn axes(node: &Node, given: Option<&Array>, rank: usize) -> Option<Option<Vec<usize>>> {
    let axes = match (node.attr_ints("axes"), given) {
        (Some(axes), _) => axes.to_vec(),
        (None, Some(axes)) => axes.as_integers(),
        (None, None) => return Some(None),
    };
    let axes = axes.iter().map(|&axis| axis_of(axis, rank));
    Some(Some(axes.collect::<Option<_>>()?))
}

/// Extents as they are, none negative.
pub(super) fn extents(values: &[i64]) -> Option<Vec<usize>> {
    let extents = values.iter().map(|&extent| usize::try_from(extent).ok());
    extents.collect()
}

/// A bound of a range, counted from the end where negative.
pub(super) fn bound(at: i64, len: usize) -> usize {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let at = if at < 0 { at.saturating_add(len) } else { at };
    usize::try_from(at.clamp(0, len)).unwrap_or(0)
}

pub(super) fn constant_of_shape(node: &Node, shape: &Array) -> Option<Array> {
    let shape = extents(&shape.as_integers())?;
    let value = match node.attributes.get("value") {
        Some(Attribute::Tensor(tensor)) => Array::from_tensor(tensor)?,
        _ => Array::new(Kind::F32, &[1], vec![0.0])?,
    };
    Array::new(
        value.kind,
        &shape,
        vec![*value.values.first()?; count(&shape)?],
    )
}

pub(super) fn reshape(node: &Node, array: &Array, target: &[i64]) -> Option<Array> {
    let own = array.values.shape();
    let copies = node.attr_i("allowzero", 0) == 0;
    let mut shape = Vec::with_capacity(target.len());
    for (axis, &extent) in target.iter().enumerate() {
        shape.push(match extent {
            0 if copies => *own.get(axis)?,
            -1 => 1,
            extent => usize::try_from(extent).ok()?,
        });
    }
    if let Some(open) = target.iter().position(|&extent| extent == -1) {
        shape[open] = array.values.len().checked_div(count(&shape)?)?;
    }
    array.reshaped(&shape)
}

pub(super) fn flatten(node: &Node, array: &Array) -> Option<Array> {
    let shape = array.values.shape();
    let at = bound(node.attr_i("axis", 1), shape.len());
    let (rows, columns) = shape.split_at(at);
    array.reshaped(&[rows.iter().product(), columns.iter().product()])
}

pub(super) fn squeeze(node: &Node, array: &Array, given: Option<&Array>) -> Option<Array> {
    let shape = array.values.shape();
    let named = match (node.attr_ints("axes"), given) {
        (Some(axes), _) => Some(axes.len()),
        (None, given) => given.map(|axes| axes.values.len()),
    };
    if node.op_type == "Squeeze" {
        let axes = axes(node, given, shape.len())?;
        let gone = |axis: usize| {
            axes.as_ref()
                .map_or(shape[axis] == 1, |axes| axes.contains(&axis))
        };
        let left: Vec<usize> = (0..shape.len())
            .filter(|&axis| !gone(axis))
            .map(|axis| shape[axis])
            .collect();
        return array.reshaped(&left);
    }
    let axes = axes(node, given, shape.len().checked_add(named?)?)??;
    let mut left = shape.iter();
    let rank = shape.len() + axes.len();
    let full = (0..rank).map(|axis| {
        if axes.contains(&axis) {
            Some(1)
        } else {
            left.next().copied()
        }
    });
    array.reshaped(&full.collect::<Option<Vec<_>>>()?)
}

pub(super) fn transpose(node: &Node, array: &Array) -> Option<Array> {
    let rank = array.rank();
    let order: Vec<usize> = match node.attr_ints("perm") {
        Some(perm) => perm
            .iter()
            .map(|&axis| axis_of(axis, rank))
            .collect::<Option<_>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    sorted.iter().copied().eq(0..rank).then_some(())?;
    let turned = array.values.view().permuted_axes(IxDyn(&order));
    Array::new(array.kind, turned.shape(), turned.iter().copied().collect())
}

pub(super) fn concat(node: &Node, inputs: &Inputs<'_>) -> Option<Array> {
    let parts: Vec<&Array> = inputs.iter().copied().collect::<Option<_>>()?;
    let first = parts.first()?;
    let axis = axis_of(node.attr_i("axis", 0), first.rank())?;
    let views: Vec<_> = parts.iter().map(|part| part.values.view()).collect();
    let values = concatenate(Axis(axis), &views).ok()?;
    Some(Array {
        kind: first.kind,
        values,
    })
}

pub(super) fn slice(node: &Node, inputs: &Inputs<'_>) -> Option<Array> {
    let array = inputs.first().copied().flatten()?;
    let list = |name: &str, slot: usize| match node.attr_ints(name) {
        Some(values) => Some(values.to_vec()),
        None => inputs.get(slot).copied().flatten().map(Array::as_integers),
    };
    let (starts, ends) = (list("starts", 1)?, list("ends", 2)?);
    let axes = list("axes", 3).unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list("steps", 4).unwrap_or_else(|| vec![1; starts.len()]);
    let mut values = array.values.clone();
    for (((&start, &end), &axis), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        // Weights are not reversed.
        let step = isize::try_from(step).ok().filter(|&step| step > 0)?;
        let axis = axis_of(axis, array.rank())?;
        let extent = values.shape()[axis];
        let (start, end) = (bound(start, extent), bound(end, extent));
        let range = Slice::new(start.min(end) as isize, Some(end as isize), step);
        values = values.slice_axis(Axis(axis), range).to_owned();
    }
    Some(Array {
        kind: array.kind,
        values,
    })
}

pub(super) fn gather(node: &Node, array: &Array, indices: &Array) -> Option<Array> {
    let axis = axis_of(node.attr_i("axis", 0), array.rank())?;
    let extent = array.values.shape()[axis];
    let places: Vec<usize> = indices
        .as_integers()
        .iter()
        .map(|&at| axis_of(at, extent))
        .collect::<Option<_>>()?;
    let mut shape = array.values.shape().to_vec();
    shape[axis] = places.len();
    count(&shape)?;
    let values = array.values.select(Axis(axis), &places);
    shape.splice(axis..=axis, indices.values.shape().iter().copied());
    Array {
        kind: array.kind,
        values,
    }
    .reshaped(&shape)
}
