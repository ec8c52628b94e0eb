//! Axes and extents, as many rules need them.

use crate::extents::ShapeContext;
use crate::graph::{Dim, Node};

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
pub(super) fn axis_of(axis: i64, rank: usize) -> Option<usize> {
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
