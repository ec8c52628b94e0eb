//! A matrix of pixels times channels, walked so that vectors are full.
//!
//! If the channels of a pixel do not fill whole vectors, a part of the last one is idle: with 10
//! channels and vectors of 16 more than a third. So several pixels side by side are treated as
//! one pixel with that many times the channels: two pixels of 24 channels are three full vectors.
//! Per-channel constants are repeated as often, and per-channel sums are folded at the end.

use crate::isa::Isa;
use crate::simd::{SLACK, Simd};

/// Most floats of several pixels side by side: with more, the sums of a row would leave the
/// first-level cache.
const MOST_WIDE: usize = 256;
/// Length of the sums of a row, with slack.
pub(super) const WIDE: usize = MOST_WIDE + SLACK;
/// With fewer rows than this, folding the sums takes longer than full vectors save.
const LEAST_ROWS: usize = 8;
/// Rows of a strip: its memory stays in the first-level cache at 64 channels.
const STRIP: usize = 32;

/// Length of a per-channel array that vectors may run over.
pub(crate) fn padded(c: usize) -> usize {
    c + SLACK
}

/// How many pixels side by side fill whole vectors, which is how often constants are repeated.
pub(crate) fn repeats(isa: Isa, c: usize) -> usize {
    // Lanes are a power of two.
    let shared = c.trailing_zeros().min(isa.lanes().trailing_zeros());
    let repeat = isa.lanes() >> shared;
    if repeat * c <= MOST_WIDE { repeat } else { 1 }
}

/// A matrix `[pixels, c]`, walked in rows of several pixels.
#[derive(Clone, Copy)]
pub(crate) struct Matrix {
    pub pixels: usize,
    pub c: usize,
    /// Pixels of a row; constants are repeated as often.
    pub repeat: usize,
}

/// Some rows of a matrix; or the pixels that are left over at its end, as one row.
pub(super) struct Strip {
    pub rows: usize,
    /// Floats of a row.
    pub width: usize,
    pub pixels: usize,
}

impl Matrix {
    /// A matrix for constants that are repeated [`repeats`] times.
    pub fn new(isa: Isa, pixels: usize, c: usize) -> Self {
        Self::of_rows(isa, pixels, c, LEAST_ROWS)
    }

    /// As [`Self::new`], but with one pixel a row unless there are `least` rows of several.
    pub(crate) fn of_rows(isa: Isa, pixels: usize, c: usize, least: usize) -> Self {
        let repeat = repeats(isa, c);
        let repeat = if pixels / repeat < least { 1 } else { repeat };
        Self { pixels, c, repeat }
    }

    /// The strip that begins at pixel `done`.
    #[inline(always)]
    pub(super) fn strip(&self, done: usize) -> Strip {
        let left = self.pixels - done;
        let rows = (left / self.repeat).min(STRIP);
        if rows == 0 {
            return Strip {
                rows: 1,
                width: left * self.c,
                pixels: left,
            };
        }
        Strip {
            rows,
            width: self.repeat * self.c,
            pixels: rows * self.repeat,
        }
    }
}

/// Adds the first `n` lanes of a vector to the sums at `to`. The other lanes must not be added:
/// they hold no sums, and in a row of several pixels their place belongs to the next pixel.
///
/// # Safety
/// As [`Simd`]; `to` is valid for a vector.
#[inline(always)]
pub(super) unsafe fn accumulate<V: Simd>(to: *mut f32, v: V::V, n: usize) {
    // SAFETY: the caller's contract.
    unsafe { V::store_up_to(to, V::add(V::load(to), v), n) }
}

/// Adds up `n` arrays of sums over the pixels of a row, [`WIDE`] floats each, into `n` padded
/// arrays per channel.
///
/// # Safety
/// As [`Simd`]; the arrays are valid.
#[inline(always)]
pub(super) unsafe fn fold<V: Simd>(m: Matrix, wide: *const f32, n: usize, sums: *mut f32) {
    // SAFETY: a vector past the last channel of a row is inside its array, as is one past the
    // last channel of the sums.
    unsafe {
        for array in 0..n {
            let (wide, sums) = (wide.add(array * WIDE), sums.add(array * padded(m.c)));
            let mut c0 = 0;
            while c0 < m.c {
                let mut sum = V::load(sums.add(c0));
                for pixel in 0..m.repeat {
                    sum = V::add(sum, V::load(wide.add(pixel * m.c + c0)));
                }
                V::store(sums.add(c0), sum);
                c0 += V::LANES;
            }
        }
    }
}

/// `with_sums!(m, n, sums, |to, stride| walk)` adds what `walk` sums up to `sums`, `n` padded
/// arrays per channel. `walk` adds to `n` arrays as wide as a row, which lie `stride` floats
/// apart from `to` on.
macro_rules! with_sums {
    ($m:expr, $n:literal, $sums:expr, |$to:ident, $stride:ident| $walk:expr) => {
        if $m.repeat > 1 {
            let mut wide = [[0.0f32; $crate::norm::matrix::WIDE]; $n];
            let $to = wide.as_mut_ptr().cast::<f32>();
            let $stride = $crate::norm::matrix::WIDE;
            $walk;
            $crate::norm::matrix::fold::<V>($m, $to, $n, $sums);
        } else {
            let ($to, $stride) = ($sums, $crate::norm::matrix::padded($m.c));
            $walk;
        }
    };
}
pub(super) use with_sums;

/// `in_turn!(rows, at += step, |i| body)` runs `body` for every row, with i = 0 and 1 in turn.
macro_rules! in_turn {
    ($rows:expr, $at:ident += $step:expr, |$i:ident| $body:block) => {
        for _ in 0..$rows / 2 {
            for $i in 0..2 {
                $body
                $at += $step;
            }
        }
        if $rows % 2 == 1 {
            let $i = 0;
            $body
        }
    };
}
pub(super) use in_turn;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_side_by_side_fill_vectors_and_no_fewer_would() {
        for isa in crate::isa::available() {
            let fills = |floats: usize| floats.is_multiple_of(isa.lanes());
            for c in 1..300 {
                let repeat = repeats(isa, c);
                assert!(repeat == 1 || fills(repeat * c), "{c} channels");
                assert!(!fills(repeat / 2 * c) || repeat == 1, "{c} channels");
            }
        }
    }

    #[test]
    fn strips_cover_every_pixel_once() {
        for isa in crate::isa::available() {
            for (pixels, c) in [(1, 3), (49, 20), (196, 10), (784, 5), (300, 64), (7, 1)] {
                let m = Matrix::new(isa, pixels, c);
                let mut done = 0;
                while done < pixels {
                    let strip = m.strip(done);
                    assert!(strip.pixels > 0);
                    assert_eq!(strip.rows * strip.width, strip.pixels * c);
                    done += strip.pixels;
                }
                assert_eq!(done, pixels);
            }
        }
    }
}
