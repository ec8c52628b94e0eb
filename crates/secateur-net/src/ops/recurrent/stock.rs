//! A whole sequence by stock operations, step by step on the tape.

use burn::tensor::{Tensor, TensorData};

use super::States;
use super::cell::{Cell, Sequence, Stock};
use crate::pass::Pass;
use crate::value::Dense;

/// What a sequence is computed from.
pub(super) struct Operands {
    /// The input's share of the gates, `[seq, n, gates · hidden]`.
    pub given: Dense,
    /// `[gates · hidden, hidden]`
    pub again: Dense,
    /// Peepholes, or a bias that is kept apart.
    pub extra: Option<Dense>,
    /// `[n, hidden]`
    pub hidden: Dense,
    pub cell: Dense,
}

/// Runs all steps.
pub(super) fn run(
    pass: &Pass<'_>,
    cell: &dyn Cell,
    sequence: &Sequence,
    operands: &Operands,
) -> States {
    let (mut state, mut inner) = (operands.hidden.clone(), operands.cell.clone());
    let rows = operands.given.dims()[2];
    let mut all: Vec<Option<Dense>> = vec![None; sequence.steps];
    for t in sequence.order() {
        let given = operands.given.narrow(0, t..t + 1);
        let step = Stock {
            given: given.reshape(&[sequence.n, rows]),
            again: &operands.again,
            extra: operands.extra.as_ref(),
            state: &state,
            cell: &inner,
        };
        let (next, next_inner) = cell.stock(step);
        let mut output = next.clone();
        if sequence.ended(t).next().is_none() {
            (state, inner) = (next, next_inner);
        } else {
            let runs = live(pass, sequence, t);
            let ended = runs.neg().add_scalar(1.0);
            output = next.mul(&runs);
            state = output.add(&state.mul(&ended));
            inner = next_inner.mul(&runs).add(&inner.mul(&ended));
        }
        all[t] = Some(output.reshape(&[1, sequence.n, sequence.hidden]));
    }
    States {
        all: Dense::concat(all.into_iter().flatten().collect(), 0),
        last: state,
        last_cell: inner,
    }
}

/// 1 for every sample that has a step at place `t`, else 0: `[n, 1]`.
fn live(pass: &Pass<'_>, sequence: &Sequence, t: usize) -> Dense {
    let mut live = vec![1.0f32; sequence.n];
    sequence.ended(t).for_each(|sample| live[sample] = 0.0);
    let data = TensorData::new(live, [sequence.n, 1]);
    Dense::from_tensor(Tensor::<2>::from_data(data, &pass.device))
}
