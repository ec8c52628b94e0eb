//! Errors as shares of how an output varies.
//!
//! Outputs differ in size by many orders, so an error says nothing by itself: it is divided by
//! the variance of the output over the samples, taken at each position and averaged. Then 0 is
//! the original itself and 1 the best constant, whatever the output's unit.

use burn::tensor::{Tensor, TensorData};

use super::originals::check_shape;
use crate::error::Result;
use crate::value::{Dense, Output};

/// Variances below this share of the mean square are rounding.
const ROUNDING: f64 = 1e-13;

/// Mean over the positions of the variance over the samples.
///
/// For a single sample it is that over the positions; for an output that does not vary, its
/// mean square; for one of zeros, 1. Values that are not finite are left out.
pub(crate) fn variance(output: &Output) -> f64 {
    let n = output.n().max(1);
    let len = output.values.len() / n;
    let mean_square = Moments::of(output.values.iter().copied()).mean_square();
    let between = if n > 1 {
        let at = |position: usize| (0..n).map(move |sample| sample * len + position);
        let variances = (0..len).map(|p| Moments::of(at(p).map(|i| output.values[i])).variance());
        variances.sum::<f64>() / len.max(1) as f64
    } else {
        Moments::of(output.values.iter().copied()).variance()
    };
    if between > ROUNDING * mean_square {
        between
    } else if mean_square > 0.0 {
        mean_square
    } else {
        1.0
    }
}

/// Sums of finite values.
#[derive(Default)]
struct Moments {
    n: f64,
    sum: f64,
    squares: f64,
    first: f64,
}

impl Moments {
    fn of(values: impl Iterator<Item = f32>) -> Self {
        let mut moments = Self::default();
        for value in values.filter(|v| v.is_finite()).map(f64::from) {
            if moments.n == 0.0 {
                moments.first = value;
            }
            // Around the first value, so that large means do not swallow small deviations.
            let shifted = value - moments.first;
            moments.n += 1.0;
            moments.sum += shifted;
            moments.squares += shifted * shifted;
        }
        moments
    }

    fn variance(&self) -> f64 {
        let mean = self.sum / self.n.max(1.0);
        (self.squares / self.n.max(1.0) - mean * mean).max(0.0)
    }

    fn mean_square(&self) -> f64 {
        let mean = self.first + self.sum / self.n.max(1.0);
        self.variance() + mean * mean
    }
}

/// Mean squared error of a sample over a variance: 0 where both are the same, infinite where
/// one alone is finite.
pub(super) fn error(values: &[f32], wanted: &[f32], variance: f64) -> f64 {
    let pairs = values.iter().zip(wanted);
    let squares = pairs.map(|(&a, &b)| match a == b || (a.is_nan() && b.is_nan()) {
        true => 0.0,
        false => {
            let difference = f64::from(a) - f64::from(b);
            let square = difference * difference;
            if square.is_nan() {
                f64::INFINITY
            } else {
                square
            }
        }
    });
    squares.sum::<f64>() / values.len().max(1) as f64 / variance
}

/// [`error`] of a batch, as a loss. Positions where the original is not finite are left out.
pub(crate) fn loss(output: &Dense, wanted: &Output, variance: f64) -> Result<Tensor<1>> {
    check_shape("the loss", output.dims(), wanted)?;
    let len = output.len();
    let given: Tensor<1> = output.reshape(&[len]).tensor();
    let device = given.device();
    let finite: Vec<bool> = wanted.values.iter().map(|v| v.is_finite()).collect();
    let all = finite.iter().all(|&f| f);
    let values = wanted
        .values
        .iter()
        .map(|&v| if v.is_finite() { v } else { 0.0 });
    let wanted = Tensor::<1>::from_data(TensorData::new(values.collect(), [len]), &device);
    let mut difference = given - wanted;
    if !all {
        let zeros = Dense::from_tensor(Tensor::<1>::zeros([len], &device));
        let kept = Dense::from_tensor(difference).where_mask(&finite, &zeros);
        difference = kept.tensor();
    }
    let factor = 1.0 / (variance * len.max(1) as f64);
    Ok((difference.clone() * difference)
        .sum()
        .mul_scalar(factor as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::testing::output;

    #[test]
    fn outputs_vary_from_sample_to_sample() {
        let check = |shape: &[usize], values: &[f32], expected: f64| {
            let got = variance(&output(shape, values));
            assert!(
                (got - expected).abs() < 1e-6 * expected,
                "{got}, {expected}"
            );
        };
        // Positions of very different means, each of variance 1.
        check(&[2, 2], &[1.0, 1001.0, 3.0, 1003.0], 1.0);
        check(&[2, 1], &[1e6, 1e6 + 2.0], 1.0);
        check(&[1, 2], &[1.0, 3.0], 1.0);
        check(&[3, 1], &[2.0, 2.0, 2.0], 4.0);
        check(&[2, 1], &[0.0, 0.0], 1.0);
        check(&[3, 1], &[f32::NEG_INFINITY, 1.0, 3.0], 1.0);
    }

    #[test]
    fn what_is_no_number_is_an_error_without_bound() {
        assert_eq!(error(&[1.0, 2.0], &[1.0, 4.0], 2.0), 1.0);
        let inf = f32::NEG_INFINITY;
        assert_eq!(error(&[inf, 2.0], &[inf, 2.0], 1.0), 0.0);
        assert_eq!(error(&[f32::NAN], &[1.0], 1.0), f64::INFINITY);
        assert_eq!(error(&[1.0], &[inf], 1.0), f64::INFINITY);
    }
}
