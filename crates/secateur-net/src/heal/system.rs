//! Sums over rows that the solutions of a ridge regression for all strengths follow from.
//!
//! ```text
//! D = (XᵀX + λI)⁻¹ XᵀR = Xᵀ (XXᵀ + λI)⁻¹ R,           X, R without their means if there is a d
//! ```
//!
//! The first form is used where there are at least as many rows as columns, the second where
//! there are fewer. Sums are 64-bit: the matrices of activations are badly conditioned.

use secateur_cpu::matrix::{Half, Operand, add_products};

use super::cholesky::Factor;
use super::ridge::{Problem, at, transposed};

/// Sums over the first rows of a problem that the solution for every strength follows from.
pub(super) struct System {
    rows: usize,
    /// Sums of `x` and `r` over the rows; zeros where there is no constant.
    sums: [Vec<f64>; 2],
    has_constant: bool,
    pub form: Form,
    /// What all sums and solutions took so far.
    pub multiply_adds: f64,
}

/// Which products are summed.
pub(super) enum Form {
    /// Lower half of XᵀX, and XᵀR.
    Primal { gram: Vec<f64>, cross: Vec<f64> },
    /// Lower half of XXᵀ.
    Dual { gram: Vec<f64> },
}

impl System {
    /// Of the first `rows` rows.
    pub fn new(problem: &Problem<'_>, rows: usize) -> Self {
        let (columns, c_out) = (problem.x.len, problem.r.len);
        let mut system = Self {
            rows: 0,
            sums: [vec![0.0; columns], vec![0.0; c_out]],
            has_constant: problem.has_constant,
            multiply_adds: 0.0,
            form: if rows < columns {
                Form::Dual { gram: Vec::new() }
            } else {
                Form::Primal {
                    gram: vec![0.0; columns * columns],
                    cross: vec![0.0; columns * c_out],
                }
            },
        };
        system.add(problem, rows);
        system
    }

    /// Takes in the rows of the problem that are not in yet.
    pub fn extend(&mut self, problem: &Problem<'_>) {
        self.add(problem, problem.rows);
    }

    fn add(&mut self, problem: &Problem<'_>, rows: usize) {
        let (columns, c_out, more) = (problem.x.len, problem.r.len, rows - self.rows);
        if self.has_constant {
            for (sums, operand) in self.sums.iter_mut().zip([&problem.x, &problem.r]) {
                for row in self.rows..rows {
                    let values = operand.values[operand.start + row * operand.step..].iter();
                    let values = sums.iter_mut().zip(values.step_by(operand.stride));
                    values.for_each(|(sum, &value)| *sum += f64::from(value));
                }
            }
        }
        match &mut self.form {
            Form::Primal { gram, cross } => {
                let [x, r] = [problem.x, problem.r].map(|all| all.from_product(self.rows));
                add_products(1.0, (x, x), more, gram, columns, Half::Lower);
                add_products(1.0, (x, r), more, cross, c_out, Half::Both);
            }
            Form::Dual { gram } => {
                *gram = vec![0.0; rows * rows];
                let x = transposed(&problem.x, 0..rows);
                add_products(1.0, (x, x), columns, gram, rows, Half::Lower);
            }
        }
        self.multiply_adds += match &self.form {
            Form::Primal { .. } => {
                product(more, columns, columns) / 2.0 + product(more, columns, c_out)
            }
            Form::Dual { .. } => product(rows, rows, columns) / 2.0,
        };
        self.rows = rows;
    }

