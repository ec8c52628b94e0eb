//! The cell of a GRU.
//!
//! z = f(x_z + h R_z), r = f(x_r + h R_r), h' = (1 - z) ⊙ q + z ⊙ h with
//! q = g(x_h + (r ⊙ h) R_h), or with `linear_before_reset` q = g(x_h + r ⊙ (h R_h + b_h)).
//! Rows of weights are in the order z, r, h.

use super::cell::{
    Backward, Cell, Forward, Stock, add_back, add_product, apply, apply_slope, clip_to,
    stock_function,
};
use crate::ops::function::Function;
use crate::value::Dense;

const GATES: usize = 3;

#[derive(Debug)]
pub(super) struct Gru {
    /// Of gates, of the new state.
    pub functions: [Function; 2],
    pub clip: Option<f32>,
    pub linear_before_reset: bool,
}

impl Cell for Gru {
    fn gates(&self) -> usize {
        GATES
    }

    fn keeps_bias(&self) -> bool {
        self.linear_before_reset
    }

    fn multiplies_kept(&self) -> bool {
        !self.linear_before_reset
    }

    fn forward(&self, hidden: usize, step: Forward<'_>) {
        let [gate, new] = self.functions;
        let Forward {
            before,
            again,
            extra,
            sums,
            gates,
            kept,
            after,
            ..
        } = step;
        let wide = GATES * hidden;
        add_product((GATES, 0..2), hidden, before, again, sums);
        if self.linear_before_reset {
            // What goes round, with its own bias.
            kept.fill(0.0);
            let own = &again[2 * hidden * hidden..];
            add_product((1, 0..1), hidden, before, own, kept);
            if !extra.is_empty() {
                for kept in kept.chunks_exact_mut(hidden) {
                    kept.iter_mut()
                        .zip(extra)
                        .for_each(|(kept, bias)| *kept += bias);
                }
            }
        }
        let rows = sums
            .chunks_exact_mut(wide)
            .zip(gates.chunks_exact_mut(wide));
        let rows = rows
            .zip(kept.chunks_exact_mut(hidden))
            .zip(before.chunks_exact(hidden));
        for (((sums, gates), kept), before) in rows {
            clip_to(self.clip, &mut sums[..2 * hidden]);
            apply(gate, &sums[..2 * hidden], &mut gates[..2 * hidden]);
            for k in 0..hidden {
                if self.linear_before_reset {
                    sums[2 * hidden + k] += gates[hidden + k] * kept[k];
                } else {
                    kept[k] = gates[hidden + k] * before[k];
                }
            }
        }
        if !self.linear_before_reset {
            add_product((GATES, 2..3), hidden, kept, again, sums);
        }
        let rows = sums
            .chunks_exact_mut(wide)
            .zip(gates.chunks_exact_mut(wide));
        let rows = rows
            .zip(after.chunks_exact_mut(hidden))
            .zip(before.chunks_exact(hidden));
        for (((sums, gates), after), before) in rows {
            clip_to(self.clip, &mut sums[2 * hidden..]);
            apply(new, &sums[2 * hidden..], &mut gates[2 * hidden..]);
            for k in 0..hidden {
                after[k] = gates[2 * hidden + k] + gates[k] * (before[k] - gates[2 * hidden + k]);
            }
        }
    }

    fn backward(&self, hidden: usize, step: Backward<'_>) {
        let [gate, new] = self.functions;
        let wide = GATES * hidden;
        let n = step.before.len() / hidden;
        let (z, r, q) = (0..hidden, hidden..2 * hidden, 2 * hidden..wide);
        for row in 0..n {
            let (at, own) = (
                row * wide..(row + 1) * wide,
                row * hidden..(row + 1) * hidden,
            );
            let (sums, gates) = (&step.sums[at.clone()], &step.gates[at.clone()]);
            let (before, dh) = (&step.before[own.clone()], &mut step.state[own]);
            let d = &mut step.sum_gradient[at];
            for k in 0..hidden {
                d[k] = dh[k] * (before[k] - gates[2 * hidden + k]);
                d[2 * hidden + k] = dh[k] * (1.0 - gates[k]);
                dh[k] *= gates[k];
            }
            apply_slope(gate, self.clip, &sums[z.clone()], &mut d[z.clone()]);
            apply_slope(new, self.clip, &sums[q.clone()], &mut d[q.clone()]);
        }
        step.product_gradient.copy_from_slice(step.sum_gradient);
        // Gradient of r ⊙ h.
        let mut reset = vec![0.0; step.before.len()];
        if !self.linear_before_reset {
            add_back(
                (GATES, 2..3),
                hidden,
                step.sum_gradient,
                step.again,
                &mut reset,
            );
        }
        for row in 0..n {
            let (at, own) = (
                row * wide..(row + 1) * wide,
                row * hidden..(row + 1) * hidden,
            );
            let gates = &step.gates[at.clone()];
            let (kept, before) = (&step.kept[own.clone()], &step.before[own.clone()]);
            let d = &mut step.sum_gradient[at.clone()];
            let product = &mut step.product_gradient[at];
            if self.linear_before_reset {
                for k in 0..hidden {
                    d[hidden + k] = d[2 * hidden + k] * kept[k];
                    product[2 * hidden + k] = d[2 * hidden + k] * gates[hidden + k];
                }
                if !step.extra.is_empty() {
                    let sums = step.extra_gradient.iter_mut();
                    sums.zip(&product[q.clone()])
                        .for_each(|(sum, by)| *sum += by);
                }
            } else {
                let (dh, reset) = (&mut step.state[own.clone()], &reset[own]);
                for k in 0..hidden {
                    d[hidden + k] = reset[k] * before[k];
                    dh[k] += reset[k] * gates[hidden + k];
                }
            }
            let sums = &step.sums[row * wide..(row + 1) * wide];
            apply_slope(gate, self.clip, &sums[r.clone()], &mut d[r.clone()]);
            product[r.clone()].copy_from_slice(&d[r.clone()]);
        }
        let through = if self.linear_before_reset { 0..3 } else { 0..2 };
        add_back(
            (GATES, through),
            hidden,
            step.product_gradient,
            step.again,
            step.state,
        );
    }

    fn stock(&self, step: Stock<'_>) -> (Dense, Dense) {
        let [gate, new] = self.functions;
        let hidden = step.state.dims()[1];
        let opened = step.given.narrow(1, 0..2 * hidden);
        let opened = opened.add(&step.product(step.state, 0..2));
        let opened = stock_function(gate, self.clip, &opened);
        let (update, reset) = (step.gate(&opened, 0), step.gate(&opened, 1));
        let round = if self.linear_before_reset {
            let mut round = step.product(step.state, 2..3);
            if let Some(bias) = step.extra {
                round = round.add(&bias.reshape(&[1, hidden]));
            }
            reset.mul(&round)
        } else {
            step.product(&reset.mul(step.state), 2..3)
        };
        let sums = step.gate(&step.given, 2).add(&round);
        let candidate = stock_function(new, self.clip, &sums);
        let state = candidate.add(&update.mul(&step.state.sub(&candidate)));
        (state, step.cell.clone())
    }
}
