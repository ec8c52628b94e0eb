//! How far the outputs of two networks lie apart.

use super::tolerance::Tolerance;
use crate::runtime::Output;

/// The largest differences over all outputs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Difference {
    /// Of floats, relative to the largest of the same output; infinite where numbers of outputs
    /// or of their values differ, or one is NaN.
    pub relative: f64,
    /// Whole numbers that differ by more than they may.
    n_whole: usize,
    /// All whole numbers.
    of_whole: usize,
    has_floats: bool,
}

impl Difference {
    /// Between the outputs that are expected and those found; `types` are their ONNX types.
    pub(super) fn between(
        expected: &[Output],
        found: &[Output],
        types: &[i32],
        tolerance: &Tolerance,
    ) -> Self {
        let mut difference = Self::default();
        if expected.len() != found.len() {
            difference.relative = f64::INFINITY;
        }
        for (index, (a, b)) in expected.iter().zip(found).enumerate() {
            if a.values.len() != b.values.len() {
                difference.relative = f64::INFINITY;
            } else if a.is_float {
                difference.has_floats = true;
                difference.relative = difference.relative.max(relative(&a.values, &b.values));
            } else {
                let allowed = tolerance.steps_of(types.get(index).copied().unwrap_or(0));
                let pairs = a.values.iter().zip(&b.values);
                difference.n_whole += pairs.filter(|(a, b)| (*a - *b).abs() > allowed).count();
                difference.of_whole += a.values.len();
            }
        }
        difference
    }

    pub(super) fn is_within(&self, tolerance: &Tolerance) -> bool {
        self.relative <= tolerance.relative && self.n_whole == 0
    }

    /// The figures, for people.
    pub(super) fn text(&self, tolerance: &Tolerance) -> String {
        let mut parts = Vec::new();
        if self.has_floats || self.relative > 0.0 {
            let reason = match tolerance.reason {
                "" => String::new(),
                reason => format!(" ({reason})"),
            };
            parts.push(format!(
                "largest relative difference {:.1e}, allowed {:.0e}{reason}",
                self.relative, tolerance.relative
            ));
        }
        if self.of_whole > 0 {
            parts.push(match self.n_whole {
                0 => format!("{} whole numbers agree", self.of_whole),
                n => format!("{n} of {} whole numbers differ", self.of_whole),
            });
        }
        parts.join(", ")
    }
}

fn relative(a: &[f64], b: &[f64]) -> f64 {
    let largest = a.iter().map(|v| v.abs()).fold(0.0f64, f64::max).max(1e-6);
    let pairs = a.iter().zip(b).filter(|(a, b)| a != b);
    pairs
        .map(|(a, b)| (a - b).abs() / largest)
        .map(|d| if d.is_nan() { f64::INFINITY } else { d })
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXACT: Tolerance = Tolerance {
        relative: 1e-4,
        steps: 0.0,
        reason: "",
    };
    const QUANTISED: Tolerance = Tolerance {
        steps: 2.0,
        ..EXACT
    };
    const I64: i32 = 7;
    const U8: i32 = 2;

    fn output(is_float: bool, values: &[f64]) -> Vec<Output> {
        let values = values.to_vec();
        vec![Output {
            shape: vec![values.len()],
            is_float,
            values,
        }]
    }

    fn agree(a: &[Output], b: &[Output], elem_type: i32, tolerance: &Tolerance) -> bool {
        Difference::between(a, b, &[elem_type], tolerance).is_within(tolerance)
    }

    #[test]
    fn floats_may_differ_by_rounding_whole_numbers_not() {
        let floats = |v: &[f64]| output(true, v);
        assert!(agree(
            &floats(&[2.0, 0.1]),
            &floats(&[2.0, 0.1001]),
            1,
            &EXACT
        ));
        assert!(!agree(
            &floats(&[2.0, 0.1]),
            &floats(&[2.0, 0.11]),
            1,
            &EXACT
        ));
        assert!(!agree(&floats(&[2.0]), &floats(&[2.0, 2.0]), 1, &EXACT));
        assert!(!agree(&floats(&[2.0]), &floats(&[f64::NAN]), 1, &EXACT));
        assert!(!agree(&floats(&[2.0]), &[], 1, &EXACT));
        let whole = |v: &[f64]| output(false, v);
        assert!(agree(&whole(&[200.0]), &whole(&[200.0]), I64, &QUANTISED));
        assert!(!agree(&whole(&[200.0]), &whole(&[201.0]), I64, &QUANTISED));
        assert!(agree(&whole(&[200.0]), &whole(&[202.0]), U8, &QUANTISED));
        assert!(!agree(&whole(&[200.0]), &whole(&[203.0]), U8, &QUANTISED));
        assert!(!agree(&whole(&[200.0]), &whole(&[201.0]), U8, &EXACT));
    }
}
