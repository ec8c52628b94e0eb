//! Recurrent layers: LSTM, GRU and RNN, in both directions, all outputs in one step.
//!
//! The input's share of all gates is one matrix product over all steps; what goes round is
//! `cell`'s, step by step (`call`, and `stock` by stock operations).
//!
//! Axes with `layout` 0 (1): input `[seq, n, features]` (`[n, seq, features]`); states
//! `[directions, n, hidden]` (`[n, directions, hidden]`).
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__LSTM.html>,
//! <https://onnx.ai/onnx/operators/onnx__GRU.html>,
//! <https://onnx.ai/onnx/operators/onnx__RNN.html> (opset 7 to 22; `layout` from 14).

mod call;
mod cell;
mod gru;
mod lstm;
mod read;
mod rnn;
mod stock;

use std::sync::Arc;

use self::call::SequenceCall;
use self::cell::{Cell, Sequence};
pub use self::read::recurrent;
use super::call::{Call, MultiRule};
use super::linear::product;
use crate::error::Result;
use crate::extension::FusedInputs;
use crate::value::{Dense, Value};

/// Slots of the inputs.
const WEIGHTS: usize = 1;
const AGAIN: usize = 2;
const BIASES: usize = 3;
const LENGTHS: usize = 4;
const HIDDEN: usize = 5;
const CELL: usize = 6;
const PEEPHOLES: usize = 7;

/// A recurrent layer.
#[derive(Debug)]
struct Recurrent {
    /// One or two, each with its own functions.
    directions: Vec<Direction>,
    /// The batch is the first axis.
    batch_first: bool,
}

#[derive(Debug)]
struct Direction {
    cell: Arc<dyn Cell>,
    /// From the last step to the first.
    reverse: bool,
}

/// What one direction gives.
struct States {
    /// `[seq, n, hidden]`
    all: Dense,
    /// `[n, hidden]`
    last: Dense,
    /// Of an LSTM, `[n, hidden]`.
    last_cell: Dense,
}

impl MultiRule for Recurrent {
    fn apply(&self, call: &Call<'_>, slots: &[usize]) -> Result<Vec<Value>> {
        let order: &[usize] = if self.batch_first {
            &[1, 0, 2]
        } else {
            &[0, 1, 2]
        };
        let x = call.dense(0)?;
        if x.dims().len() != 3 {
            return Err(call.misfit("sequences of three axes", format!("{:?}", x.dims())));
        }
        let x = x.permute(order);
        let states: Vec<States> = (0..self.directions.len())
            .map(|index| self.direction(call, &x, index))
            .collect::<Result<_>>()?;
        let joined = |of: fn(&States) -> &Dense, axis: usize| {
            let parts = states.iter().map(|states| {
                let part = of(states);
                let mut dims = part.dims().to_vec();
                dims.insert(axis, 1);
                part.reshape(&dims)
            });
            Dense::concat(parts.collect(), axis)
        };
        let outputs = slots.iter().map(|slot| {
            Value::Dense(match slot {
                0 if self.batch_first => joined(|s| &s.all, 1).permute(&[2, 0, 1, 3]),
                0 => joined(|s| &s.all, 1),
                1 => joined(|s| &s.last, 0).permute(order),
                _ => joined(|s| &s.last_cell, 0).permute(order),
            })
        });
        Ok(outputs.collect())
    }
}

