//! Conversion between channels-last and channels-first images.

use crate::checks::assert_len;
use crate::parallel::{self, Shared};

/// Side of the squares that are moved at once: a cache line of floats.
const SQUARE: usize = 16;

/// y[i, c, r] = x[i, r, c]. With pixels as rows and channels as columns, or the other way round,
/// this converts images from one layout to the other.
///
/// # Shapes
/// `x` `[n, rows, columns]`, `y` `[n, columns, rows]` (overwritten)
/// # Panics
/// If a slice does not have its length.
pub fn swap_planes([n, rows, columns]: [usize; 3], x: &[f32], y: &mut [f32]) {
    let len = rows * columns;
    assert_len("x", x.len(), n * len);
    assert_len("y", y.len(), n * len);
    let out = Shared::write(y);
    parallel::dynamic(n, |queue| {
        for i in queue {
            let x = &x[i * len..(i + 1) * len];
            // SAFETY: inside y; each image is one thread's alone.
            let y = unsafe { std::slice::from_raw_parts_mut(out.ptr().add(i * len), len) };
            for r0 in (0..rows).step_by(SQUARE) {
                let n_rows = SQUARE.min(rows - r0);
                for c0 in (0..columns).step_by(SQUARE) {
                    for c in c0..(c0 + SQUARE).min(columns) {
                        let to = &mut y[c * rows + r0..][..n_rows];
                        let from = x[r0 * columns + c..].iter().step_by(columns);
                        for (to, from) in to.iter_mut().zip(from) {
                            *to = *from;
                        }
                    }
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_swapped_and_swapped_back() {
        for dims in [[3, 49, 20], [1, 1, 5], [2, 7, 1], [5, 16, 33], [0, 3, 3]] {
            let [n, rows, columns] = dims;
            let x: Vec<f32> = (0..n * rows * columns).map(|i| i as f32).collect();
            let mut y = vec![-1.0; x.len()];
            swap_planes(dims, &x, &mut y);
            for i in 0..n {
                for r in 0..rows {
                    for c in 0..columns {
                        let expected = x[(i * rows + r) * columns + c];
                        assert_eq!(y[(i * columns + c) * rows + r], expected);
                    }
                }
            }
            let mut back = vec![-1.0; x.len()];
            swap_planes([n, columns, rows], &y, &mut back);
            assert_eq!(back, x);
        }
    }
}
