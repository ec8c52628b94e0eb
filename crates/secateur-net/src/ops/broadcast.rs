//! Walking two operands that broadcast against each other.
//!
//! Axes of extent 1 on both sides are left out and neighbours that broadcast alike are
//! one, so that most pairs of a network become one or two loops.
//!
//! Rule: <https://github.com/onnx/onnx/blob/main/docs/Broadcasting.md>.

use std::ops::Range;

use rayon::prelude::*;

use crate::extension::CHUNK;

/// An axis of the result, and who of the two has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    size: usize,
    a: bool,
    b: bool,
}

/// How two operands broadcast.
#[derive(Debug, Clone)]
pub struct Broadcast {
    /// Shape of the result.
    pub dims: Vec<usize>,
    /// All but the innermost axis, outermost first.
    outer: Vec<Axis>,
    inner: Axis,
}

/// Where the innermost loop begins in result, a and b.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// In the result.
    pub out: usize,
    /// In the first operand.
    pub a: usize,
    /// In the second operand.
    pub b: usize,
}

/// Shape of the result of operands of these shapes; `None` if they do not fit.
pub fn broadcast_dims(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], axis: usize| {
        (axis + dims.len())
            .checked_sub(rank)
            .map_or(1, |axis| dims[axis])
    };
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (a, b) if a == b => Some(a),
            (1, size) | (size, 1) => Some(size),
            _ => None,
        })
        .collect()
}

impl Broadcast {
    /// Of operands of these shapes; `None` if they do not fit.
    pub fn new(a: &[usize], b: &[usize]) -> Option<Self> {
        let dims = broadcast_dims(a, b)?;
        let has = |own: &[usize], axis: usize| {
            (axis + own.len())
                .checked_sub(dims.len())
                .is_some_and(|axis| own[axis] != 1)
        };
        let mut axes: Vec<Axis> = Vec::new();
        for (axis, &size) in dims.iter().enumerate() {
            if size == 1 {
                continue;
            }
            let (a, b) = (has(a, axis), has(b, axis));
            match axes.last_mut() {
                Some(last) if (last.a, last.b) == (a, b) => last.size *= size,
                _ => axes.push(Axis { size, a, b }),
            }
        }
        let inner = axes.pop().unwrap_or(Axis {
            size: 1,
            a: true,
            b: true,
        });
        Some(Self {
            dims,
            outer: axes,
            inner,
        })
    }

    /// Length of the innermost loop.
    pub fn row_len(&self) -> usize {
        self.inner.size
    }

    /// Elements from one to the next in the innermost loop: 0 or 1.
    pub fn steps(&self) -> (usize, usize) {
        (usize::from(self.inner.a), usize::from(self.inner.b))
    }

    /// Number of innermost loops.
    pub fn n_rows(&self) -> usize {
        self.outer.iter().map(|axis| axis.size).product()
    }

    /// Calls `body` for the rows of `range`, in order.
    pub fn rows(&self, range: Range<usize>, mut body: impl FnMut(Row)) {
        let rank = self.outer.len();
        let mut steps = vec![(0usize, 0usize); rank];
        let inner = self.inner.size;
        let (mut a, mut b) = (
            if self.inner.a { inner } else { 1 },
            if self.inner.b { inner } else { 1 },
        );
        for (axis, step) in self.outer.iter().zip(&mut steps).rev() {
            *step = (if axis.a { a } else { 0 }, if axis.b { b } else { 0 });
            a *= if axis.a { axis.size } else { 1 };
            b *= if axis.b { axis.size } else { 1 };
        }
        let mut index = vec![0usize; rank];
        let mut rest = range.start;
        for (axis, index) in self.outer.iter().zip(&mut index).rev() {
            *index = rest % axis.size;
            rest /= axis.size;
        }
        let offset = |index: &[usize]| {
            index
                .iter()
                .zip(&steps)
                .fold((0, 0), |(a, b), (&i, &(sa, sb))| (a + i * sa, b + i * sb))
        };
        for row in range {
            let (a, b) = offset(&index);
            body(Row {
                out: row * inner,
                a,
                b,
            });
            for (axis, index) in self.outer.iter().zip(&mut index).rev() {
                *index += 1;
                if *index < axis.size {
                    break;
                }
                *index = 0;
            }
        }
    }

    /// Writes f(a, b) to `out`, in parallel.
    pub fn map(
        &self,
        a: &[f32],
        b: &[f32],
        out: &mut [f32],
        f: impl Fn(f32, f32) -> f32 + Copy + Send + Sync,
    ) {
        self.map3(a, b, None, out, move |a, b, _| f(a, b));
    }

