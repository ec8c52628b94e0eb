//! What the three recurrent layers have in common: one step of all samples, and its gradient.

use std::fmt::Debug;
use std::ops::Range;

use secateur_cpu::conv::Activation;
use secateur_cpu::linear;

use super::States;
use crate::ops::activation::{Map, Slope};
use crate::ops::function::Function;
use crate::value::Dense;

/// A sequence of steps in one direction.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    /// Number of steps.
    pub steps: usize,
    /// Number of samples.
    pub n: usize,
    /// Number of hidden values.
    pub hidden: usize,
    /// From the last step to the first.
    pub reverse: bool,
    /// Steps of every sample. Behind them its state stays, and its output is 0.
    pub lengths: Vec<usize>,
}

impl Sequence {
    /// Places of the steps, in the order in which they are taken.
    pub fn order(&self) -> Vec<usize> {
        let steps = 0..self.steps;
        if self.reverse {
            steps.rev().collect()
        } else {
            steps.collect()
        }
    }

    /// Values of a state of all samples.
    pub fn state_len(&self) -> usize {
        self.n * self.hidden
    }

    /// All outputs side by side: of the steps, the last, and the last state of the cell.
    pub fn output_len(&self) -> usize {
        (self.steps + 2) * self.state_len()
    }

    /// Samples that have no step at place `t`.
    pub fn ended(&self, t: usize) -> impl Iterator<Item = usize> {
        let lengths = self.lengths.iter().enumerate();
        lengths
            .filter(move |&(_, &len)| t >= len)
            .map(|(sample, _)| sample)
    }

    /// The outputs apart.
    pub fn states(&self, output: &Dense) -> States {
        let (len, all) = (self.state_len(), self.steps * self.state_len());
        let state = |range: Range<usize>| output.narrow(0, range).reshape(&[self.n, self.hidden]);
        let steps = output.narrow(0, 0..all);
        States {
            all: steps.reshape(&[self.steps, self.n, self.hidden]),
            last: state(all..all + len),
            last_cell: state(all + len..all + 2 * len),
        }
    }
}

/// One step of all samples on plain memory: states are `[n, hidden]`, gates `[n, gates · hidden]`.
pub(super) struct Forward<'a> {
    /// Weights of what goes round, `[gates · hidden, hidden]`.
    pub again: &'a [f32],
    /// Peepholes, or a bias that is kept apart; empty without.
    pub extra: &'a [f32],
    /// The states before.
    pub before: &'a [f32],
    pub cell_before: &'a [f32],
    /// The input's share of the gates; afterwards the sums that the functions were applied to.
    pub sums: &'a mut [f32],
    /// The gates.
    pub gates: &'a mut [f32],
    /// What the cell keeps for its gradient, `[n, hidden]`.
    pub kept: &'a mut [f32],
    /// The states after.
    pub after: &'a mut [f32],
    pub cell_after: &'a mut [f32],
}

/// The gradient of a step.
pub(super) struct Backward<'a> {
    pub again: &'a [f32],
    pub extra: &'a [f32],
    pub before: &'a [f32],
    pub cell_before: &'a [f32],
    pub sums: &'a [f32],
    pub gates: &'a [f32],
    pub kept: &'a [f32],
    pub cell_after: &'a [f32],
    /// Gradient of the state after; afterwards of that before.
    pub state: &'a mut [f32],
    pub cell: &'a mut [f32],
    /// Gradient of the sums, which is that of the input's share.
    pub sum_gradient: &'a mut [f32],
    /// Gradient of what went round, before the weights; as that of the sums but for some gates.
    pub product_gradient: &'a mut [f32],
    /// Gradient of `extra`, to add to.
    pub extra_gradient: &'a mut [f32],
}

/// A recurrent layer's cell.
pub(super) trait Cell: Debug + Send + Sync {
    /// Number of gates: runs of rows of the weights.
    fn gates(&self) -> usize;

    /// True if the last gate's recurrent bias goes with what goes round.
    fn keeps_bias(&self) -> bool {
        false
    }

