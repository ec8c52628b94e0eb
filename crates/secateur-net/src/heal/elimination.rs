//! What layers lose when columns of what they read go, and the others make up for it.
//!
//! With C the covariance of what a layer reads, its mean taken out where the layer has a constant,
//! and W its weights, the columns R that go cost, when the weights of the others change so that
//! the error is least,
//!
//! ```text
//! tr(W_Rᵀ (C⁻¹_RR)⁻¹ W_R),    W ← W - C⁻¹_:R (C⁻¹_RR)⁻¹ W_R,    C⁻¹ ← C⁻¹ - C⁻¹_:R (C⁻¹_RR)⁻¹ C⁻¹_R:
//! ```
//!
//! Source: Hassibi and Stork, NIPS 1992 (Optimal Brain Surgeon), for single weights; here blocks
//! of columns, and the error of a layer's output instead of the network's loss.

use secateur_cpu::matrix::{Half, Operand, add_products};

use super::cholesky::Factor;
use super::moments::Moments;
use super::system::product;

/// Added to the diagonal of the covariance, as share of its mean.
const STRENGTH: f64 = 1e-3;

/// A layer of which columns go, one block after the other.
pub(super) struct Eliminating {
    /// Columns that are stored: those that are left, and some that are gone.
    n: usize,
    c_out: usize,
    /// Where each column of the layer is stored; `None` if it is gone.
    place: Vec<Option<usize>>,
    /// `[n, n]`, symmetric.
    inverse: Vec<f64>,
    /// `[n, c_out]`
    weights: Vec<f64>,
    /// Sum over the output channels of their variance.
    variance: f64,
    pub multiply_adds: f64,
}

impl Eliminating {
    /// A layer as it is in the original; `None` if it gives the same for all inputs, or numbers
    /// that are not finite.
    pub fn new(moments: &Moments) -> Option<Self> {
        let (n, c_out) = (moments.columns(), moments.c_out);
        let mut covariance = moments.covariance();
        let mut image = vec![0.0; n * c_out];
        let operands = (
            Operand::rows(&covariance, n),
            Operand::rows(&moments.weights, c_out),
        );
        add_products(1.0, operands, n, &mut image, c_out, Half::Both);
        let variance = inner(&image, &moments.weights);
        if !variance.is_finite() || variance <= 0.0 {
            return None;
        }
        let trace: f64 = (0..n).map(|i| covariance[i * n + i]).sum();
        (0..n).for_each(|i| covariance[i * n + i] += STRENGTH * trace / n as f64);
        let mut inverse = vec![0.0; n * n];
        (0..n).for_each(|i| inverse[i * n + i] = 1.0);
        Factor::new(covariance, n)?.solve(&mut inverse, n);
        Some(Self {
            n,
            c_out,
            place: (0..n).map(Some).collect(),
            inverse,
            weights: moments.weights.clone(),
            variance,
            multiply_adds: product(n, n, n) * (1.0 + 1.0 / 6.0),
        })
    }

    /// What the layer would lose without some columns, as share of its variance.
    pub fn loss(&self, columns: &[usize]) -> f64 {
        let places = self.places(columns);
        let weights = rows_of(&self.weights, self.c_out, &places);
        let Some(factor) = self.block(&places) else {
            return 0.0;
        };
        let mut solved = weights.clone();
        factor.solve(&mut solved, self.c_out);
        inner(&weights, &solved).max(0.0) / self.variance
    }

    /// The weights of what is left, `[columns, c_out]`, 0 for what is gone.
    pub fn weights(&self) -> Vec<f64> {
        let mut weights = vec![0.0; self.place.len() * self.c_out];
        let columns = weights.chunks_exact_mut(self.c_out.max(1));
        for (column, place) in columns.zip(&self.place) {
            if let Some(place) = place {
                column.copy_from_slice(&self.weights[place * self.c_out..][..self.c_out]);
            }
        }
        weights
    }

    /// Takes columns away.
    pub fn remove(&mut self, columns: &[usize]) {
        let places = self.places(columns);
        let (n, c_out, m) = (self.n, self.c_out, places.len());
        columns.iter().for_each(|&column| self.place[column] = None);
        let Some(factor) = self.block(&places) else {
            return;
        };
        let rows = rows_of(&self.inverse, n, &places);
        let mut solved = rows_of(&self.weights, c_out, &places);
        factor.solve(&mut solved, c_out);
        let operands = (Operand::rows(&rows, n), Operand::rows(&solved, c_out));
        add_products(-1.0, operands, m, &mut self.weights, c_out, Half::Both);
        let mut solved = rows.clone();
        factor.solve(&mut solved, n);
        let operands = (Operand::rows(&rows, n), Operand::rows(&solved, n));
        add_products(-1.0, operands, m, &mut self.inverse, n, Half::Both);
        self.multiply_adds += product(m, n, c_out) + product(m, n, n);
        if 2 * self.place.iter().flatten().count() < n {
            self.forget();
        }
    }