    /// Writes f(a, b, d) to `out`, in parallel; `d` has the result's shape, and is 0 if not given.
    pub fn map3(
        &self,
        a: &[f32],
        b: &[f32],
        d: Option<&[f32]>,
        out: &mut [f32],
        f: impl Fn(f32, f32, f32) -> f32 + Copy + Send + Sync,
    ) {
        let (inner, (sa, sb)) = (self.inner.size, self.steps());
        let run = |row: Row, at: Range<usize>, out: &mut [f32]| {
            let zero = [0.0f32];
            let len = out.len();
            let own = |values: &'_ [f32], start: usize, step: usize| -> Range<usize> {
                let start = start + at.start * step;
                debug_assert!(start < values.len());
                start..start + if step == 1 { len } else { 1 }
            };
            let a = &a[own(a, row.a, sa)];
            let b = &b[own(b, row.b, sb)];
            let d = d.map_or(&zero[..], |d| {
                &d[row.out + at.start..row.out + at.start + len]
            });
            zip3(a, b, d, out, f);
        };
        if out.len() <= CHUNK {
            self.rows(0..self.n_rows(), |row| {
                run(row, 0..inner, &mut out[row.out..row.out + inner]);
            });
        } else if self.outer.is_empty() {
            let row = Row { out: 0, a: 0, b: 0 };
            out.par_chunks_mut(CHUNK).enumerate().for_each(|(i, out)| {
                let start = i * CHUNK;
                run(row, start..start + out.len(), out);
            });
        } else {
            let rows = CHUNK.div_ceil(inner);
            out.par_chunks_mut(rows * inner)
                .enumerate()
                .for_each(|(i, out)| {
                    let first = i * rows;
                    self.rows(first..first + out.len() / inner, |row| {
                        let start = (row.out) - first * inner;
                        run(row, 0..inner, &mut out[start..start + inner]);
                    });
                });
        }
    }

    /// Sums f(a, b, d) over all positions where an operand is repeated: the gradient of the
    /// first (`of_b` false) or second one, of `len` elements.
    ///
    /// Sums are in f64, over ranges that depend on the number of threads alone.
    pub fn sum(
        &self,
        of_b: bool,
        [a, b, d]: [&[f32]; 3],
        to: &mut [f32],
        f: impl Fn(f32, f32, f32) -> f32 + Copy + Send + Sync,
    ) {
        let (inner, (sa, sb)) = (self.inner.size, self.steps());
        let n_rows = self.n_rows();
        let tasks = rayon::current_num_threads().clamp(1, n_rows);
        let len = to.len();
        let part = |task: usize| {
            let mut sums = vec![0.0f64; len];
            self.rows(n_rows * task / tasks..n_rows * (task + 1) / tasks, |row| {
                let (start, step) = if of_b { (row.b, sb) } else { (row.a, sa) };
                let at = |i: usize| f(a[row.a + i * sa], b[row.b + i * sb], d[row.out + i]);
                if step == 1 {
                    for (i, sum) in sums[start..start + inner].iter_mut().enumerate() {
                        *sum += f64::from(at(i));
                    }
                } else {
                    sums[start] += (0..inner).map(|i| f64::from(at(i))).sum::<f64>();
                }
            });
            sums
        };
        let parts: Vec<Vec<f64>> = if d.len() <= CHUNK {
            (0..tasks).map(part).collect()
        } else {
            (0..tasks).into_par_iter().map(part).collect()
        };
        for (i, to) in to.iter_mut().enumerate() {
            *to = parts.iter().map(|part| part[i]).sum::<f64>() as f32;
        }
    }
}

