//! Copies of images with a border of zeros.

use super::program::Padding;
use crate::isa::Isa;
use crate::norm::apply::Affine;
use crate::norm::matrix::Matrix;
use crate::norm::rows::{self, Rows};
use crate::simd::{Simd, dispatch};

/// The part of a side of the source that lies in the padded image; padding may crop the source.
struct Visible {
    /// First position in the source.
    from: usize,
    /// Its position in the padded image.
    to: usize,
    len: usize,
}

impl Visible {
    /// The visible part of `len` positions that are laid into `size` positions, the first at
    /// `start`, which is negative if it is cropped.
    #[inline(always)]
    fn new(len: usize, start: isize, size: usize) -> Self {
        let (from, to) = ((-start).max(0) as usize, start.max(0) as usize);
        Self {
            from,
            to,
            len: len.saturating_sub(from).min(size.saturating_sub(to)),
        }
    }
}

/// Writes the padded copy of the image `src` (`[h, w, c]`) to `dst`.
///
/// # Safety
/// `src` is valid for `h * w * c` floats and `dst` for `rows * cols * c`.
pub(crate) unsafe fn pad_image(src: *const f32, [h, w, c]: [usize; 3], p: Padding, dst: *mut f32) {
    let pitch = p.cols * c;
    let x = Visible::new(w, p.left, p.cols);
    for row in 0..p.rows {
        // SAFETY: `row < rows`; the visible columns lie inside both images.
        unsafe {
            let to = dst.add(row * pitch);
            let y = row as isize - p.top;
            if y < 0 || y >= h as isize || x.len == 0 {
                to.write_bytes(0, pitch);
                continue;
            }
            to.write_bytes(0, x.to * c);
            let from = src.add((y as usize * w + x.from) * c);
            to.add(x.to * c).copy_from_nonoverlapping(from, x.len * c);
            to.add((x.to + x.len) * c)
                .write_bytes(0, pitch - (x.to + x.len) * c);
        }
    }
}

#[inline(always)]
unsafe fn place_body<V: Simd>(src: *const f32, [h, w, c]: [usize; 3], p: Padding, dst: *mut f32) {
    let (x, y) = (
        Visible::new(w, p.left, p.cols),
        Visible::new(h, p.top, p.rows),
    );
    let (pitch, len) = (p.cols * c, x.len * c);
    for row in 0..y.len {
        // SAFETY: visible rows and columns lie inside both images.
        unsafe {
            let from = src.add(((y.from + row) * w + x.from) * c);
            let to = dst.add((y.to + row) * pitch + x.to * c);
            let mut at = 0;
            while at < len {
                let n = len - at;
                V::store_up_to(to.add(at), V::load_up_to(from.add(at), n), n);
                at += V::LANES;
            }
        }
    }
}
dispatch! {
    /// As [`pad_image`], but leaves the border of `dst` alone: scratch that was zero at first has
    /// a border of zeros for all images.
    ///
    /// # Safety
    /// The machine has `isa`; as [`pad_image`].
    pub(crate) fn place_image / place_body(
        src: *const f32, image: [usize; 3], p: Padding, dst: *mut f32)
}

/// As [`place_image`], but writes limit(src · scale + shift).
///
/// # Safety
/// As [`place_image`]; the constants are those of `c` channels.
pub(crate) unsafe fn place_normalised(
    isa: Isa,
    src: *const f32,
    [h, w, c]: [usize; 3],
    p: Padding,
    affine: &Affine,
    dst: *mut f32,
) {
    let (x, y) = (
        Visible::new(w, p.left, p.cols),
        Visible::new(h, p.top, p.rows),
    );
    let rows = Rows {
        rows: y.len,
        pixels: Matrix::of_rows(isa, x.len, c, 1),
        from: w * c,
        to: p.cols * c,
    };
    // SAFETY: visible rows and columns lie inside both images.
    unsafe {
        let from = src.add((y.from * w + x.from) * c);
        let to = dst.add((y.to * p.cols + x.to) * c);
        rows::apply_rows(isa, rows, affine, from, to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placing_into_zeros_is_padding() {
        let src: Vec<f32> = (0..5 * 7 * 3).map(|v| v as f32 + 1.0).collect();
        for (top, left) in [(0, 0), (1, 2), (-1, 1), (2, -3), (-9, 0)] {
            for (rows, cols) in [(5, 7), (9, 12), (3, 4)] {
                let p = Padding {
                    top,
                    left,
                    rows,
                    cols,
                };
                let (mut padded, mut placed) =
                    (vec![9.0; rows * cols * 3], vec![0.0; rows * cols * 3]);
                for isa in crate::isa::available() {
                    // SAFETY: both have the padded size, and the level is available.
                    unsafe {
                        pad_image(src.as_ptr(), [5, 7, 3], p, padded.as_mut_ptr());
                        place_image(isa, src.as_ptr(), [5, 7, 3], p, placed.as_mut_ptr());
                    }
                    assert_eq!(padded, placed, "{p:?}");
                }
            }
        }
    }
}
