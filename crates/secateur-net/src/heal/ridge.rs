//! Ridge regression with its strength chosen on held-out rows.
//!
//! ```text
//! min over D, d:  Σ_rows |x D + d - r|² + λ |D|²,     λ = strength · trace(XᵀX) / columns
//! ```
//!
//! Source: Hoerl and Kennard, Technometrics 12 (1970).

use secateur_cpu::matrix::{Half, Operand, add_products};

use super::system::{System, product};

/// Powers of ten that the strength is chosen from, and where the walk over them starts.
const STRENGTHS: std::ops::RangeInclusive<i32> = -9..=1;
const FIRST: i32 = -2;

/// Rows whose errors are computed at a time.
const BLOCK: usize = 1024;

/// Rows `x` and what the change of the weights should give for them, `r`; the first `fit` rows
/// are fitted, the others held out.
pub(super) struct Problem<'a> {
    /// An index for each column.
    pub x: Operand<'a, f32>,
    /// An index for each output channel.
    pub r: Operand<'a, f32>,
    pub rows: usize,
    pub fit: usize,
    /// What a squared error of each output channel counts.
    pub importance: &'a [f64],
    /// True if a constant may be added to each output channel.
    pub has_constant: bool,
}

/// A change of weights.
pub(super) struct Solution {
    /// `[columns, c_out]`
    pub delta: Vec<f64>,
    /// `[c_out]`; zeros if there may be no constant.
    pub constant: Vec<f64>,
    /// Strength of the regularisation, relative to the mean of the diagonal.
    pub strength: f64,
    /// Sum of the squared errors of the held-out rows, by the fit on the others.
    pub held_out: f64,
}

/// The value of an operand for a row.
pub(super) fn at(operand: &Operand<'_, f32>, row: usize, index: usize) -> f64 {
    f64::from(operand.values[operand.start + row * operand.step + index * operand.stride])
}

/// An operand's rows as its columns.
pub(super) fn transposed<'a>(
    operand: &Operand<'a, f32>,
    rows: std::ops::Range<usize>,
) -> Operand<'a, f32> {
    Operand {
        start: operand.start + rows.start * operand.step,
        step: operand.stride,
        stride: operand.step,
        len: rows.len(),
        ..*operand
    }
}

