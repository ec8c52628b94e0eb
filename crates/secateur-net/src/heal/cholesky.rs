//! Factor of a symmetric positive definite matrix, and solutions with it: M = L Lᵀ.
//!
//! By blocks of columns, so that almost all work is products of matrices (Golub and Van Loan,
//! Matrix Computations, 4th edition, section 4.2.9).

use rayon::prelude::*;
use secateur_cpu::matrix::{Half, Operand, add_products};

/// Columns of a block.
const BLOCK: usize = 64;

/// The lower factor, row-major; what lies above the diagonal means nothing.
pub(super) struct Factor {
    n: usize,
    lower: Vec<f64>,
}

impl Factor {
    /// Of an `n` by `n` matrix given by its lower half; `None` if it is not positive definite
    /// within rounding.
    pub fn new(mut matrix: Vec<f64>, n: usize) -> Option<Self> {
        for first in (0..n).step_by(BLOCK) {
            let end = (first + BLOCK).min(n);
            factor_diagonal(&mut matrix, n, first, end)?;
            let (done, below) = matrix.split_at_mut(end * n);
            below.par_chunks_mut(n).for_each(|row| {
                for j in first..end {
                    let pivot = &done[j * n..];
                    let sum = dot(&row[first..j], &pivot[first..j]);
                    row[j] = (row[j] - sum) / pivot[j];
                }
            });
            if end < n {
                let panel = panel(below, n, first..end);
                let operand = Operand::columns(&panel, end - first, n - end);
                let rest = &mut matrix[end * n + end..];
                add_products(-1.0, (operand, operand), end - first, rest, n, Half::Lower);
            }
        }
        Some(Self { n, lower: matrix })
    }

    /// M⁻¹ B in the place of B, row-major with `columns` columns.
    pub fn solve(&self, b: &mut [f64], columns: usize) {
        let (n, lower) = (self.n, &self.lower);
        let starts: Vec<usize> = (0..n).step_by(BLOCK).collect();
        for &first in &starts {
            let end = (first + BLOCK).min(n);
            for j in first..end {
                let (above, row) = b.split_at_mut(j * columns);
                let row = &mut row[..columns];
                for p in first..j {
                    subtract(row, lower[j * n + p], &above[p * columns..]);
                }
                row.iter_mut().for_each(|value| *value /= lower[j * n + j]);
            }
            if end < n {
                let (solved, rest) = b.split_at_mut(end * columns);
                let factor = Operand::columns(&lower[end * n + first..], n, n - end);
                let solved = Operand::rows(&solved[first * columns..], columns);
                let operands = (factor, solved);
                add_products(-1.0, operands, end - first, rest, columns, Half::Both);
            }
        }
        for &first in starts.iter().rev() {
            let end = (first + BLOCK).min(n);
            if end < n {
                let (rest, solved) = b.split_at_mut(end * columns);
                let factor = Operand::rows(&lower[end * n..], n).part(first, end - first);
                let rest = &mut rest[first * columns..];
                let operands = (factor, Operand::rows(solved, columns));
                add_products(-1.0, operands, n - end, rest, columns, Half::Both);
            }
            for j in (first..end).rev() {
                let (row, below) = b[j * columns..].split_at_mut(columns);
                for p in j + 1..end {
                    subtract(row, lower[p * n + j], &below[(p - j - 1) * columns..]);
                }
                row.iter_mut().for_each(|value| *value /= lower[j * n + j]);
            }
        }
    }
}

/// Factors the block of rows and columns `first..end` in its place.
fn factor_diagonal(matrix: &mut [f64], n: usize, first: usize, end: usize) -> Option<()> {
    for j in first..end {
        let (above, row) = matrix.split_at_mut(j * n);
        for p in first..j {
            let pivot = &above[p * n..];
            let sum = dot(&row[first..p], &pivot[first..p]);
            row[p] = (row[p] - sum) / pivot[p];
        }
        let rest = row[j] - dot(&row[first..j], &row[first..j]);
        if rest <= 0.0 || !rest.is_finite() {
            return None;
        }
        row[j] = rest.sqrt();
    }
    Some(())
}

/// Some columns of rows of length `n`, row-major by themselves.
fn panel(rows: &[f64], n: usize, columns: std::ops::Range<usize>) -> Vec<f64> {
    let rows = rows.chunks_exact(n);
    rows.flat_map(|row| &row[columns.clone()])
        .copied()
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Sums side by side, which the compiler makes vectors of.
    let mut sums = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f64 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    rest + sums.iter().sum::<f64>()
}

fn subtract(row: &mut [f64], factor: f64, other: &[f64]) {
    for (value, other) in row.iter_mut().zip(other) {
        *value -= factor * other;
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// For each row of the matrix.
    const TOLERANCE: f64 = 1e-12;

    #[test]
    fn solutions_give_the_right_side_again() {
        for (n, columns) in [(1, 1), (5, 3), (64, 2), (65, 7), (200, 20)] {
            let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
            let mut numbers =
                |len| -> Vec<f64> { (0..len).map(|_| rng.random_range(-1.0..1.0)).collect() };
            let (a, b) = (numbers(n * n), numbers(n * columns));
            // AᵀA + I is positive definite.
            let mut matrix = vec![0.0; n * n];
            let operand = Operand::rows(&a, n);
            add_products(1.0, (operand, operand), n, &mut matrix, n, Half::Both);
            (0..n).for_each(|i| matrix[i * n + i] += 1.0);
            let mut x = b.clone();
            Factor::new(matrix.clone(), n)
                .unwrap()
                .solve(&mut x, columns);
            let mut again = vec![0.0; n * columns];
            let operands = (Operand::rows(&matrix, n), Operand::rows(&x, columns));
            add_products(1.0, operands, n, &mut again, columns, Half::Both);
            for (found, expected) in again.iter().zip(&b) {
                assert!((found - expected).abs() < TOLERANCE * n as f64, "{n}");
            }
        }
    }

    #[test]
    fn an_indefinite_matrix_has_no_factor() {
        assert!(Factor::new(vec![1.0, 0.0, 2.0, 1.0], 2).is_none());
        assert!(Factor::new(vec![f64::NAN], 1).is_none());
    }
}
