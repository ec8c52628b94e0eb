//! A whole sequence as one operation on plain memory.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use secateur_cpu::linear;
use secateur_cpu::memory::Buffer;

use super::cell::{Backward, Cell, Forward, Sequence, pick_columns};
use crate::extension::{FusedOp, InputGradients, MAX_INPUTS};
use crate::lock::lock;

/// All steps of one direction. Inputs: the input's share of the gates, the weights of what goes
/// round, `extra`, the first states. Output: see [`Sequence::output_len`].
#[derive(Debug)]
pub(super) struct SequenceCall {
    cell: Arc<dyn Cell>,
    sequence: Sequence,
    has_extra: bool,
    saved: Mutex<Saved>,
}

/// What the gradient needs, in the order in which steps are taken.
#[derive(Debug, Default)]
struct Saved {
    /// One more than steps.
    states: Vec<f32>,
    cells: Vec<f32>,
    sums: Vec<f32>,
    gates: Vec<f32>,
    kept: Vec<f32>,
}

impl SequenceCall {
    pub fn new(cell: Arc<dyn Cell>, sequence: Sequence, has_extra: bool) -> Self {
        Self {
            cell,
            sequence,
            has_extra,
            saved: Mutex::default(),
        }
    }

    /// Values of all gates of a step.
    fn gates_len(&self) -> usize {
        self.cell.gates() * self.sequence.state_len()
    }

    fn extra<'a>(&self, extra: &'a [f32]) -> &'a [f32] {
        if self.has_extra { extra } else { &[] }
    }

    /// Values of sample `sample` in a state.
    fn of_sample(&self, sample: usize) -> Range<usize> {
        let hidden = self.sequence.hidden;
        sample * hidden..(sample + 1) * hidden
    }

    fn run(&self, [given, again, extra, hidden, cell, _]: [&[f32]; MAX_INPUTS]) -> Saved {
        let (len, wide) = (self.sequence.state_len(), self.gates_len());
        let order = self.sequence.order();
        let mut saved = Saved {
            states: hidden.to_vec(),
            cells: cell.to_vec(),
            sums: Vec::with_capacity(given.len()),
            gates: vec![0.0; given.len()],
            kept: vec![0.0; order.len() * len],
        };
        saved.states.resize((order.len() + 1) * len, 0.0);
        saved.cells.resize((order.len() + 1) * len, 0.0);
        for (index, &t) in order.iter().enumerate() {
            saved.sums.extend(&given[t * wide..(t + 1) * wide]);
            let (before, after) = saved.states.split_at_mut((index + 1) * len);
            let (cell_before, cell_after) = saved.cells.split_at_mut((index + 1) * len);
            let (before, after) = (&before[index * len..], &mut after[..len]);
            let (cell_before, cell_after) = (&cell_before[index * len..], &mut cell_after[..len]);
            let step = Forward {
                again,
                extra: self.extra(extra),
                before,
                cell_before,
                sums: &mut saved.sums[index * wide..],
                gates: &mut saved.gates[index * wide..(index + 1) * wide],
                kept: &mut saved.kept[index * len..(index + 1) * len],
                after,
                cell_after,
            };
            self.cell.forward(self.sequence.hidden, step);
            for sample in self.sequence.ended(t) {
                let own = self.of_sample(sample);
                after[own.clone()].copy_from_slice(&before[own.clone()]);
                cell_after[own.clone()].copy_from_slice(&cell_before[own]);
            }
        }
        saved
    }

    /// Gradient of the weights of what goes round, from that of the products of all steps.
    fn again_gradient(&self, saved: &Saved, again: &[f32], products: &[f32]) -> Buffer {
        let (hidden, gates) = (self.sequence.hidden, self.cell.gates());
        let rows = self.sequence.steps * self.sequence.n;
        let mut gradient = Buffer::get(again.len());
        let split = gates - usize::from(self.cell.multiplies_kept());
        let states = &saved.states[..rows * hidden];
        for (range, read) in [(0..split, states), (split..gates, saved.kept.as_slice())] {
            if range.is_empty() {
                continue;
            }
            let width = range.len() * hidden;
            let own = range.start * hidden * hidden..range.end * hidden * hidden;
            let dy = pick_columns(products, gates * hidden, range.start * hidden, width);
            let (weights, to) = (&again[own.clone()], &mut gradient[own]);
            linear::backward(rows, hidden, width, read, weights, &dy, None, to, None);
        }
        gradient
    }
}

