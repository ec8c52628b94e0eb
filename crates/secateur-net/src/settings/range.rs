//! What a number of a config may be.
//!
//! A number that no run can use is refused before a run begins: most would show only at the
//! end of a search, as weights that are not numbers.

use std::fmt;
use std::ops::{Bound, RangeBounds};

/// What a number may be. NaN is in none.
///
/// Bounds are `f32`, so that a setting of that type which is written like a bound equals it:
/// 0.9 as `f32` is less than 0.9 as `f64`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    from: Bound<f32>,
    to: Bound<f32>,
}

impl Range {
    /// Both bounds belong to it.
    pub const fn from_to(from: f32, to: f32) -> Self {
        Self {
            from: Bound::Included(from),
            to: Bound::Included(to),
        }
    }

    /// The lower bound does not belong to it.
    pub const fn above_to(above: f32, to: f32) -> Self {
        Self {
            from: Bound::Excluded(above),
            to: Bound::Included(to),
        }
    }

    /// The upper bound does not belong to it.
    pub const fn from_below(from: f32, below: f32) -> Self {
        Self {
            from: Bound::Included(from),
            to: Bound::Excluded(below),
        }
    }

    /// Neither bound belongs to it.
    pub const fn between(above: f32, below: f32) -> Self {
        Self {
            from: Bound::Excluded(above),
            to: Bound::Excluded(below),
        }
    }

    /// Is the number in it?
    pub fn contains(self, number: f64) -> bool {
        let range = (self.from.map(f64::from), self.to.map(f64::from));
        range.contains(&number)
    }
}

/// As in "expected above 0 and at most 1".
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lower = match self.from {
            Bound::Excluded(above) => format!("above {above}"),
            Bound::Included(from) => format!("at least {from}"),
            Bound::Unbounded => "any number".to_string(),
        };
        match (self.from, self.to) {
            (_, Bound::Included(f32::INFINITY) | Bound::Unbounded) => write!(f, "{lower}, or inf"),
            (_, Bound::Excluded(f32::INFINITY)) => write!(f, "{lower} and finite"),
            (Bound::Included(from), Bound::Included(to)) => write!(f, "{from} to {to}"),
            (_, Bound::Included(to)) => write!(f, "{lower} and at most {to}"),
            (_, Bound::Excluded(below)) => write!(f, "{lower} and below {below}"),
        }
    }
}

/// A share of which none and all are sensible.
pub const SHARE: Range = Range::from_to(0.0, 1.0);
/// A share of which something must remain on both sides.
pub const TRUE_SHARE: Range = Range::between(0.0, 1.0);
/// A share of which something must remain on the other side: momentum, smoothing.
pub const NOT_ALL: Range = Range::from_below(0.0, 1.0);
/// A share that must not be nothing.
pub const NOT_NONE: Range = Range::above_to(0.0, 1.0);
/// Points of accuracy.
pub const POINTS: Range = Range::from_to(0.0, 100.0);
/// Learning rates of a network; one too high shows in the first steps, as divergence.
pub const RATE: Range = Range::between(0.0, f32::INFINITY);
/// Images or decisions a step.
pub const BATCH: Range = Range::from_to(1.0, 65_536.0);
/// Inputs to solve weights on: one at least to fit and one to hold out.
pub const INPUTS: Range = Range::from_to(2.0, 65_536.0);
/// Widths of layers, multiples of kernels.
pub const WIDTH: Range = Range::from_to(1.0, 65_536.0);
/// Pixels: sides of images.
pub const SIDE: Range = Range::from_to(1.0, 65_536.0);
/// Pixels: shifts.
pub const SHIFT: Range = Range::from_to(0.0, 65_536.0);
/// Passes over the training data.
pub const EPOCHS: Range = Range::above_to(0.0, 100_000.0);
/// Amounts that only bound what is there.
pub const AMOUNT: Range = Range::from_to(0.0, 1e9);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_say_what_they_hold() {
        let zoom = crate::data::Augment::ZOOMS;
        let any = Range::from_to(1.0, f32::INFINITY);
        for (range, text, inside, outside) in [
            (BATCH, "1 to 65536", [1.0, 65_536.0], [0.0, 65_537.0]),
            (
                EPOCHS,
                "above 0 and at most 100000",
                [1e-3, 1e5],
                [0.0, 1e30],
            ),
            (
                RATE,
                "above 0 and finite",
                [1e-9, 1e30],
                [0.0, f64::INFINITY],
            ),
            (
                NOT_ALL,
                "at least 0 and below 1",
                [0.0, 0.999],
                [-1e-9, 1.0],
            ),
            (TRUE_SHARE, "above 0 and below 1", [1e-9, 0.999], [0.0, 1.0]),
            (
                any,
                "at least 1, or inf",
                [1.0, f64::INFINITY],
                [0.999, f64::NAN],
            ),
            (zoom, "0 to 0.9", [0.0, f64::from(0.9f32)], [-0.1, 0.91]),
        ] {
            assert_eq!(range.to_string(), text);
            for number in inside {
                assert!(range.contains(number), "{number} in {text}");
            }
            for number in outside {
                assert!(!range.contains(number), "{number} not in {text}");
            }
        }
    }
}