/// out = f(a, b, d), where each operand is as long as `out` or one element.
fn zip3(a: &[f32], b: &[f32], d: &[f32], out: &mut [f32], f: impl Fn(f32, f32, f32) -> f32 + Copy) {
    let n = out.len();
    match (a.len() == n, b.len() == n, d.len() == n) {
        (true, true, true) => {
            for (((out, &a), &b), &d) in out.iter_mut().zip(a).zip(b).zip(d) {
                *out = f(a, b, d);
            }
        }
        (true, false, true) => {
            for ((out, &a), &d) in out.iter_mut().zip(a).zip(d) {
                *out = f(a, b[0], d);
            }
        }
        (false, true, true) => {
            for ((out, &b), &d) in out.iter_mut().zip(b).zip(d) {
                *out = f(a[0], b, d);
            }
        }
        (true, true, false) => {
            for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                *out = f(a, b, d[0]);
            }
        }
        (true, false, false) => {
            for (out, &a) in out.iter_mut().zip(a) {
                *out = f(a, b[0], d[0]);
            }
        }
        (false, true, false) => {
            for (out, &b) in out.iter_mut().zip(b) {
                *out = f(a[0], b, d[0]);
            }
        }
        (false, false, true) => {
            for (out, &d) in out.iter_mut().zip(d) {
                *out = f(a[0], b[0], d);
            }
        }
        (false, false, false) => out.fill(f(a[0], b[0], d[0])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_shapes_of_the_standard() {
        let check = |a: &[usize], b: &[usize], expected: Option<&[usize]>| {
            assert_eq!(broadcast_dims(a, b).as_deref(), expected, "{a:?} {b:?}");
        };
        check(&[2, 3, 4, 5], &[], Some(&[2, 3, 4, 5]));
        check(&[2, 3, 4, 5], &[5], Some(&[2, 3, 4, 5]));
        check(&[4, 5], &[2, 3, 4, 5], Some(&[2, 3, 4, 5]));
        check(&[1, 4, 5], &[2, 3, 1, 1], Some(&[2, 3, 4, 5]));
        check(&[3], &[2], None);
        check(&[2, 2], &[3, 2], None);
    }

    /// Element by element, from the definition.
    fn naive(a: &[usize], b: &[usize], dims: &[usize], out: usize) -> (usize, usize) {
        let (mut rest, mut at) = (out, [0usize; 2]);
        let mut strides = [1usize; 2];
        for (back, &size) in dims.iter().rev().enumerate() {
            let index = rest % size;
            rest /= size;
            for (which, own) in [a, b].into_iter().enumerate() {
                if back < own.len() {
                    let extent = own[own.len() - 1 - back];
                    if extent != 1 {
                        at[which] += index * strides[which];
                    }
                    strides[which] *= extent;
                }
            }
        }
        (at[0], at[1])
    }

    #[test]
    fn maps_and_sums_follow_the_definition() {
        let check = |a_dims: &[usize], b_dims: &[usize]| {
            let walk = Broadcast::new(a_dims, b_dims).unwrap();
            let values = |n: usize, seed: f32| -> Vec<f32> {
                (0..n).map(|i| ((i as f32 + seed) * 0.7).sin()).collect()
            };
            let len = |dims: &[usize]| dims.iter().product::<usize>();
            let (a, b) = (values(len(a_dims), 1.0), values(len(b_dims), 2.0));
            let n = len(&walk.dims);
            let d = values(n, 3.0);
            let mut out = vec![0.0; n];
            walk.map3(&a, &b, Some(&d), &mut out, |a, b, d| a + 2.0 * b + 4.0 * d);
            let mut sums = [vec![0.0; a.len()], vec![0.0; b.len()]];
            let mut expected = [vec![0.0f64; a.len()], vec![0.0f64; b.len()]];
            for (i, &got) in out.iter().enumerate() {
                let (ia, ib) = naive(a_dims, b_dims, &walk.dims, i);
                assert_eq!(
                    got,
                    a[ia] + 2.0 * b[ib] + 4.0 * d[i],
                    "{a_dims:?} {b_dims:?}"
                );
                expected[0][ia] += f64::from(b[ib] * d[i]);
                expected[1][ib] += f64::from(a[ia] * d[i]);
            }
            walk.sum(false, [&a, &b, &d], &mut sums[0], |_, b, d| b * d);
            walk.sum(true, [&a, &b, &d], &mut sums[1], |a, _, d| a * d);
            for (got, expected) in sums.iter().zip(&expected) {
                for (&got, &expected) in got.iter().zip(expected) {
                    // Each product is rounded, and so is the sum: half a unit of 1.2e-7 each.
                    let tolerance = 1e-6 + 1.2e-7 * n as f64;
                    assert!(
                        (f64::from(got) - expected).abs() < tolerance,
                        "{a_dims:?} {b_dims:?}"
                    );
                }
            }
        };
        check(&[], &[]);
        check(&[7], &[1]);
        check(&[2, 3, 4, 5], &[2, 3, 4, 5]);
        check(&[2, 3, 4, 5], &[5]);
        check(&[2, 4, 5, 3], &[2, 1, 1, 3]);
        check(&[2, 1, 4, 1], &[3, 1, 5]);
        check(&[1, 3, 1], &[4, 1, 2]);
        // Enough for several threads.
        check(&[3, 40, 40, 8], &[3, 1, 1, 8]);
        check(&[50_000], &[50_000]);
        check(&[50_000], &[]);
    }
}