    /// The step.
    fn forward(&self, hidden: usize, step: Forward<'_>);

    /// Its gradient.
    fn backward(&self, hidden: usize, step: Backward<'_>);

    /// The last gate's product goes over `kept` instead of the state before.
    fn multiplies_kept(&self) -> bool {
        false
    }

    /// The step by stock operations: input's share, weights, `extra`, state, state of the cell.
    fn stock(&self, step: Stock<'_>) -> (Dense, Dense);
}

/// A step by stock operations.
pub(super) struct Stock<'a> {
    /// `[n, gates · hidden]`
    pub given: Dense,
    /// `[gates · hidden, hidden]`
    pub again: &'a Dense,
    pub extra: Option<&'a Dense>,
    /// `[n, hidden]`
    pub state: &'a Dense,
    pub cell: &'a Dense,
}

impl Stock<'_> {
    /// state · againᵀ for the gates in `range`.
    pub fn product(&self, state: &Dense, range: Range<usize>) -> Dense {
        state.matmul(&self.rows(range).permute(&[1, 0]))
    }

    fn rows(&self, gates: Range<usize>) -> Dense {
        let hidden = self.again.dims()[1];
        self.again
            .narrow(0, gates.start * hidden..gates.end * hidden)
    }

    /// Gate `index` of `gates`.
    pub fn gate(&self, gates: &Dense, index: usize) -> Dense {
        let hidden = self.again.dims()[1];
        gates.narrow(1, index * hidden..(index + 1) * hidden)
    }
}

/// The bias of the input's share, and the positions `kept` of the recurrent bias, which are not
/// part of it.
pub(super) fn join_biases(
    own: &Dense,
    again: &Dense,
    kept: Range<usize>,
) -> (Option<Dense>, Option<Dense>) {
    if kept.is_empty() {
        return (Some(own.add(again)), None);
    }
    let (first, last) = (0..kept.start, kept.clone());
    let joined = own.narrow(0, first.clone()).add(&again.narrow(0, first));
    let parts = vec![joined, own.narrow(0, last.clone())];
    (Some(Dense::concat(parts, 0)), Some(again.narrow(0, last)))
}

/// sums += before · againᵀ for the gates in `range`, of `gates`.
pub(super) fn add_product(
    (gates, range): (usize, Range<usize>),
    hidden: usize,
    before: &[f32],
    again: &[f32],
    sums: &mut [f32],
) {
    let n = before.len() / hidden;
    let width = range.len() * hidden;
    let rows = &again[range.start * hidden * hidden..range.end * hidden * hidden];
    let mut product = vec![0.0; n * width];
    linear::forward(
        n,
        hidden,
        width,
        before,
        rows,
        None,
        Activation::None,
        &mut product,
    );
    for (sums, product) in sums
        .chunks_exact_mut(gates * hidden)
        .zip(product.chunks_exact(width))
    {
        let sums = &mut sums[range.start * hidden..range.end * hidden];
        sums.iter_mut()
            .zip(product)
            .for_each(|(sum, by)| *sum += by);
    }
}

/// gradient += product_gradient · again for the gates in `range`, of `gates`.
pub(super) fn add_back(
    (gates, range): (usize, Range<usize>),
    hidden: usize,
    product_gradient: &[f32],
    again: &[f32],
    gradient: &mut [f32],
) {
    let n = gradient.len() / hidden;
    let width = range.len() * hidden;
    let rows = &again[range.start * hidden * hidden..range.end * hidden * hidden];
    let mut turned = vec![0.0; rows.len()];
    secateur_cpu::layout::swap_planes([1, width, hidden], rows, &mut turned);
    let columns = pick_columns(
        product_gradient,
        gates * hidden,
        range.start * hidden,
        width,
    );
    let mut product = vec![0.0; n * hidden];
    linear::forward(
        n,
        width,
        hidden,
        &columns,
        &turned,
        None,
        Activation::None,
        &mut product,
    );
    gradient
        .iter_mut()
        .zip(product)
        .for_each(|(sum, by)| *sum += by);
}

/// Columns `start..start + width` of rows of `len`.
pub(super) fn pick_columns(values: &[f32], len: usize, start: usize, width: usize) -> Vec<f32> {
    let rows = values.chunks_exact(len);
    rows.flat_map(|row| &row[start..start + width])
        .copied()
        .collect()
}

/// y = f(x)
pub(super) fn apply(f: Function, x: &[f32], y: &mut [f32]) {
    f.with_value(Map { x, y });
}

/// gradient *= f'(x), and 0 where x was clipped.
pub(super) fn apply_slope(f: Function, clip: Option<f32>, x: &[f32], gradient: &mut [f32]) {
    let dy = gradient.to_vec();
    f.with_slope(Slope {
        x,
        dy: &dy,
        dx: gradient,
    });
    if let Some(bound) = clip {
        for (gradient, x) in gradient.iter_mut().zip(x) {
            if x.abs() >= bound {
                *gradient = 0.0;
            }
        }
    }
}

/// Bounds the sums.
pub(super) fn clip_to(clip: Option<f32>, sums: &mut [f32]) {
    if let Some(bound) = clip {
        sums.iter_mut()
            .for_each(|sum| *sum = sum.clamp(-bound, bound));
    }
}

/// f of sums, bounded, by stock operations.
pub(super) fn stock_function(f: Function, clip: Option<f32>, sums: &Dense) -> Dense {
    match clip {
        Some(bound) => f.stock(&sums.clamp_min(-bound).clamp_max(bound)),
        None => f.stock(sums),
    }
}
