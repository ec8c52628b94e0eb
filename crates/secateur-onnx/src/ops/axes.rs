//! Axes and extents, as many rules need them.

use super::rule::OutputShapes;
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};

/// A shape of more axes than this is none: a hostile file.
const MAX_RANK: usize = 64;

/// An error that names the node.
pub(super) fn misfit(
    context: &ShapeContext<'_>,
    node: &Node,
    reason: impl Into<String>,
) -> crate::OnnxError {
    crate::OnnxError::Graph {
        graph: context.graph.name.clone(),
        place: format!("node `{}` ({})", node.name, node.op_type),
        reason: reason.into(),
    }
}

/// An axis counted from the front; `None` if it lies outside.
pub(crate) fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 {
        axis.checked_add(i64::try_from(rank).ok()?)?
    } else {
        axis
    };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

/// Axes counted from the front, sorted, without repetitions; `None` if one lies outside.
pub(super) fn axes_of(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    let mut axes = axes
        .iter()
        .map(|&axis| axis_of(axis, rank))
        .collect::<Option<Vec<_>>>()?;
    axes.sort_unstable();
    let count = axes.len();
    axes.dedup();
    (axes.len() == count).then_some(axes)
}

/// Shape of an operator that keeps the shape of its first input.
pub(super) fn same_shape(node: &Node, context: &ShapeContext<'_>) -> OutputShapes {
    vec![context.input(node, 0).map(<[_]>::to_vec)]
}

/// The extents that input `slot` holds, of which some may be computed; `None` if not even their
/// number is known.
pub(super) fn extents_in(node: &Node, context: &ShapeContext<'_>, slot: usize) -> Option<Vec<Dim>> {
    if let Some(value) = context.value(node, slot) {
        return Some(value.elements.iter().map(|e| e.number.dim()).collect());
    }
    match context.input(node, slot)? {
        [len] => Some(vec![
            Dim::Unknown;
            len.fixed().filter(|&len| len <= MAX_RANK)?
        ]),
        _ => None,
    }
}

/// Extents of a node's first output, where all are known.
pub(super) fn fixed_extents(shapes: Result<OutputShapes>) -> Option<Vec<usize>> {
    let shape = shapes.ok()?.into_iter().next()??;
    shape.iter().map(Dim::fixed).collect()
}

/// Product of extents, where all are known.
pub(super) fn product(dims: &[Dim]) -> Dim {
    match dims {
        [dim] => dim.clone(),
        _ => dims
            .iter()
            .try_fold(1usize, |product, dim| product.checked_mul(dim.fixed()?))
            .map_or(Dim::Unknown, Dim::Fixed),
    }
}

/// Every axis of a tensor.
pub(super) fn all_axes(name: &str, rank: usize) -> Vec<(String, usize)> {
    (0..rank).map(|axis| (name.to_string(), axis)).collect()
}

/// Product of extents as a count.
pub(super) fn pixels(dims: &[Dim]) -> Option<u64> {
    dims.iter().try_fold(1u64, |product, dim| {
        product.checked_mul(dim.fixed()? as u64)
    })
}
