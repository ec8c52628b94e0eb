//! A batch norm and activation applied on the way into padded scratch, whose rows lie further
//! apart than those of the image.

use super::apply::Affine;
use super::matrix::Matrix;
use crate::simd::{Simd, dispatch};

/// The rows of an image, here and in scratch.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub rows: usize,
    /// The pixels of one row.
    pub pixels: Matrix,
    /// Floats from one row of the image to the next.
    pub from: usize,
    /// Floats from one row of the scratch to the next.
    pub to: usize,
}

#[inline(always)]
unsafe fn apply_rows_body<V: Simd>(r: Rows, a: &Affine, x: *const f32, y: *mut f32) {
    // SAFETY: the caller's contract.
    unsafe {
        for row in 0..r.rows {
            let (x, y) = (x.add(row * r.from), y.add(row * r.to));
            let mut done = 0;
            while done < r.pixels.pixels {
                let strip = r.pixels.strip(done);
                let mut at = done * r.pixels.c;
                for _ in 0..strip.rows {
                    let mut c0 = 0;
                    while c0 < strip.width {
                        let n = strip.width - c0;
                        let (scale, shift) = (V::load(a.scale.add(c0)), V::load(a.shift.add(c0)));
                        let v = V::fma(V::load_up_to(x.add(at + c0), n), scale, shift);
                        V::store_up_to(y.add(at + c0), a.limits.apply::<V>(v), n);
                        c0 += V::LANES;
                    }
                    at += strip.width;
                }
                done += strip.pixels;
            }
        }
    }
}
dispatch! {
    /// y = limit(x · scale + shift), row by row in the order of memory, since the pixels written
    /// are read again soon.
    ///
    /// # Safety
    /// The machine has `isa`; `x` and `y` are valid for the rows.
    pub(crate) fn apply_rows / apply_rows_body(r: Rows, a: &Affine, x: *const f32, y: *mut f32)
}
