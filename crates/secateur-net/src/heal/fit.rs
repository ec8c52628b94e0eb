//! A layer's weights changed so that its rows give what they should.

use rayon::prelude::*;
use secateur_cpu::matrix::Operand;

use super::Affine;
use super::form::{Extents, taps};
use super::layers::Layer;
use super::ridge::{Problem, Solution};
use super::sampled::Sampled;
use super::solver::{SolvedLayer, Target};
use super::system::product;
use crate::error::Result;
use crate::weights::Weights;

/// Relative error below which a layer gives what it did: rounding.
const EXACT: f64 = 1e-5;

/// Rows of a layer in the compact network, and what it should give there.
pub(super) struct Rows {
    pub sampled: Sampled,
    /// Rows of inputs that are fitted; the others are held out.
    pub fit: usize,
    /// What the layer gives in the original, and what its sum lacks.
    pub wanted: Vec<f32>,
    pub lacks: Option<Vec<f32>>,
}

impl Rows {
    /// Changes the layer's weights; `None` if it gives what it should within rounding, or no row
    /// is left to judge by. And the multiply-adds that this took.
    pub fn solve(
        &self,
        layer: &Layer,
        weights: &mut Weights,
    ) -> Result<(Option<SolvedLayer>, f64)> {
        let Sampled { rows, extents, .. } = self.sampled;
        let channels = self.sampled.channels();
        if channels * extents.columns == 0 || self.fit == 0 || self.fit == rows {
            return Ok((None, 0.0));
        }
        let now = self.sampled.outputs(layer, weights)?;
        let mut multiply_adds = product(rows, channels, extents.columns);
        let affine = Affine::new(layer, weights, channels);
        let importance = affine.importance();
        let mut residual = self.targets(&affine);
        let deviation = deviation(&residual[self.fit * channels..], channels, &importance);
        let relative = |squares: f64| (squares / deviation.max(f64::MIN_POSITIVE)).sqrt();
        residual.iter_mut().zip(&now).for_each(|(t, y)| *t -= y);
        let problem = |group: usize| Problem {
            x: self.sampled.of_group(group),
            r: Operand::rows(&residual, channels).part(group * extents.c_out, extents.c_out),
            rows,
            fit: self.fit,
            importance: &importance[group * extents.c_out..][..extents.c_out],
            has_constant: layer.constant().is_some(),
        };
        let groups = 0..extents.groups;
        let before: Vec<f64> = groups.clone().map(|g| problem(g).before()).collect();
        let total: f64 = before.iter().sum();
        if !total.is_finite() || relative(total) < EXACT {
            return Ok((None, multiply_adds));
        }
        let solutions: Vec<(Option<Solution>, f64)> =
            groups.into_par_iter().map(|g| problem(g).solve()).collect();
        let (mut after, mut strengths) = (0.0, Vec::new());
        for (group, ((found, taken), before)) in solutions.iter().zip(&before).enumerate() {
            multiply_adds += taken;
            after += found.as_ref().map_or(*before, |found| found.held_out);
            if let Some(found) = found {
                strengths.push(found.strength);
                apply(layer, &extents, group, found, weights);
            }
        }
        strengths.sort_unstable_by(f64::total_cmp);
        let solved = SolvedLayer {
            node: layer.node.clone(),
            target: self.lacks.as_ref().map_or(Target::Own, |_| Target::Sum),
            rows,
            columns: extents.columns,
            before: relative(total),
            after: relative(after),
            strength: strengths.get(strengths.len() / 2).copied(),
            seconds: 0.0,
        };
        Ok((Some(solved), multiply_adds))
    }

    /// What the layer should give: what its sum lacks, as the layer's own output in front of its
    /// batch norm, or what it gave, where there is no sum or it hardly tells.
    fn targets(&self, affine: &Affine) -> Vec<f32> {
        let mut wanted = self.wanted.clone();
        let heard = affine.is_heard();
        let rows = wanted.chunks_exact_mut(heard.len());
        for (wanted, lacks) in rows.zip(self.lacks.iter().flat_map(|l| l.chunks_exact(heard.len())))
        {
            for channel in (0..heard.len()).filter(|&channel| heard[channel]) {
                wanted[channel] = affine.undo(channel, lacks[channel]);
            }
        }
        wanted
    }

    /// What the layer adds to a sum with its present weights.
    pub fn terms(&self, layer: &Layer, weights: &Weights) -> Result<Vec<f32>> {
        let now = self.sampled.outputs(layer, weights)?;
        Ok(Affine::new(layer, weights, self.sampled.channels()).all(&now))
    }
}

/// Sum of the squared deviations from the mean, by channel, each with its importance.
fn deviation(values: &[f32], channels: usize, importance: &[f64]) -> f64 {
    let of_channel = |channel: usize| {
        let column = values.iter().skip(channel).step_by(channels);
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for &value in column {
            let value = f64::from(value);
            (n, sum, squares) = (n + 1.0, sum + value, squares + value * value);
        }
        importance[channel] * (squares - sum * sum / f64::max(n, 1.0)).max(0.0)
    };
    (0..channels).map(of_channel).sum()
}

/// Adds a change to a group's weights, and its constants to what takes them up.
fn apply(
    layer: &Layer,
    extents: &Extents,
    group: usize,
    solution: &Solution,
    weights: &mut Weights,
) {
    if let Some(weight) = weights.get_mut(&layer.weight) {
        for (at, offset) in layer.form.weights_of(extents, taps(weight), group) {
            let change = solution.delta[at.column * extents.c_out + at.channel];
            weight.data[offset] += change as f32;
        }
    }
    if let Some(constant) = layer.constant()
        && let Some(weight) = weights.get_mut(constant)
    {
        for (channel, change) in solution.constant.iter().enumerate() {
            weight.data[group * extents.c_out + channel] += (layer.constant_sign() * change) as f32;
        }
    }
}
