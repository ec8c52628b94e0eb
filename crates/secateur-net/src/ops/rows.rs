//! Weighted sums of rows that are read at known places:
//! y[r, ..] = Σ_k w[r, k] · x[at[r, k], ..].
//!
//! Single elements, slices, and pixels between pixels are all read this way. Places have no
//! gradient; weights, if there are some, have.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData};
use rayon::prelude::*;
use secateur_cpu::memory::Buffer;

use crate::extension::{FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::pass::Pass;
use crate::value::Dense;

/// Where rows are read.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    /// Rows that are read for every row of the output, side by side; `None` reads zeros.
    pub at: Vec<Option<usize>>,
    /// How many are read for each.
    pub taps: usize,
    /// The first of so many equal parts of the output reads the first of so many parts of the
    /// input alone, and so on: they are computed side by side.
    pub parts: usize,
}

impl Rows {
    /// One row for each, with a weight of 1.
    pub fn copies(at: Vec<Option<usize>>) -> Self {
        Self {
            at,
            taps: 1,
            parts: 1,
        }
    }

    /// Reads rows of `x` `[rows, width]`; `weights` `[r, taps]`, 1 where not given. Gives
    /// `[r, width]`.
    pub fn read(self, pass: &Pass<'_>, x: &Dense, weights: Option<&Dense>) -> Dense {
        let (width, count) = (x.dims()[1], self.at.len() / self.taps);
        if pass.engine.is_fused() {
            let call = Arc::new(RowsCall {
                width,
                has_weights: weights.is_some(),
                rows: self,
            });
            let y = FusedInputs::new(x.untyped())
                .with(1, weights.map(Dense::untyped))
                .run(call);
            return Dense::from_untyped(y, &[count, width]);
        }
        let len = self.at.len();
        let places: Vec<i64> = self.at.iter().map(|at| at.unwrap_or(0) as i64).collect();
        let places = Tensor::<1, Int>::from_data(TensorData::new(places, [len]), &pass.device);
        let read = Dense::from_tensor(x.tensor::<2>().select(0, places));
        let inside: Vec<f32> = self
            .at
            .iter()
            .map(|at| f32::from(u8::from(at.is_some())))
            .collect();
        let inside = Tensor::<2>::from_data(TensorData::new(inside, [len, 1]), &pass.device);
        let mut read = read.mul(&Dense::from_tensor(inside));
        if let Some(weights) = weights {
            read = read.mul(&weights.reshape(&[len, 1]));
        }
        let sum = read.reshape(&[count, self.taps, width]).sum(1);
        sum.reshape(&[count, width])
    }
}

#[derive(Debug)]
struct RowsCall {
    rows: Rows,
    width: usize,
    has_weights: bool,
}

impl RowsCall {
    /// Reads and weights of the output's row `r`.
    fn taps<'a>(
        &'a self,
        r: usize,
        weights: &'a [f32],
    ) -> impl Iterator<Item = (usize, usize, f32)> {
        let range = r * self.rows.taps..(r + 1) * self.rows.taps;
        range.filter_map(move |place| {
            let weight = if self.has_weights {
                weights[place]
            } else {
                1.0
            };
            Some((place, self.rows.at[place]?, weight))
        })
    }

    /// Rows of a part of the output.
    fn of_part(&self) -> usize {
        self.rows.at.len() / self.rows.taps / self.rows.parts
    }
}

impl FusedOp for RowsCall {
    fn output_shape(&self) -> Vec<usize> {
        vec![self.rows.at.len() / self.rows.taps, self.width]
    }

    fn forward(&self, [x, weights, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let width = self.width;
        let mut y = Buffer::zeroed(self.rows.at.len() / self.rows.taps * width);
        y.par_chunks_exact_mut(width)
            .enumerate()
            .with_min_len(MIN_ROWS)
            .for_each(|(r, y)| {
                for (_, at, weight) in self.taps(r, weights) {
                    let x = &x[at * width..(at + 1) * width];
                    y.iter_mut().zip(x).for_each(|(y, x)| *y += weight * x);
                }
            });
        y.into()
    }

    fn backward(
        &self,
        [x, weights, ..]: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let width = self.width;
        let mut gradients = InputGradients::default();
        if wanted[0] {
            let mut dx = Buffer::zeroed(x.len());
            let (own, rows) = (x.len() / self.rows.parts, self.of_part());
            dx.par_chunks_exact_mut(own)
                .enumerate()
                .for_each(|(part, dx)| {
                    for r in part * rows..(part + 1) * rows {
                        let dy = &dy[r * width..(r + 1) * width];
                        for (_, at, weight) in self.taps(r, weights) {
                            let start = at * width - part * own;
                            let dx = &mut dx[start..start + width];
                            dx.iter_mut()
                                .zip(dy)
                                .for_each(|(dx, dy)| *dx += weight * dy);
                        }
                    }
                });
            gradients[0] = Some(dx);
        }
        if wanted[1] && self.has_weights {
            let mut dw = Buffer::zeroed(weights.len());
            dw.par_chunks_exact_mut(self.rows.taps)
                .enumerate()
                .with_min_len(MIN_ROWS)
                .for_each(|(r, dw)| {
                    let dy = &dy[r * width..(r + 1) * width];
                    for (place, at, _) in self.taps(r, weights) {
                        let x = &x[at * width..(at + 1) * width];
                        let products = x.iter().zip(dy).map(|(x, dy)| x * dy);
                        dw[place - r * self.rows.taps] = products.sum();
                    }
                });
            gradients[1] = Some(dw);
        }
        gradients
    }
}

/// Rows that a thread takes at once.
const MIN_ROWS: usize = 256;
