//! Multiply-adds of matrix products, for one sample.
//!
//! A product multiplies as often as its output and the axes that it sums over have positions
//! together. Where the batch lies among them does not matter: a batch of eight takes eight times as
//! many.

use super::rule::{MacTerm, Macs};
use crate::extents::{AxisOf, ShapeContext};

/// The axes of a product.
pub(super) struct Product {
    /// Axes over which the stored operand is repeated; all of the output's, where none is stored.
    /// If the first is not known it is taken for the batch.
    pub rows: Vec<AxisOf>,
    /// Axes of the stored operand, or those that are summed over.
    pub columns: Vec<AxisOf>,
}

impl Product {
    /// Multiply-adds of a sample.
    pub(super) fn macs(self, context: &ShapeContext<'_>) -> Macs {
        let extent = |(value, axis): &AxisOf| {
            let shape = context.known.shapes.get(value);
            shape.and_then(|shape| shape.get(*axis)?.fixed())
        };
        let is_batch = |(value, axis): &AxisOf| {
            let shape = context.known.shapes.get(value);
            let dim = shape.and_then(|shape| shape.get(*axis));
            dim.is_some() && dim == context.known.batch.as_ref()
        };
        let mut axes = Vec::with_capacity(self.rows.len() + self.columns.len());
        // Positions of all rows; `None` once the batch is left out of them.
        let mut positions = Some(1usize);
        for (index, axis) in self.rows.into_iter().enumerate() {
            if let Some(extent) = extent(&axis) {
                positions = positions.and_then(|count| count.checked_mul(extent));
                axes.push(axis);
            } else if index == 0 || is_batch(&axis) {
                positions = None;
            } else {
                return Macs::Unknown;
            }
        }
        for axis in self.columns {
            if extent(&axis).is_some() {
                axes.push(axis);
            } else if !is_batch(&axis) {
                return Macs::Unknown;
            }
        }
        let samples = context.known.samples();
        // What does not divide does not run over the batch.
        let divides = positions.is_some_and(|count| count > 0 && count % samples == 0);
        Macs::Terms(vec![MacTerm {
            axes,
            scale: 1,
            samples: if divides { samples as u64 } else { 1 },
        }])
    }
}
