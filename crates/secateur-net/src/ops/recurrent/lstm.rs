//! The cell of an LSTM.
//!
//! i = f(x_i + h R_i + P_i ⊙ c), o = f(x_o + h R_o + P_o ⊙ c'), f = f(x_f + h R_f + P_f ⊙ c),
//! c' = f ⊙ c + i ⊙ g(x_c + h R_c), h' = o ⊙ h(c'). Rows of weights are in the order i, o, f, c,
//! peepholes i, o, f. With `input_forget`, f = 1 - i.

use super::cell::{
    Backward, Cell, Forward, Stock, add_back, add_product, apply, apply_slope, clip_to,
    stock_function,
};
use crate::ops::function::Function;
use crate::value::Dense;

const GATES: usize = 4;

#[derive(Debug)]
pub(super) struct Lstm {
    /// Of gates, of the new part of the cell, of the output.
    pub functions: [Function; 3],
    pub clip: Option<f32>,
    pub input_forget: bool,
}

impl Cell for Lstm {
    fn gates(&self) -> usize {
        GATES
    }

    fn forward(&self, hidden: usize, step: Forward<'_>) {
        let [gate, new, output] = self.functions;
        let Forward {
            extra,
            sums,
            gates,
            kept,
            after,
            cell_after,
            ..
        } = step;
        add_product((GATES, 0..GATES), hidden, step.before, step.again, sums);
        let states = step.cell_before.chunks_exact(hidden);
        let rows = sums
            .chunks_exact_mut(GATES * hidden)
            .zip(gates.chunks_exact_mut(GATES * hidden));
        let outputs = after
            .chunks_exact_mut(hidden)
            .zip(cell_after.chunks_exact_mut(hidden));
        let rows = rows
            .zip(states)
            .zip(outputs)
            .zip(kept.chunks_exact_mut(hidden));
        for ((((sums, gates), cell), (after, cell_after)), kept) in rows {
            peep(extra, 0, hidden, cell, &mut sums[..hidden]);
            peep(extra, 2, hidden, cell, &mut sums[2 * hidden..3 * hidden]);
            let part = |index: usize| index * hidden..(index + 1) * hidden;
            clip_to(self.clip, &mut sums[part(0)]);
            clip_to(self.clip, &mut sums[2 * hidden..]);
            apply(gate, &sums[part(0)], &mut gates[part(0)]);
            apply(gate, &sums[part(2)], &mut gates[part(2)]);
            apply(new, &sums[part(3)], &mut gates[part(3)]);
            if self.input_forget {
                for k in 0..hidden {
                    gates[2 * hidden + k] = 1.0 - gates[k];
                }
            }
            for k in 0..hidden {
                cell_after[k] = gates[2 * hidden + k] * cell[k] + gates[k] * gates[3 * hidden + k];
            }
            peep(extra, 1, hidden, cell_after, &mut sums[part(1)]);
            clip_to(self.clip, &mut sums[part(1)]);
            apply(gate, &sums[part(1)], &mut gates[part(1)]);
            apply(output, cell_after, kept);
            for k in 0..hidden {
                after[k] = gates[hidden + k] * kept[k];
            }
        }
    }

    fn backward(&self, hidden: usize, step: Backward<'_>) {
        let [gate, new, output] = self.functions;
        let wide = GATES * hidden;
        let n = step.before.len() / hidden;
        let part = |index: usize| index * hidden..(index + 1) * hidden;
        let mut through = vec![0.0; hidden];
        for row in 0..n {
            let (at, own) = (
                row * wide..(row + 1) * wide,
                row * hidden..(row + 1) * hidden,
            );
            let (sums, gates) = (&step.sums[at.clone()], &step.gates[at.clone()]);
            let (before, after) = (
                &step.cell_before[own.clone()],
                &step.cell_after[own.clone()],
            );
            let (dh, kept) = (&step.state[own.clone()], &step.kept[own.clone()]);
            let dc = &mut step.cell[own];
            let d = &mut step.sum_gradient[at];
            for k in 0..hidden {
                d[hidden + k] = dh[k] * kept[k];
                through[k] = dh[k] * gates[hidden + k];
            }
            apply_slope(gate, self.clip, &sums[part(1)], &mut d[part(1)]);
            apply_slope(output, None, after, &mut through);
            dc.iter_mut().zip(&through).for_each(|(dc, by)| *dc += by);
            peep(step.extra, 1, hidden, &d[part(1)], dc);
            for k in 0..hidden {
                let forget = dc[k] * before[k];
                d[k] = dc[k] * gates[3 * hidden + k];
                d[2 * hidden + k] = forget;
                d[3 * hidden + k] = dc[k] * gates[k];
                if self.input_forget {
                    d[k] -= forget;
                    d[2 * hidden + k] = 0.0;
                }
            }
            apply_slope(gate, self.clip, &sums[part(0)], &mut d[part(0)]);
            apply_slope(gate, self.clip, &sums[part(2)], &mut d[part(2)]);
            apply_slope(new, self.clip, &sums[part(3)], &mut d[part(3)]);
            for k in 0..hidden {
                dc[k] *= gates[2 * hidden + k];
            }
            peep(step.extra, 0, hidden, &d[part(0)], dc);
            peep(step.extra, 2, hidden, &d[part(2)], dc);
            if !step.extra.is_empty() {
                for (index, (gate, read)) in [(0, before), (1, after), (2, before)]
                    .into_iter()
                    .enumerate()
                {
                    let to = &mut step.extra_gradient[part(index)];
                    for k in 0..hidden {
                        to[k] += d[gate * hidden + k] * read[k];
                    }
                }
            }
        }
        step.product_gradient.copy_from_slice(step.sum_gradient);
        step.state.fill(0.0);
        add_back(
            (GATES, 0..GATES),
            hidden,
            step.product_gradient,
            step.again,
            step.state,
        );
    }

    fn stock(&self, step: Stock<'_>) -> (Dense, Dense) {
        let [gate, new, output] = self.functions;
        let sums = step.given.add(&step.product(step.state, 0..GATES));
        let hidden = step.cell.dims()[1];
        let part = |index: usize| step.gate(&sums, index);
        let peeped = |index: usize, sums: Dense, read: &Dense| match step.extra {
            Some(extra) => {
                let own = extra.narrow(0, index * hidden..(index + 1) * hidden);
                sums.add(&own.reshape(&[1, hidden]).mul(read))
            }
            None => sums,
        };
        let input = stock_function(gate, self.clip, &peeped(0, part(0), step.cell));
        let forget = if self.input_forget {
            input.neg().add_scalar(1.0)
        } else {
            stock_function(gate, self.clip, &peeped(2, part(2), step.cell))
        };
        let candidate = stock_function(new, self.clip, &part(3));
        let cell = forget.mul(step.cell).add(&input.mul(&candidate));
        let open = stock_function(gate, self.clip, &peeped(1, part(1), &cell));
        (open.mul(&output.stock(&cell)), cell)
    }
}

/// to += peephole ⊙ read, if there are peepholes.
fn peep(peepholes: &[f32], index: usize, hidden: usize, read: &[f32], to: &mut [f32]) {
    if peepholes.is_empty() {
        return;
    }
    let weights = &peepholes[index * hidden..(index + 1) * hidden];
    for ((to, weight), read) in to.iter_mut().zip(weights).zip(read) {
        *to += weight * read;
    }
}
