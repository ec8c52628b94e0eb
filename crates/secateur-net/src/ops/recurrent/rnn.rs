//! The cell of a plain recurrent layer: h' = f(x + h R).

use super::cell::{
    Backward, Cell, Forward, Stock, add_back, add_product, apply, apply_slope, clip_to,
    stock_function,
};
use crate::ops::function::Function;
use crate::value::Dense;

#[derive(Debug)]
pub(super) struct Rnn {
    pub function: Function,
    pub clip: Option<f32>,
}

impl Cell for Rnn {
    fn gates(&self) -> usize {
        1
    }

    fn forward(&self, hidden: usize, step: Forward<'_>) {
        add_product((1, 0..1), hidden, step.before, step.again, step.sums);
        clip_to(self.clip, step.sums);
        apply(self.function, step.sums, step.after);
    }

    fn backward(&self, hidden: usize, step: Backward<'_>) {
        step.sum_gradient.copy_from_slice(step.state);
        apply_slope(self.function, self.clip, step.sums, step.sum_gradient);
        step.product_gradient.copy_from_slice(step.sum_gradient);
        step.state.fill(0.0);
        add_back(
            (1, 0..1),
            hidden,
            step.product_gradient,
            step.again,
            step.state,
        );
    }

    fn stock(&self, step: Stock<'_>) -> (Dense, Dense) {
        let sums = step.given.add(&step.product(step.state, 0..1));
        let state = stock_function(self.function, self.clip, &sums);
        (state, step.cell.clone())
    }
}
