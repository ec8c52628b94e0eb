//! Rows of a layer at sampled positions, and what its weights make of them.

use std::borrow::Cow;

use rayon::prelude::*;
use secateur_cpu::conv::Activation;
use secateur_cpu::linear;
use secateur_cpu::matrix::Operand;

use super::form::{Extents, group_matrix};
use super::layers::Layer;
use crate::weights::Weights;

/// Rows of all groups, side by side.
pub(super) struct Sampled {
    /// `[rows, groups · columns]`
    pub x: Vec<f32>,
    /// Number of rows.
    pub rows: usize,
    /// Sizes of the layer.
    pub extents: Extents,
}

impl Sampled {
    /// Columns of all groups.
    pub fn width(&self) -> usize {
        self.extents.groups * self.extents.columns
    }

    /// Output channels of all groups.
    pub fn channels(&self) -> usize {
        self.extents.groups * self.extents.c_out
    }

    /// A group's rows.
    pub fn of_group(&self, group: usize) -> Operand<'_, f32> {
        let Extents { columns, .. } = self.extents;
        Operand::rows(&self.x, self.width()).part(group * columns, columns)
    }

    /// What the layer gives for the rows, its bias included: `[rows, channels]`. In 32 bits, as
    /// the network runs.
    pub fn outputs(&self, layer: &Layer, weights: &Weights) -> crate::Result<Vec<f32>> {
        let weight = weights.require(&layer.node, &layer.weight)?;
        let (channels, extents) = (self.channels(), &self.extents);
        let Extents { columns, c_out, .. } = *extents;
        let mut all = vec![0.0; self.rows * channels];
        if all.is_empty() || columns == 0 {
            return Ok(all);
        }
        let bias = match &layer.bias {
            Some(name) => weights.require(&layer.node, name)?.data.clone(),
            None => vec![0.0; channels],
        };
        let of_group = |group: usize| {
            let part = group * columns..(group + 1) * columns;
            let x: Cow<'_, [f32]> = if extents.groups == 1 {
                Cow::Borrowed(&self.x)
            } else {
                let rows = self.x.chunks_exact(self.width());
                Cow::Owned(rows.flat_map(|row| &row[part.clone()]).copied().collect())
            };
            let matrix = group_matrix(&layer.form, weight, extents, group);
            let bias = &bias[group * c_out..][..c_out];
            let mut y = vec![0.0; self.rows * c_out];
            let (rows, none) = (self.rows, Activation::None);
            linear::forward(rows, columns, c_out, &x, &matrix, Some(bias), none, &mut y);
            y
        };
        let products: Vec<Vec<f32>> = (0..extents.groups).into_par_iter().map(of_group).collect();
        for (group, y) in products.iter().enumerate() {
            let rows = all.chunks_exact_mut(channels).zip(y.chunks_exact(c_out));
            rows.for_each(|(row, y)| row[group * c_out..][..c_out].copy_from_slice(y));
        }
        Ok(all)
    }
}
