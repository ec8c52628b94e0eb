//! Pixels at places between pixels: which are read, and with which weights.
//!
//! The weights follow the places on the tape; which pixels are read is a step, without slope.

use burn::tensor::{Tensor, TensorData};

use crate::pass::Pass;
use crate::value::Dense;

/// How a place gets its value from the pixels around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interpolation {
    Nearest,
    Linear,
    Cubic,
}

/// What lies outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outside {
    Zeros,
    /// The pixel at the border.
    Border,
    /// Mirrored at the centres of the outermost pixels, or at their outer edges.
    Reflected {
        at_centres: bool,
    },
}

impl Outside {
    /// The pixel that is read for `at`, of `size` along an axis.
    fn pixel(self, at: i64, size: usize) -> Option<usize> {
        let n = size as i64;
        let inside = match self {
            Self::Zeros => at,
            Self::Border => at.clamp(0, n - 1),
            Self::Reflected { at_centres: true } if n == 1 => 0,
            Self::Reflected { at_centres: true } => {
                let at = at.rem_euclid(2 * (n - 1));
                at.min(2 * (n - 1) - at)
            }
            Self::Reflected { at_centres: false } => {
                let at = at.rem_euclid(2 * n);
                at.min(2 * n - 1 - at)
            }
        };
        usize::try_from(inside).ok().filter(|&at| at < size)
    }
}

/// Pixels along axes, for `r` places: the last axis runs fastest.
pub(super) struct Taps {
    /// Side by side for every place; row-major numbers over the axes.
    pub at: Vec<Option<usize>>,
    /// Of every place.
    pub taps: usize,
    /// `[r, taps]`; `None` for 1.
    pub weights: Option<Dense>,
}

/// a of Keys' kernel (IEEE Trans. ASSP 29(6), 1981), as in PyTorch and the standard.
const KEYS: f32 = -0.75;

impl Taps {
    /// Along one axis of `size` pixels, at `places` `[r, 1]`, in pixels.
    pub fn along(
        pass: &Pass<'_>,
        places: &Dense,
        size: usize,
        interpolation: Interpolation,
        outside: Outside,
    ) -> Self {
        let values = places.to_vec();
        let (first, round): (std::ops::Range<i64>, fn(f32) -> f32) = match interpolation {
            Interpolation::Nearest => (0..1, f32::round_ties_even),
            Interpolation::Linear => (0..2, f32::floor),
            Interpolation::Cubic => (-1..3, f32::floor),
        };
        let floors: Vec<f32> = values.iter().map(|&place| round(place)).collect();
        let pixel = |&floor: &f32| {
            first
                .clone()
                .map(move |k| outside.pixel((floor as i64).saturating_add(k), size))
        };
        let at = floors.iter().flat_map(pixel).collect();
        let len = floors.len();
        let floors = Tensor::<2>::from_data(TensorData::new(floors, [len, 1]), &pass.device);
        let share = || places.sub(&Dense::from_tensor(floors));
        let weights = match interpolation {
            Interpolation::Nearest => None,
            Interpolation::Linear => {
                let right = share();
                Some(Dense::concat(vec![right.neg().add_scalar(1.0), right], 1))
            }
            Interpolation::Cubic => Some(cubic_weights(&share())),
        };
        Self {
            at,
            taps: (first.end - first.start) as usize,
            weights,
        }
    }

    /// Those of this axis, outer, and the next, of `size` pixels, inner.
    pub fn with(self, inner: &Self, size: usize) -> Self {
        let rows = self
            .at
            .chunks_exact(self.taps)
            .zip(inner.at.chunks_exact(inner.taps));
        let at = rows.flat_map(|(outer, inner)| {
            let pair = move |outer: &Option<usize>| {
                let outer = *outer;
                inner
                    .iter()
                    .map(move |inner| Some(outer? * size + (*inner)?))
            };
            outer.iter().flat_map(pair)
        });
        let at: Vec<Option<usize>> = at.collect();
        let taps = self.taps * inner.taps;
        let count = at.len() / taps;
        let weights = match (&self.weights, &inner.weights) {
            (Some(own), Some(other)) => {
                let own = own.reshape(&[count, self.taps, 1]);
                let product = own.mul(&other.reshape(&[count, 1, inner.taps]));
                Some(product.reshape(&[count, taps]))
            }
            _ => None,
        };
        Self { at, taps, weights }
    }
}

/// Weights of the pixels at -1, 0, 1 and 2 for places `[r, 1]` in 0..1 between 0 and 1.
fn cubic_weights(share: &Dense) -> Dense {
    // ((a + 2) d - (a + 3)) d² + 1 up to 1, ((a d - 5 a) d + 8 a) d - 4 a up to 2.
    let near = |d: &Dense| {
        let inner = d.mul_scalar(KEYS + 2.0).add_scalar(-(KEYS + 3.0));
        inner.mul(d).mul(d).add_scalar(1.0)
    };
    let far = |d: &Dense| {
        let inner = d.mul_scalar(KEYS).add_scalar(-5.0 * KEYS);
        let inner = inner.mul(d).add_scalar(8.0 * KEYS);
        inner.mul(d).add_scalar(-4.0 * KEYS)
    };
    let rest = share.neg().add_scalar(1.0);
    let weights = vec![
        far(&share.add_scalar(1.0)),
        near(share),
        near(&rest),
        far(&rest.add_scalar(1.0)),
    ];
    Dense::concat(weights, 1)
}

#[cfg(test)]
mod tests {
    use super::Outside;

    #[test]
    fn pixels_outside_are_those_of_the_standard() {
        let check = |outside: Outside, expected: [i64; 8]| {
            let got = (-3..5).map(|at| outside.pixel(at, 3).map_or(-1, |at| at as i64));
            assert_eq!(got.collect::<Vec<_>>(), expected, "{outside:?}");
        };
        check(Outside::Zeros, [-1, -1, -1, 0, 1, 2, -1, -1]);
        check(Outside::Border, [0, 0, 0, 0, 1, 2, 2, 2]);
        let at_centres = true;
        check(Outside::Reflected { at_centres }, [1, 2, 1, 0, 1, 2, 1, 0]);
        let at_centres = false;
        check(Outside::Reflected { at_centres }, [2, 1, 0, 0, 1, 2, 2, 1]);
    }
}