    /// The change of weights for a strength; `None` if the matrix is not positive definite within
    /// rounding.
    pub fn solve(&mut self, problem: &Problem<'_>, strength: f64) -> Option<Vec<f64>> {
        let (n, columns, c_out) = (self.rows as f64, problem.x.len, problem.r.len);
        let [x, r] = &self.sums;
        // A factorisation and two triangular solutions; back from duals to weights.
        self.multiply_adds += match &self.form {
            Form::Primal { .. } => {
                product(columns, columns, columns) / 6.0 + product(columns, columns, c_out)
            }
            Form::Dual { .. } => {
                product(self.rows, self.rows, self.rows) / 6.0
                    + product(self.rows, self.rows, c_out)
                    + product(self.rows, columns, c_out)
            }
        };
        match &self.form {
            Form::Primal { gram, cross } => {
                let (mut gram, mut delta) = (gram.clone(), cross.clone());
                for row in 0..columns {
                    let mean = x[row] / n;
                    let part = &mut gram[row * columns..][..=row];
                    part.iter_mut()
                        .zip(x)
                        .for_each(|(value, sum)| *value -= mean * sum);
                    let part = &mut delta[row * c_out..][..c_out];
                    part.iter_mut()
                        .zip(r)
                        .for_each(|(value, sum)| *value -= mean * sum);
                }
                regularised(gram, columns, strength, columns)?.solve(&mut delta, c_out);
                Some(delta)
            }
            Form::Dual { gram } => {
                let mut duals = Vec::with_capacity(self.rows * c_out);
                for row in 0..self.rows {
                    duals.extend((0..c_out).map(|c| at(&problem.r, row, c) - r[c] / n));
                }
                let gram = self.centred(problem, gram);
                regularised(gram, self.rows, strength, columns)?.solve(&mut duals, c_out);
                // Xᵀ of the rows without their mean.
                let mut delta = vec![0.0; columns * c_out];
                let operands = (problem.x, Operand::rows(&duals, c_out));
                add_products(1.0, operands, self.rows, &mut delta, c_out, Half::Both);
                for channel in 0..c_out {
                    let sum: f64 = duals.iter().skip(channel).step_by(c_out).sum();
                    for (column, x) in x.iter().enumerate() {
                        delta[column * c_out + channel] -= x / n * sum;
                    }
                }
                Some(delta)
            }
        }
    }

    /// The lower half of XXᵀ for rows without their mean.
    fn centred(&self, problem: &Problem<'_>, gram: &[f64]) -> Vec<f64> {
        let n = self.rows;
        let [sums, _] = &self.sums;
        let means: Vec<f64> = sums.iter().map(|sum| sum / n as f64).collect();
        let square: f64 = means.iter().map(|mean| mean * mean).sum();
        let with_mean = |row: usize| -> f64 {
            means
                .iter()
                .enumerate()
                .map(|(k, mean)| mean * at(&problem.x, row, k))
                .sum()
        };
        let products: Vec<f64> = (0..n).map(with_mean).collect();
        let mut centred = gram.to_vec();
        for row in 0..n {
            for column in 0..=row {
                centred[row * n + column] += square - products[row] - products[column];
            }
        }
        centred
    }

    /// The constant that belongs to a change of weights.
    pub fn constant(&self, delta: &[f64]) -> Vec<f64> {
        let [x, r] = &self.sums;
        let mut constant = r.clone();
        for (row, sum) in delta.chunks_exact(r.len().max(1)).zip(x) {
            constant
                .iter_mut()
                .zip(row)
                .for_each(|(value, weight)| *value -= sum * weight);
        }
        constant
            .iter_mut()
            .for_each(|value| *value /= self.rows as f64);
        constant
    }
}

/// Multiply-adds of a product of matrices of these extents.
pub(super) fn product(rows: usize, columns: usize, sums: usize) -> f64 {
    rows as f64 * columns as f64 * sums as f64
}

/// M + λI, factored; M is `n` by `n` and given by its lower half.
fn regularised(mut matrix: Vec<f64>, n: usize, strength: f64, columns: usize) -> Option<Factor> {
    let trace: f64 = (0..n).map(|i| matrix[i * n + i]).sum();
    // Rows of zeros alone: any weights are right.
    let added = (strength * trace / columns as f64).max(f64::MIN_POSITIVE);
    (0..n).for_each(|i| matrix[i * n + i] += added);
    Factor::new(matrix, n)
}
