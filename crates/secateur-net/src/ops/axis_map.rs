//! Linear maps along one axis: y[.., j, ..] = Σ_i W[j, i] · x[.., i, ..].
//!
//! `Slice`, `Split`, gathers with known indices, padding, tiling, resizing and window sums are
//! all such maps with few entries in every row, one axis after the other. So they share one
//! loop, with one gradient (the transposed map), on any layout.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;
use secateur_cpu::memory::Buffer;

use super::call::{Call, host};
use crate::error::Result;
use crate::extension::{FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::pass::Pass;
use crate::value::{Dense, Value};

/// A map from an axis of `n_in` positions.
#[derive(Debug, Clone, PartialEq)]
pub struct AxisMap {
    n_in: usize,
    /// Taps of output position j are `taps[starts[j]..starts[j + 1]]`.
    starts: Vec<usize>,
    taps: Vec<(usize, f32)>,
    /// What an output position without taps holds.
    fill: f32,
}

impl AxisMap {
    /// From the taps (position, weight) of every output position.
    ///
    /// # Panics
    /// If a position lies outside.
    pub fn new(n_in: usize, rows: impl IntoIterator<Item = Vec<(usize, f32)>>) -> Self {
        let (mut starts, mut taps) = (vec![0], Vec::new());
        for row in rows {
            assert!(row.iter().all(|&(i, _)| i < n_in), "a tap outside the axis");
            taps.extend(row);
            starts.push(taps.len());
        }
        Self {
            n_in,
            starts,
            taps,
            fill: 0.0,
        }
    }

    /// Takes position `indices[j]` as position j; `None` stands for `fill`.
    pub fn select(n_in: usize, indices: &[Option<usize>], fill: f32) -> Self {
        let rows = indices
            .iter()
            .map(|index| index.iter().map(|&i| (i, 1.0)).collect());
        Self {
            fill,
            ..Self::new(n_in, rows)
        }
    }

    /// Takes a range.
    pub fn range(n_in: usize, range: Range<usize>) -> Self {
        Self::select(n_in, &range.map(Some).collect::<Vec<_>>(), 0.0)
    }

    fn n_out(&self) -> usize {
        self.starts.len() - 1
    }

    fn row(&self, j: usize) -> &[(usize, f32)] {
        &self.taps[self.starts[j]..self.starts[j + 1]]
    }

    fn is_identity(&self) -> bool {
        self.n_out() == self.n_in && (0..self.n_in).all(|j| self.row(j) == [(j, 1.0)])
    }

    /// The matrix, `[n_out, n_in]`.
    fn matrix(&self) -> Vec<f32> {
        let mut matrix = vec![0.0; self.n_out() * self.n_in];
        for j in 0..self.n_out() {
            for &(i, weight) in self.row(j) {
                matrix[j * self.n_in + i] += weight;
            }
        }
        matrix
    }

    /// Runs of output positions that copy a run of input positions: (to, from, length).
    /// `None` if something is weighted or summed.
    fn runs(&self) -> Option<Vec<(usize, usize, usize)>> {
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        for j in 0..self.n_out() {
            match *self.row(j) {
                [] => {}
                [(i, 1.0)] => match runs.last_mut() {
                    Some((to, from, len)) if *to + *len == j && *from + *len == i => *len += 1,
                    _ => runs.push((j, i, 1)),
                },
                _ => return None,
            }
        }
        Some(runs)
    }

    /// Applies the map along axis `axis` of `x`.
    pub(super) fn on_device(&self, pass: &Pass<'_>, x: &Dense, axis: usize) -> Dense {
        if self.is_identity() {
            return x.clone();
        }
        let mut dims = x.dims().to_vec();
        let outer: usize = dims[..axis].iter().product();
        let inner: usize = dims[axis + 1..].iter().product();
        dims[axis] = self.n_out();
        if pass.engine.is_fused() {
            let call = Arc::new(AxisCall {
                runs: self.runs(),
                map: self.clone(),
                outer,
                inner,
            });
            Dense::from_untyped(FusedInputs::new(x.untyped()).run(call), &dims)
        } else {
            let place = &pass.device;
            let (n_out, n_in) = (self.n_out(), self.n_in);
            let matrix: Tensor<3> =
                Tensor::from_data(TensorData::new(self.matrix(), [1, n_out, n_in]), place);
            let fill = |j| {
                if self.row(j).is_empty() {
                    self.fill
                } else {
                    0.0
                }
            };
            let fill: Vec<f32> = (0..n_out).map(fill).collect();
            let fill: Tensor<3> = Tensor::from_data(TensorData::new(fill, [1, n_out, 1]), place);
            let x: Tensor<3> = x.reshape(&[outer, n_in, inner]).tensor();
            let y = matrix.expand([outer, n_out, n_in]).matmul(x) + fill;
            Dense::from_tensor(y).reshape(&dims)
        }
    }

    /// Applies the map along axis `axis` (of the file) of any value.
    ///
    /// # Errors
    /// [`crate::NetError::Shape`] for sums of constants, which nothing writes.
    pub(super) fn apply(&self, call: &Call<'_>, value: &Value, axis: usize) -> Result<Value> {
        let Some(constant) = value.host() else {
            let x = value.laid(&call.pass.device);
            let y = self.on_device(call.pass, &x.data, x.axis(axis));
            return Ok(x.with(y));
        };
        if self.runs().is_none() || (0..self.n_out()).any(|j| self.row(j).is_empty()) {
            let y = self.on_device(call.pass, &value.dense(&call.pass.device), axis);
            return Ok(Value::Dense(y));
        }
        let mut shape = constant.shape.clone();
        let outer: usize = shape[..axis].iter().product();
        let inner: usize = shape[axis + 1..].iter().product();
        shape[axis] = self.n_out();
        let indices = (0..outer).flat_map(|o| {
            (0..self.n_out()).flat_map(move |j| {
                let from = (o * self.n_in + self.row(j)[0].0) * inner;
                from..from + inner
            })
        });
        Ok(host(constant.pick(shape, indices)))
    }
}

#[derive(Debug)]
struct AxisCall {
    map: AxisMap,
    runs: Option<Vec<(usize, usize, usize)>>,
    outer: usize,
    inner: usize,
}

/// Elements below which one thread does all.
const SERIAL: usize = 32_768;

impl AxisCall {
    /// Calls `body` with every outer part of `x` and `y`.
    fn each(
        &self,
        x: &[f32],
        x_len: usize,
        y: &mut [f32],
        y_len: usize,
        body: impl Fn(&[f32], &mut [f32]) + Sync,
    ) {
        if y_len == 0 || x_len == 0 {
            return;
        }
        if y.len().max(x.len()) < SERIAL || self.outer == 1 {
            let parts = x.chunks_exact(x_len).zip(y.chunks_exact_mut(y_len));
            parts.for_each(|(x, y)| body(x, y));
        } else {
            let parts = x.par_chunks_exact(x_len);
            let min = (SERIAL / x_len.max(y_len)).max(1);
            parts
                .zip(y.par_chunks_exact_mut(y_len))
                .with_min_len(min)
                .for_each(|(x, y)| body(x, y));
        }
    }
}

impl FusedOp for AxisCall {
    fn output_shape(&self) -> Vec<usize> {
        vec![self.outer, self.map.n_out(), self.inner]
    }

    fn forward(&self, [x, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let (map, inner) = (&self.map, self.inner);
        let (x_len, y_len) = (map.n_in * inner, map.n_out() * inner);
        let mut y = Buffer::get(self.outer * y_len);
        self.each(x, x_len, &mut y, y_len, |x, y| match &self.runs {
            Some(runs) => {
                if runs.iter().map(|(.., len)| len).sum::<usize>() < map.n_out() {
                    y.fill(map.fill);
                }
                for &(to, from, len) in runs {
                    y[to * inner..(to + len) * inner]
                        .copy_from_slice(&x[from * inner..(from + len) * inner]);
                }
            }
            None => {
                for (j, y) in y.chunks_exact_mut(inner).enumerate() {
                    let row = map.row(j);
                    y.fill(if row.is_empty() { map.fill } else { 0.0 });
                    for &(i, weight) in row {
                        let x = &x[i * inner..(i + 1) * inner];
                        for (y, &x) in y.iter_mut().zip(x) {
                            *y += weight * x;
                        }
                    }
                }
            }
        });
        y.into()
    }

    fn backward(
        &self,
        _: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let mut gradients = InputGradients::default();
        if !wanted[0] {
            return gradients;
        }
        let (map, inner) = (&self.map, self.inner);
        let (x_len, y_len) = (map.n_in * inner, map.n_out() * inner);
        let mut dx = Buffer::zeroed(self.outer * x_len);
        self.each(dy, y_len, &mut dx, x_len, |dy, dx| match &self.runs {
            Some(runs) => {
                for &(to, from, len) in runs {
                    let dy = &dy[to * inner..(to + len) * inner];
                    let dx = &mut dx[from * inner..(from + len) * inner];
                    dx.iter_mut().zip(dy).for_each(|(dx, &dy)| *dx += dy);
                }
            }
            None => {
                for (j, dy) in dy.chunks_exact(inner).enumerate() {
                    for &(i, weight) in map.row(j) {
                        let dx = &mut dx[i * inner..(i + 1) * inner];
                        for (dx, &dy) in dx.iter_mut().zip(dy) {
                            *dx += weight * dy;
                        }
                    }
                }
            }
        });
        gradients[0] = Some(dx);
        gradients
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_are_copied_in_runs() {
        let check = |indices: &[Option<usize>], expected: &[(usize, usize, usize)]| {
            let runs = AxisMap::select(6, indices, 0.0).runs();
            assert_eq!(runs.as_deref(), Some(expected), "{indices:?}");
        };
        check(&[Some(2), Some(3), Some(4)], &[(0, 2, 3)]);
        check(
            &[None, Some(0), Some(1), None, Some(5)],
            &[(1, 0, 2), (4, 5, 1)],
        );
        check(&[Some(3), Some(2)], &[(0, 3, 1), (1, 2, 1)]);
        let mixed = AxisMap::new(2, [vec![(0, 0.5), (1, 0.5)]]);
        assert_eq!(mixed.runs(), None);
        assert!(AxisMap::range(4, 0..4).is_identity());
        assert!(!AxisMap::range(4, 0..3).is_identity());
    }
}
