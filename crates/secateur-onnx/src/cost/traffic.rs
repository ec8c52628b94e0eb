//! How many values a network moves, beside what it computes.

use super::counting::macs_of;
use super::extents::infer_with_extents;
use super::term::extent_of;
use crate::error::Result;
use crate::graph::Graph;
use crate::ops::Macs;
use crate::shape::ShapeContext;

/// Values of one sample that convolutions and matrix products read and give, weights not counted: with
/// fewer channels a network has fewer of them, but not as much fewer as multiply-adds. Extents that
/// do not follow from the file count as 1.
///
/// # Errors
/// [`crate::OnnxError::Graph`] if shapes contradict each other.
pub fn traffic(graph: &Graph) -> Result<u64> {
    let known = infer_with_extents(graph)?;
    let context = ShapeContext {
        graph,
        known: &known,
    };
    let of_value = |value: &String| -> u64 {
        let rank = known.shapes.get(value).map_or(0, |shape| shape.len());
        let extents = (1..rank).map(|axis| extent_of(&known, value, axis).unwrap_or(1) as u64);
        extents.fold(1, u64::saturating_mul)
    };
    let computes = graph
        .nodes
        .iter()
        .filter(|node| matches!(macs_of(node, &context), Macs::Terms(_)));
    let moved = computes.map(|node| {
        let read = node.inputs.first().and_then(Option::as_ref);
        let given = node.outputs.first();
        read.into_iter()
            .chain(given)
            .map(of_value)
            .fold(0, u64::saturating_add)
    });
    Ok(moved.fold(0, u64::saturating_add))
}
