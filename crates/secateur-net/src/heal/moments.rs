//! Second moments of what layers read in the original: how much of a kernel the others can make
//! up for follows from them.

use std::collections::HashMap;

use indexmap::IndexMap;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use secateur_cpu::matrix::{Half, Operand, add_products};
use secateur_onnx::coupling::{ChannelGroup, ChannelGroups, Role};

use super::form::{Extents, group_matrix, taps};
use super::layers::Layer;
use super::plain::Plain;
use super::system::product;
use super::{Affine, Inputs, SolveOptions};
use crate::error::Result;
use crate::interpreter::{Interpreter, Walk};
use crate::weights::Weights;

/// Columns of a layer's rows that are looked at; of wider ones some of each kernel's, evenly.
const COLUMNS: usize = 2048;

/// A group whose kernels a layer reads, and the columns of each.
#[derive(Debug, Clone)]
pub(super) struct Read {
    /// The group.
    pub group: usize,
    /// Columns of each kernel, counted among those that are looked at.
    pub columns: Vec<Vec<usize>>,
}

/// What a layer reads, and what it makes of it.
pub(super) struct Moments {
    /// Its node.
    pub node: String,
    /// The groups that it reads.
    pub reads: Vec<Read>,
    /// Columns of its rows that are looked at, of how many.
    picked: Vec<usize>,
    width: usize,
    /// Rows so far.
    rows: usize,
    sums: Vec<f64>,
    /// Lower half of XᵀX.
    gram: Vec<f64>,
    /// `[columns, c_out]`, by what an error of each output channel counts.
    pub weights: Vec<f64>,
    pub c_out: usize,
    /// What an error of each output channel counts.
    importance: Vec<f64>,
    has_constant: bool,
}

impl Moments {
    /// Of a layer; `None` if it reads nothing that may go, or its attribute `group` is above 1:
    /// then what it reads goes with what it gives.
    fn new(layer: &Layer, groups: &ChannelGroups, weights: &Weights) -> Result<Option<Self>> {
        let weight = weights.require(&layer.node, &layer.weight)?;
        let mut reads = reads(layer, groups, taps(weight));
        if reads.is_empty() || layer.form.groups() > 1 {
            return Ok(None);
        }
        let c_out = layer.form.c_out(&weight.shape);
        let extents = Extents {
            groups: 1,
            columns: weight.data.len() / c_out.max(1),
            c_out,
        };
        let picked = thinned(&mut reads, extents.columns);
        let scale = Affine::new(layer, weights, c_out).importance();
        let matrix = group_matrix(&layer.form, weight, &extents, 0);
        let value = |column: usize, channel: usize| {
            f64::from(matrix[channel * extents.columns + column]) * scale[channel].sqrt()
        };
        let of_column = |&column: &usize| (0..c_out).map(move |channel| (column, channel));
        let places = picked.iter().flat_map(of_column);
        Ok(Some(Self {
            reads,
            weights: places
                .map(|(column, channel)| value(column, channel))
                .collect(),
            node: layer.node.clone(),
            rows: 0,
            importance: scale,
            sums: vec![0.0; picked.len()],
            gram: vec![0.0; picked.len() * picked.len()],
            picked,
            width: extents.columns,
            c_out,
            has_constant: layer.constant().is_some(),
        }))
    }

    /// Number of columns that are looked at.
    pub fn columns(&self) -> usize {
        self.picked.len()
    }

    /// The parameters of the layer with these weights, of the form of [`Self::weights`], in place of its own;
    /// what it gives keeps its mean where it has a constant. `None` where only some of its columns are
    /// looked at, as those say nothing of the others.
    pub fn changed(
        &self,
        layer: &Layer,
        weights: &Weights,
        new: &[f64],
    ) -> Option<Vec<(String, Vec<f32>)>> {
        if self.columns() < self.width {
            return None;
        }
        let weight = weights.get(&layer.weight)?;
        let extents = Extents {
            groups: 1,
            columns: self.width,
            c_out: self.c_out,
        };
        let mut values = weight.data.clone();
        let mut constants = vec![0.0; self.c_out];
        for (at, offset) in layer.form.weights_of(&extents, taps(weight), 0) {
            let scale = self.importance[at.channel].sqrt();
            if scale > 0.0 {
                let index = at.column * self.c_out + at.channel;
                let change = (new[index] - self.weights[index]) / scale;
                values[offset] += change as f32;
                constants[at.channel] -= change * self.sums[at.column] / self.rows.max(1) as f64;
            }
        }
        let mut changed = vec![(layer.weight.clone(), values)];
        if let Some(name) = layer.constant() {
            let mut values = weights.get(name)?.data.clone();
            let constants = values.iter_mut().zip(&constants);
            constants.for_each(|(value, change)| *value += (layer.constant_sign() * change) as f32);
            changed.push((name.to_string(), values));
        }
        Some(changed)
    }