impl FusedOp for SequenceCall {
    fn output_shape(&self) -> Vec<usize> {
        vec![self.sequence.output_len()]
    }

    fn forward(&self, inputs: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let saved = self.run(inputs);
        let len = self.sequence.state_len();
        let order = self.sequence.order();
        let mut y = Buffer::zeroed(self.sequence.output_len());
        for (index, &t) in order.iter().enumerate() {
            let to = &mut y[t * len..(t + 1) * len];
            to.copy_from_slice(&saved.states[(index + 1) * len..(index + 2) * len]);
            for sample in self.sequence.ended(t) {
                to[self.of_sample(sample)].fill(0.0);
            }
        }
        let (last, ends) = (order.len() * len, &mut y[order.len() * len..]);
        ends[..len].copy_from_slice(&saved.states[last..]);
        ends[len..].copy_from_slice(&saved.cells[last..]);
        *lock(&self.saved) = saved;
        y.into()
    }

    fn backward(
        &self,
        [_, again, extra, hidden, ..]: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let saved = lock(&self.saved);
        let (len, wide) = (self.sequence.state_len(), self.gates_len());
        let order = self.sequence.order();
        let ends = &dy[order.len() * len..];
        let (mut state, mut cell) = (ends[..len].to_vec(), ends[len..].to_vec());
        let mut given = Buffer::zeroed(order.len() * wide);
        // In the order in which steps are taken.
        let mut products = vec![0.0; order.len() * wide];
        let mut extra_gradient = Buffer::zeroed(extra.len());
        for (index, &t) in order.iter().enumerate().rev() {
            // The state of a sample that has ended goes by.
            let mut by: Vec<(Range<usize>, Vec<f32>, Vec<f32>)> = Vec::new();
            for (state, dy) in state.iter_mut().zip(&dy[t * len..(t + 1) * len]) {
                *state += dy;
            }
            for sample in self.sequence.ended(t) {
                let own = self.of_sample(sample);
                for (state, dy) in state[own.clone()]
                    .iter_mut()
                    .zip(&dy[t * len..][own.clone()])
                {
                    *state -= dy;
                }
                by.push((
                    own.clone(),
                    state[own.clone()].to_vec(),
                    cell[own.clone()].to_vec(),
                ));
                state[own.clone()].fill(0.0);
                cell[own].fill(0.0);
            }
            let (at, own) = (
                index * wide..(index + 1) * wide,
                index * len..(index + 1) * len,
            );
            self.cell.backward(
                self.sequence.hidden,
                Backward {
                    again,
                    extra: self.extra(extra),
                    before: &saved.states[own.clone()],
                    cell_before: &saved.cells[own.clone()],
                    sums: &saved.sums[at.clone()],
                    gates: &saved.gates[at.clone()],
                    kept: &saved.kept[own],
                    cell_after: &saved.cells[(index + 1) * len..(index + 2) * len],
                    state: &mut state,
                    cell: &mut cell,
                    sum_gradient: &mut given[t * wide..(t + 1) * wide],
                    product_gradient: &mut products[at],
                    extra_gradient: &mut extra_gradient,
                },
            );
            for (own, state_by, cell_by) in by {
                state[own.clone()].copy_from_slice(&state_by);
                cell[own].copy_from_slice(&cell_by);
            }
        }
        let mut gradients = InputGradients::default();
        if wanted[1] {
            gradients[1] = Some(self.again_gradient(&saved, again, &products));
        }
        gradients[0] = wanted[0].then_some(given);
        gradients[2] = (wanted[2] && self.has_extra).then_some(extra_gradient);
        debug_assert_eq!(state.len(), hidden.len());
        gradients[3] = wanted[3].then(|| Buffer::from(state.as_slice()));
        gradients[4] = wanted[4].then(|| Buffer::from(cell.as_slice()));
        gradients
    }
}