    /// Stores what is left alone.
    fn forget(&mut self) {
        let left: Vec<usize> = self.place.iter().flatten().copied().collect();
        let inverse = rows_of(&self.inverse, self.n, &left);
        let rows = inverse.chunks_exact(self.n);
        self.inverse = rows
            .flat_map(|row| left.iter().map(|&column| row[column]))
            .collect();
        self.weights = rows_of(&self.weights, self.c_out, &left);
        self.n = left.len();
        let places = self.place.iter_mut().flatten().enumerate();
        places.for_each(|(place, stored)| *stored = place);
    }

    /// Where columns are stored.
    fn places(&self, columns: &[usize]) -> Vec<usize> {
        columns
            .iter()
            .filter_map(|&column| self.place[column])
            .collect()
    }

    /// The block of the inverse at some places, factored; `None` where rounding leaves nothing
    /// of it: those columns follow from others.
    fn block(&self, places: &[usize]) -> Option<Factor> {
        let at = |row: &usize| {
            let row = row * self.n;
            places.iter().map(move |column| self.inverse[row + column])
        };
        Factor::new(places.iter().flat_map(at).collect(), places.len())
    }
}

/// Some rows of a matrix.
fn rows_of(matrix: &[f64], width: usize, rows: &[usize]) -> Vec<f64> {
    let rows = rows.iter();
    rows.flat_map(|row| &matrix[row * width..][..width])
        .copied()
        .collect()
}

/// Sum of the products of the elements.
fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Relative; the matrices are well conditioned.
    const TOLERANCE: f64 = 1e-9;

    fn matrix(rows: usize, columns: usize, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..rows * columns)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect()
    }

    /// AᵀA + I/10.
    fn covariance(n: usize) -> Vec<f64> {
        let a = matrix(2 * n, n, 1);
        let mut covariance = vec![0.0; n * n];
        let operand = Operand::rows(&a, n);
        add_products(
            1.0,
            (operand, operand),
            2 * n,
            &mut covariance,
            n,
            Half::Both,
        );
        (0..n).for_each(|i| covariance[i * n + i] += 0.1);
        covariance
    }

    /// The least squared error of x W when only the columns `kept` of x may be used:
    /// the error of a regression of the others' part on them.
    fn directly(c: &[f64], n: usize, w: &[f64], c_out: usize, kept: &[usize]) -> f64 {
        // With V for the weights that are best, tr((W - V)ᵀ C (W - V)), C_SS V_S = (C W)_S.
        let mut image = vec![0.0; n * c_out];
        let operands = (Operand::rows(c, n), Operand::rows(w, c_out));
        add_products(1.0, operands, n, &mut image, c_out, Half::Both);
        let block = kept
            .iter()
            .flat_map(|i| kept.iter().map(move |j| c[i * n + j]));
        let mut best: Vec<f64> = kept
            .iter()
            .flat_map(|i| image[i * c_out..][..c_out].to_vec())
            .collect();
        Factor::new(block.collect(), kept.len())
            .unwrap()
            .solve(&mut best, c_out);
        let mut difference = w.to_vec();
        for (row, &i) in best.chunks_exact(c_out).zip(kept) {
            let values = difference[i * c_out..][..c_out].iter_mut().zip(row);
            values.for_each(|(w, v)| *w -= v);
        }
        let mut image = vec![0.0; n * c_out];
        let operands = (Operand::rows(c, n), Operand::rows(&difference, c_out));
        add_products(1.0, operands, n, &mut image, c_out, Half::Both);
        inner(&difference, &image)
    }

    #[test]
    fn losses_are_those_of_regressions_on_what_is_left() {
        let (n, c_out) = (12, 3);
        let (covariance, weights) = (covariance(n), matrix(n, c_out, 2));
        let mut inverse = vec![0.0; n * n];
        (0..n).for_each(|i| inverse[i * n + i] = 1.0);
        Factor::new(covariance.clone(), n)
            .unwrap()
            .solve(&mut inverse, n);
        let mut layer = Eliminating {
            n,
            c_out,
            place: (0..n).map(Some).collect(),
            inverse,
            weights: weights.clone(),
            variance: 1.0,
            multiply_adds: 0.0,
        };
        let mut kept: Vec<usize> = (0..n).collect();
        let mut lost = 0.0;
        for block in [&[3usize, 7][..], &[0], &[11, 2, 5], &[4]] {
            lost += layer.loss(block);
            layer.remove(block);
            kept.retain(|column| !block.contains(column));
            let expected = directly(&covariance, n, &weights, c_out, &kept);
            let error = (lost - expected).abs();
            assert!(error < TOLERANCE * expected, "{lost} instead of {expected}");
        }
    }
}