    /// Takes in what the layer reads at `count` sampled positions of a batch; returns the
    /// multiply-adds.
    fn add(&mut self, layer: &Layer, input: &Plain, count: usize, rng: &mut ChaCha8Rng) -> f64 {
        let Some(extents) = layer.form.positions(&input.dims) else {
            return 0.0;
        };
        let all: usize = extents.iter().product();
        let positions = rand::seq::index::sample(rng, all, count.min(all)).into_vec();
        let mut x = vec![0.0; positions.len() * self.width];
        layer.form.rows(input, &positions, &mut x);
        let n = self.columns();
        if n < self.width {
            let rows = x.chunks_exact(self.width);
            x = rows
                .flat_map(|row| self.picked.iter().map(|&column| row[column]))
                .collect();
        }
        for row in x.chunks_exact(n) {
            let values = self.sums.iter_mut().zip(row);
            values.for_each(|(sum, &value)| *sum += f64::from(value));
        }
        let x = Operand::rows(&x, n);
        add_products(1.0, (x, x), positions.len(), &mut self.gram, n, Half::Lower);
        self.rows += positions.len();
        product(positions.len(), n, n) / 2.0
    }

    /// Both halves of XᵀX over the number of rows, without the mean where a constant makes up
    /// for it.
    pub fn covariance(&self) -> Vec<f64> {
        let (n, rows) = (self.columns(), self.rows.max(1) as f64);
        let mean = |column: usize| match self.has_constant {
            true => self.sums[column] / rows,
            false => 0.0,
        };
        let mut covariance = vec![0.0; n * n];
        for row in 0..n {
            for column in 0..=row {
                let value = self.gram[row * n + column] / rows - mean(row) * mean(column);
                covariance[row * n + column] = value;
                covariance[column * n + row] = value;
            }
        }
        covariance
    }
}

/// The groups that a layer reads whose kernels may go.
fn reads(layer: &Layer, groups: &ChannelGroups, taps: usize) -> Vec<Read> {
    let of_kernel = |positions: &Vec<usize>| -> Vec<usize> {
        let positions = positions.iter();
        positions
            .flat_map(|position| (0..taps).map(move |tap| position * taps + tap))
            .collect()
    };
    let of_group = |(group, of): (usize, &ChannelGroup)| {
        let mut members = of.members.iter();
        let member = members.find(|m| m.tensor == layer.weight && m.role == Role::Input)?;
        of.pinned.is_none().then(|| Read {
            group,
            columns: member.positions.iter().map(of_kernel).collect(),
        })
    };
    groups
        .groups
        .iter()
        .enumerate()
        .filter_map(of_group)
        .collect()
}

/// Leaves at most [`COLUMNS`] of a layer's `columns`, evenly of each kernel, and all that belong
/// to none; returns them, and counts those of the kernels among them.
fn thinned(reads: &mut [Read], columns: usize) -> Vec<usize> {
    let mut kept = vec![true; columns];
    for kernel in reads.iter_mut().flat_map(|read| &mut read.columns) {
        kernel.iter().for_each(|&column| kept[column] = false);
        let have = kernel.len();
        let take = (COLUMNS * have / columns.max(COLUMNS)).clamp(1, have.max(1));
        let at = |index: usize| kernel[(index * have + have / 2) / take];
        *kernel = (0..take.min(have)).map(at).collect();
        kernel.iter().for_each(|&column| kept[column] = true);
    }
    let picked: Vec<usize> = (0..columns).filter(|&column| kept[column]).collect();
    let mut place = vec![0; columns];
    picked
        .iter()
        .enumerate()
        .for_each(|(at, &column)| place[column] = at);
    for column in reads.iter_mut().flat_map(|r| &mut r.columns).flatten() {
        *column = place[*column];
    }
    picked
}

/// The moments of all layers that read what may go; and the multiply-adds.
///
/// # Errors
/// As an inference pass.
pub(super) fn moments(
    network: &Interpreter,
    weights: &Weights,
    layers: &HashMap<String, Layer>,
    groups: &ChannelGroups,
    inputs: &Inputs,
    options: &SolveOptions,
) -> Result<(Vec<Moments>, f64)> {
    let mut found: IndexMap<String, Moments> = IndexMap::new();
    let mut multiply_adds = 0.0;
    for (batch, size) in inputs.sizes.iter().enumerate() {
        let mut walk = Walk::new(network, weights, &inputs.named(batch..batch + 1))?;
        let mut index = 0;
        while let Some(node) = walk.node() {
            if let Some(layer) = layers.get(node) {
                index += 1;
                if batch == 0
                    && let Some(new) = Moments::new(layer, groups, weights)?
                {
                    found.insert(node.to_string(), new);
                }
                let input = walk.value(0, &layer.input);
                if let Some((moments, input)) = found.get_mut(node).zip(input) {
                    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
                    rng.set_stream(index << 32 | batch as u64);
                    let rows = options.rows.max(2 * moments.columns());
                    let count = (rows * size).div_ceil(inputs.len());
                    let input = Plain::new(&input, walk.device());
                    multiply_adds += moments.add(layer, &input, count, &mut rng);
                }
            }
            walk.step(weights)?;
        }
    }
    found.retain(|_, moments| moments.rows > 1);
    Ok((found.into_values().collect(), multiply_adds))
}