impl Recurrent {
    /// Direction `index` of `x` `[seq, n, features]`.
    fn direction(&self, call: &Call<'_>, x: &Dense, index: usize) -> Result<States> {
        let Direction { cell, reverse } = &self.directions[index];
        let [steps, n, features] = [x.dims()[0], x.dims()[1], x.dims()[2]];
        let count = self.directions.len();
        let again = call.dense(AGAIN)?;
        let hidden = again.dims().last().copied().unwrap_or(0);
        let rows = cell.gates() * hidden;
        let own = |slot: usize, dims: &[usize]| self.part_of(call, slot, index, dims);
        let given = |slot: usize, dims: &[usize]| {
            let is_given = call.optional(slot).is_some();
            is_given.then(|| own(slot, dims)).transpose()
        };
        let weights = own(WEIGHTS, &[count, rows, features])?;
        let again = own(AGAIN, &[count, rows, hidden])?;
        let biases = given(BIASES, &[count, 2 * rows])?;
        let state = |slot: usize| -> Result<Dense> {
            let dims = [count, n, hidden];
            let zeros = || Dense::zeros(&[n, hidden], &call.pass.device);
            Ok(given(slot, &dims)?.unwrap_or_else(zeros))
        };
        let peepholes = given(PEEPHOLES, &[count, 3 * hidden])?;
        let (bias, extra) = match (&biases, cell.keeps_bias()) {
            (Some(biases), kept) => {
                let (own, again) = (biases.narrow(0, 0..rows), biases.narrow(0, rows..2 * rows));
                let kept = if kept { rows - hidden..rows } else { 0..0 };
                cell::join_biases(&own, &again, kept)
            }
            (None, _) => (None, None),
        };
        let flat = x.reshape(&[steps * n, features]).tensor();
        let bias = bias.map(|bias| bias.untyped());
        let given = product(call.pass, flat, rows, flat_of(&weights), bias);
        let sequence = Sequence {
            steps,
            n,
            hidden,
            reverse: *reverse,
            lengths: self.lengths(call, steps, n)?,
        };
        let given = Dense::from_tensor(given);
        let extra = extra.or(peepholes);
        let (hidden, cell_state) = (state(HIDDEN)?, state(CELL)?);
        Ok(if call.pass.engine.is_fused() {
            let run = Arc::new(SequenceCall::new(
                Arc::clone(cell),
                sequence.clone(),
                extra.is_some(),
            ));
            let y = FusedInputs::new(given.untyped())
                .with(1, Some(flat_of(&again)))
                .with(2, extra.map(|extra| extra.untyped()))
                .with(3, Some(hidden.untyped()))
                .with(4, Some(cell_state.untyped()))
                .run(run);
            sequence.states(&Dense::from_untyped(y, &[sequence.output_len()]))
        } else {
            let all = stock::Operands {
                given: given.reshape(&[steps, n, rows]),
                again,
                extra,
                hidden,
                cell: cell_state,
            };
            stock::run(call.pass, cell.as_ref(), &sequence, &all)
        })
    }

    /// Part `index` of an input whose shape must be `dims`, of which the first counts directions;
    /// states of `layout` 1 have the batch in front.
    fn part_of(&self, call: &Call<'_>, slot: usize, index: usize, dims: &[usize]) -> Result<Dense> {
        let mut value = call.dense(slot)?;
        let is_state = [HIDDEN, CELL].contains(&slot);
        if is_state && value.dims().len() == 3 {
            if self.batch_first {
                value = value.permute(&[1, 0, 2]);
            }
            if call.value(slot)?.host().is_some() {
                value = for_batch(value, dims);
            }
        }
        if value.dims() != dims {
            let got = format!("{:?}", value.dims());
            return Err(call.misfit(format!("input {slot} of {dims:?}"), got));
        }
        Ok(value.narrow(0, index..index + 1).reshape(&dims[1..]))
    }

    /// Steps of every sample.
    fn lengths(&self, call: &Call<'_>, steps: usize, n: usize) -> Result<Vec<usize>> {
        let Some(lengths) = call.ints(LENGTHS) else {
            return Ok(vec![steps; n]);
        };
        let sizes: Option<Vec<usize>> = lengths
            .iter()
            .map(|&len| usize::try_from(len).ok().filter(|&len| len <= steps))
            .collect();
        sizes.filter(|sizes| sizes.len() == n).ok_or_else(|| {
            let expected = format!("{n} lengths of at most {steps} steps");
            call.misfit(expected, format!("{lengths:?}"))
        })
    }
}

/// First states that a file stores for its own number of samples, for the number in `dims`: if all
/// samples begin alike, so do others.
fn for_batch(states: Dense, dims: &[usize]) -> Dense {
    if states.dims()[1] == dims[1] {
        return states;
    }
    let one = states.narrow(1, 0..1);
    let alike = one.expand(states.dims()).to_vec() == states.to_vec();
    if alike && states.dims()[0] == dims[0] && states.dims()[2] == dims[2] {
        one.expand(dims)
    } else {
        states
    }
}

fn flat_of(matrix: &Dense) -> burn::tensor::Tensor<1> {
    matrix.reshape(&[matrix.len()]).tensor()
}
