//! The rows of a layer in a compact network, at the positions that the original was sampled at.

use secateur_onnx::coupling::{ChannelGroups, Masks};

use super::fit::Rows;
use super::form::{Extents, unravel};
use super::original::{Other, Target};
use super::plain::Plain;
use super::sampled::Sampled;
use crate::interpreter::Walk;
use crate::weights::Weights;

/// A walk of a compact network over all inputs, in front of a step.
pub(super) struct CompactWalk<'a, 'n> {
    pub walk: &'a Walk<'n>,
    pub weights: &'a Weights,
    pub groups: &'a ChannelGroups,
    pub masks: &'a Masks,
    /// Batches that are fitted.
    pub fit: usize,
}

impl CompactWalk<'_, '_> {
    /// The rows of a layer and what it should give for them; `None` if its values do not fit
    /// those of the original. `terms` is what the layer gives that was solved just before.
    pub fn rows(&self, target: &Target, terms: Option<Vec<f32>>) -> Option<Rows> {
        let layer = &target.layer;
        let shape = &self.weights.get(&layer.weight)?.shape;
        let rank = target.extents.first()?.len() + 1;
        let axis = layer.form.channel_axis(rank)?;
        let kept = |axis| self.groups.kept_along(&layer.output, axis, self.masks);
        let channels = kept(axis).unwrap_or_else(|| (0..target.channels).collect());
        // Positions that may go: where channels lie along another axis of the output.
        let places: Vec<Option<Vec<usize>>> =
            (0..rank).filter(|&other| other != axis).map(kept).collect();
        let mut gathered = Gathered::default();
        for (batch, positions) in target.positions.iter().enumerate() {
            let input = Plain::new(&self.walk.value(batch, &layer.input)?, self.walk.device());
            let mut dims = layer.form.positions(&input.dims)?;
            let moved = moved(positions, &target.extents[batch], &dims, &places)?;
            let positions: Vec<usize> = moved.iter().map(|&(_, position)| position).collect();
            let extents = layer.form.extents(shape, &input.dims, channels.len())?;
            let start = gathered.x.len();
            let width = extents.groups * extents.columns;
            gathered.x.resize(start + positions.len() * width, 0.0);
            layer
                .form
                .rows(&input, &positions, &mut gathered.x[start..]);
            gathered.extents = Some(extents);
            gathered.keep(target.positions[batch].len(), &moved, batch < self.fit);
            dims.insert(axis, channels.len());
            if matches!(target.sum, Some((_, Other::Value))) {
                let other = self.other_term(batch, target, &dims);
                gathered.add_others(other.map(|other| other.channels(&positions, axis)));
            }
        }
        let others = match &target.sum {
            Some((_, Other::Value)) => gathered.others.take(),
            Some((_, Other::Layer)) => terms,
            None => None,
        };
        let picked = |values: &[f32]| pick(values, target.channels, &gathered.rows, &channels);
        let lacks = target
            .sum
            .as_ref()
            .zip(others)
            .and_then(|((sum, _), others)| {
                let mut lacks = picked(sum);
                let fits = lacks.len() == others.len();
                lacks
                    .iter_mut()
                    .zip(others)
                    .for_each(|(sum, other)| *sum -= other);
                fits.then_some(lacks)
            });
        Some(Rows {
            wanted: picked(&target.own),
            lacks,
            fit: gathered.fit,
            sampled: Sampled {
                rows: gathered.rows.len(),
                x: gathered.x,
                extents: gathered.extents?,
            },
        })
    }

    /// The other term of the sum of a layer in one batch, if it is there with these extents.
    fn other_term(&self, batch: usize, target: &Target, dims: &[usize]) -> Option<Plain> {
        let other = self.walk.value(batch, target.layer.other_term.as_ref()?)?;
        (other.onnx_dims() == dims).then(|| Plain::new(&other, self.walk.device()))
    }
}

/// Rows of the batches so far.
#[derive(Default)]
struct Gathered {
    x: Vec<f32>,
    extents: Option<Extents>,
    /// Which rows of the original they are, of how many.
    rows: Vec<usize>,
    original: usize,
    /// Those of batches that are fitted.
    fit: usize,
    /// The other term; `None` if a batch lacks it.
    others: Option<Vec<f32>>,
    batches: usize,
}

impl Gathered {
    /// Takes in which of `original` rows of a batch are left.
    fn keep(&mut self, original: usize, moved: &[(usize, usize)], is_fitted: bool) {
        let first = self.original;
        self.rows
            .extend(moved.iter().map(|&(index, _)| first + index));
        self.original += original;
        if is_fitted {
            self.fit = self.rows.len();
        }
    }

    fn add_others(&mut self, more: Option<Vec<f32>>) {
        self.others = match (self.others.take(), more) {
            (Some(others), Some(more)) => Some([others, more].concat()),
            (None, more) if self.batches == 0 => more,
            _ => None,
        };
        self.batches += 1;
    }
}

/// Elements of a matrix of `columns` columns.
fn pick(values: &[f32], columns: usize, rows: &[usize], kept: &[usize]) -> Vec<f32> {
    let rows = rows.iter();
    rows.flat_map(|row| {
        kept.iter()
            .map(move |column| values[row * columns + column])
    })
    .collect()
}

/// The positions that are left, with their index and where they lie now; `None` if extents do
/// not fit what is left.
fn moved(
    positions: &[usize],
    original: &[usize],
    now: &[usize],
    kept: &[Option<Vec<usize>>],
) -> Option<Vec<(usize, usize)>> {
    if kept.iter().all(Option::is_none) {
        return (original == now).then(|| positions.iter().copied().enumerate().collect());
    }
    let mut places: Vec<Vec<Option<usize>>> = Vec::new();
    for ((&extent, &left), kept) in original.iter().zip(now).zip(kept) {
        let mut place = vec![None; extent];
        match kept {
            Some(kept) => kept
                .iter()
                .enumerate()
                .for_each(|(at, &position)| place[position] = Some(at)),
            None => (0..extent).for_each(|at| place[at] = Some(at)),
        }
        if place.iter().flatten().count() != left {
            return None;
        }
        places.push(place);
    }
    let position_now = |&position: &usize| {
        let at = unravel(position, original);
        let mut sum = 0;
        for (axis, index) in at.into_iter().enumerate() {
            sum = sum * now[axis] + places[axis][index]?;
        }
        Some(sum)
    };
    let found = positions.iter().map(position_now).enumerate();
    Some(
        found
            .filter_map(|(index, now)| Some((index, now?)))
            .collect(),
    )
}