impl Problem<'_> {
    /// Sum of the squared errors of the held-out rows without a change.
    pub fn before(&self) -> f64 {
        let rows = self.fit..self.rows;
        rows.map(|row| self.squares(|channel| at(&self.r, row, channel)))
            .sum()
    }

    /// The change that is best on held-out rows, fitted again on all; `None` if none is better
    /// there than no change. And the multiply-adds that this took.
    pub fn solve(&self) -> (Option<Solution>, f64) {
        let mut system = System::new(self, self.fit);
        let solution = self
            .best_strength(&mut system)
            .and_then(|(held_out, strength)| {
                system.extend(self);
                let delta = system.solve(self, strength)?;
                let constant = system.constant(&delta);
                Some(Solution {
                    delta,
                    constant,
                    strength,
                    held_out,
                })
            });
        (solution, system.multiply_adds)
    }

    /// The smallest error of the held-out rows, if smaller than without a change, and the
    /// strength that gives it.
    fn best_strength(&self, system: &mut System) -> Option<(f64, f64)> {
        let mut tried = |power: i32| {
            let strength = 10f64.powi(power);
            let delta = system.solve(self, strength)?;
            system.multiply_adds += product(self.rows - self.fit, self.x.len, self.r.len);
            let error = self.held_out(system, &delta);
            error.is_finite().then_some((error, strength))
        };
        let mut best: Option<(f64, f64)> = None;
        let mut power = FIRST;
        // Down to where it gets worse; up instead, if the first step down is none.
        for direction in [-1, 1] {
            let mut moved = false;
            while STRENGTHS.contains(&power) {
                match (tried(power), best) {
                    (Some(found), Some(known)) if found.0 >= known.0 => break,
                    (Some(found), known) => {
                        moved = known.is_some();
                        best = Some(found);
                    }
                    // Too weak for the rounding.
                    (None, _) => break,
                }
                power += direction;
            }
            if moved {
                break;
            }
            power = FIRST + 1;
        }
        best.filter(|(held_out, _)| *held_out < self.before())
    }

    fn held_out(&self, system: &System, delta: &[f64]) -> f64 {
        let (columns, c_out) = (self.x.len, self.r.len);
        let constant = system.constant(delta);
        let mut sum = 0.0;
        for start in (self.fit..self.rows).step_by(BLOCK) {
            let end = (start + BLOCK).min(self.rows);
            let mut y = vec![0.0; (end - start) * c_out];
            let operands = (transposed(&self.x, start..end), Operand::rows(delta, c_out));
            add_products(1.0, operands, columns, &mut y, c_out, Half::Both);
            for (row, y) in (start..end).zip(y.chunks_exact(c_out)) {
                sum += self
                    .squares(|channel| at(&self.r, row, channel) - y[channel] - constant[channel]);
            }
        }
        sum
    }

    fn squares(&self, error: impl Fn(usize) -> f64) -> f64 {
        let channels = self.importance.iter().enumerate();
        channels
            .map(|(c, &importance)| importance * error(c).powi(2))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::system::Form;
    use super::*;

    /// Sums of that many products of numbers of size 1.
    const TOLERANCE: f64 = 1e-4;

    fn matrix(rows: usize, columns: usize, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..rows * columns)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect()
    }

    fn problem<'a>(x: &'a [f32], r: &'a [f32], fit: usize) -> Problem<'a> {
        let rows = r.len() / 3;
        Problem {
            x: Operand::rows(x, x.len() / rows),
            r: Operand::rows(r, 3),
            rows,
            fit,
            importance: &[1.0; 3],
            has_constant: true,
        }
    }

    #[test]
    fn a_linear_map_and_its_constant_are_found() {
        let (x, map) = (matrix(120, 20, 1), matrix(20, 3, 2));
        let mut r = Vec::new();
        for row in x.chunks(20) {
            let sum = |c: usize| -> f32 { (0..20).map(|k| row[k] * map[k * 3 + c]).sum() };
            r.extend((0..3).map(|c| sum(c) + c as f32));
        }
        let solution = problem(&x, &r, 90).solve().0.unwrap();
        for channel in 0..3 {
            assert!((solution.constant[channel] - channel as f64).abs() < TOLERANCE);
            for k in 0..20 {
                let error = solution.delta[k * 3 + channel] - f64::from(map[k * 3 + channel]);
                assert!(error.abs() < TOLERANCE, "{error}");
            }
        }
    }

    #[test]
    fn both_forms_give_the_same() {
        let (x, r) = (matrix(40, 30, 3), matrix(40, 3, 4));
        let problem = problem(&x, &r, 40);
        let mut primal = System::new(&problem, 40);
        assert!(matches!(primal.form, Form::Primal { .. }));
        // The same rows, as if they were too few at first.
        let mut dual = System::new(&problem, 20);
        assert!(matches!(dual.form, Form::Dual { .. }));
        dual.extend(&problem);
        for strength in [1e-3, 1.0] {
            let [a, b] = [&mut primal, &mut dual].map(|system| {
                let delta = system.solve(&problem, strength).unwrap();
                [system.constant(&delta), delta].concat()
            });
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-9));
        }
    }

    #[test]
    fn noise_is_left_alone() {
        // Rows that say nothing of each other: whatever fits some is worse on the others.
        let (x, r) = (matrix(60, 50, 5), matrix(60, 3, 6));
        let problem = problem(&x, &r, 40);
        if let (Some(solution), _) = problem.solve() {
            assert!(solution.held_out < problem.before());
            assert!(solution.strength >= 1.0, "{}", solution.strength);
        }
    }
}
