//! The backward pass of a batch norm: per-channel sums, then the gradient of its input.
//!
//! The passes walk the matrix in the same way as those of [`super::apply`].

use super::apply::{Affine, Image};
use super::matrix::{Matrix, accumulate, in_turn, padded, with_sums};
use crate::ahead::fetch_to_read;
use crate::isa::Isa;
use crate::simd::{Simd, dispatch};

/// Floats of the sums that [`back_sums`] adds to.
pub(crate) fn back_sums_len(c: usize) -> usize {
    3 * padded(c)
}

#[inline(always)]
unsafe fn back_sums_body<V: Simd>(
    m: Matrix,
    a: &Affine,
    mean: *const f32,
    x: *const f32,
    residual: *const f32,
    dy: *const f32,
    sums: *mut f32,
) {
    // SAFETY: the caller's contract.
    unsafe {
        with_sums!(m, 3, sums, |to, stride| {
            back_sums_of_strips::<V>(m, a, mean, x, residual, dy, to, stride)
        });
    }
}

#[inline(always)]
unsafe fn back_sums_of_strips<V: Simd>(
    m: Matrix,
    a: &Affine,
    mean: *const f32,
    x: *const f32,
    residual: *const f32,
    dy: *const f32,
    to: *mut f32,
    stride: usize,
) {
    // SAFETY: the contract of `back_sums`.
    unsafe {
        let mut done = 0;
        while done < m.pixels {
            let strip = m.strip(done);
            let mut c0 = 0;
            while c0 < strip.width {
                let n = strip.width - c0;
                let (scale, shift) = (V::load(a.scale.add(c0)), V::load(a.shift.add(c0)));
                let mu = V::load(mean.add(c0));
                let mut at = done * m.c + c0;
                let mut sum = [V::zero(); 2];
                let mut moment = [V::zero(); 2];
                let mut other = [V::zero(); 2];
                in_turn!(strip.rows, at += strip.width, |i| {
                    let v = V::load_up_to(x.add(at), n);
                    let mut pre = V::fma(v, scale, shift);
                    let mut r = V::zero();
                    if !residual.is_null() {
                        r = V::load_up_to(residual.add(at), n);
                        pre = V::add(pre, r);
                    }
                    let d = V::load_up_to(dy.add(at), n);
                    let d = a.limits.pass::<V>(pre, d);
                    sum[i] = V::add(sum[i], d);
                    moment[i] = V::fma(d, V::sub(v, mu), moment[i]);
                    if !residual.is_null() {
                        other[i] = V::fma(d, r, other[i]);
                    }
                });
                accumulate::<V>(to.add(c0), V::add(sum[0], sum[1]), n);
                accumulate::<V>(to.add(stride + c0), V::add(moment[0], moment[1]), n);
                if !residual.is_null() {
                    let other = V::add(other[0], other[1]);
                    accumulate::<V>(to.add(2 * stride + c0), other, n);
                }
                c0 += V::LANES;
            }
            done += strip.pixels;
        }
    }
}
dispatch! {
    /// Adds Σ d, Σ d · (x - mean) and, with a residual, Σ d · residual to three padded
    /// arrays. d is dy where the activation passes it on, and 0 elsewhere.
    ///
    /// # Safety
    /// The machine has `isa`; `x` and `dy` are the matrix, and so is `residual` unless null;
    /// `mean` is padded.
    pub(crate) fn back_sums / back_sums_body(
        m: Matrix, a: &Affine, mean: *const f32, x: *const f32, residual: *const f32,
        dy: *const f32, sums: *mut f32)
}

/// How many rows of an image ahead memory is fetched: further than the machine itself does.
const AHEAD_ROWS: usize = 2;
/// A row of an image is taken as rows of several pixels if there are at least so many of them:
/// constants are read anew for every row of the image, which must be worth it.
const LEAST_ROWS: usize = 4;

/// Constants of dx = a · d + b · (x - mean) + c, padded.
#[derive(Clone, Copy)]
pub(crate) struct Back {
    pub a: *const f32,
    pub b: *const f32,
    pub c: *const f32,
    pub mean: *const f32,
}

#[inline(always)]
unsafe fn back_input_body<V: Simd>(
    m: Image,
    row: Matrix,
    f: &Affine,
    b: &Back,
    x: *const f32,
    residual: *const f32,
    dy: *const f32,
    dx: *mut f32,
    dx_row: usize,
    d_residual: *mut f32,
) {
    // SAFETY: the caller's contract.
    unsafe {
        for y in 0..m.h {
            let (first, to) = (y * m.w * m.c, dx.add(y * dx_row));
            let soon = first + AHEAD_ROWS * m.w * m.c;
            fetch_to_read::<V>(x.wrapping_add(soon), m.w * m.c);
            fetch_to_read::<V>(dy.wrapping_add(soon), m.w * m.c);
            let mut done = 0;
            while done < m.w {
                let strip = row.strip(done);
                let mut c0 = 0;
                while c0 < strip.width {
                    let n = strip.width - c0;
                    let (scale, shift) = (V::load(f.scale.add(c0)), V::load(f.shift.add(c0)));
                    let (ka, kb) = (V::load(b.a.add(c0)), V::load(b.b.add(c0)));
                    let (kc, mu) = (V::load(b.c.add(c0)), V::load(b.mean.add(c0)));
                    let mut at = done * m.c + c0;
                    for _ in 0..strip.rows {
                        let v = V::load_up_to(x.add(first + at), n);
                        let mut pre = V::fma(v, scale, shift);
                        if !residual.is_null() {
                            pre = V::add(pre, V::load_up_to(residual.add(first + at), n));
                        }
                        let d = V::load_up_to(dy.add(first + at), n);
                        let d = f.limits.pass::<V>(pre, d);
                        if !d_residual.is_null() {
                            V::store_up_to(d_residual.add(first + at), d, n);
                        }
                        let r = V::fma(ka, d, V::fma(kb, V::sub(v, mu), kc));
                        V::store_up_to(to.add(at), r, n);
                        at += strip.width;
                    }
                    c0 += V::LANES;
                }
                done += strip.pixels;
            }
        }
    }
}
dispatch! {
    /// dx = a · d + b · (x - mean) + c for one image, d as in [`back_sums`]; rows of dx are
    /// `dx_row` floats apart. `d_residual` receives d unless null.
    ///
    /// # Safety
    /// The machine has `isa`; `x`, `dy`, and `residual` and `d_residual` unless null, are the
    /// image, `row` one row of it, `dx` its padded counterpart.
    fn back_input_rows / back_input_body(
        m: Image, row: Matrix, f: &Affine, b: &Back, x: *const f32, residual: *const f32,
        dy: *const f32, dx: *mut f32, dx_row: usize, d_residual: *mut f32)
}

/// As `back_input_rows`, with several pixels side by side where the rows of the image are long
/// enough.
///
/// # Safety
/// As `back_input_rows`.
pub(crate) unsafe fn back_input(
    isa: Isa,
    m: Image,
    f: &Affine,
    b: &Back,
    x: *const f32,
    residual: *const f32,
    dy: *const f32,
    dx: *mut f32,
    dx_row: usize,
    d_residual: *mut f32,
) {
    let row = Matrix::of_rows(isa, m.w, m.c, LEAST_ROWS);
    // SAFETY: passed on.
    unsafe { back_input_rows(isa, m, row, f, b, x, residual, dy, dx, dx_row, d_residual) }
}

#[inline(always)]
unsafe fn back_input_pool_body<V: Simd>(
    m: Image,
    f: &Affine,
    b: &Back,
    x: *const f32,
    dy: *const f32,
    dx: *mut f32,
    dx_row: usize,
) {
    // SAFETY: the caller's contract.
    unsafe {
        let (oh, ow) = (m.h / 2, m.w / 2);
        let x_offsets = [0, m.c, m.w * m.c, (m.w + 1) * m.c];
        let dx_offsets = [0, m.c, dx_row, dx_row + m.c];
        for y in 0..m.h.div_ceil(2) {
            fetch_to_read::<V>(x.wrapping_add((2 * y + 2) * m.w * m.c), 2 * m.w * m.c);
            let mut c0 = 0;
            while c0 < m.c {
                let n = m.c - c0;
                let (scale, shift) = (V::load(f.scale.add(c0)), V::load(f.shift.add(c0)));
                let (ka, kb) = (V::load(b.a.add(c0)), V::load(b.b.add(c0)));
                let (kc, mu) = (V::load(b.c.add(c0)), V::load(b.mean.add(c0)));
                let mut pooled = 0;
                if y < oh {
                    pooled = 2 * ow;
                    let mut p = x.add(2 * y * m.w * m.c + c0);
                    let mut q = dy.add(y * ow * m.c + c0);
                    let mut to = dx.add(2 * y * dx_row + c0);
                    for _ in 0..ow {
                        let mut v = [V::zero(); 4];
                        let mut z = [V::zero(); 4];
                        for j in 0..4 {
                            v[j] = V::load_up_to(p.add(x_offsets[j]), n);
                            z[j] = V::fma(v[j], scale, shift);
                        }
                        let top = V::max(V::max(z[0], z[1]), V::max(z[2], z[3]));
                        // Of equal pixels the first takes the whole gradient.
                        let mut d = V::load_up_to(q, n);
                        d = f.limits.pass::<V>(top, d);
                        for j in 0..4 {
                            let here = V::select_gt(top, z[j], V::zero(), d);
                            d = V::select_gt(top, z[j], d, V::zero());
                            let r = V::fma(ka, here, V::fma(kb, V::sub(v[j], mu), kc));
                            V::store_up_to(to.add(dx_offsets[j]), r, n);
                        }
                        p = p.wrapping_add(2 * m.c);
                        q = q.wrapping_add(m.c);
                        to = to.wrapping_add(2 * m.c);
                    }
                }
                // No window holds the last column and the last row if their number is odd.
                for row in 2 * y..(2 * y + 2).min(m.h) {
                    for col in pooled..m.w {
                        let v = V::load_up_to(x.add((row * m.w + col) * m.c + c0), n);
                        let r = V::fma(kb, V::sub(v, mu), kc);
                        V::store_up_to(dx.add(row * dx_row + col * m.c + c0), r, n);
                    }
                }
                c0 += V::LANES;
            }
        }
    }
}
dispatch! {
    /// As [`back_input`], through the pooling of [`super::apply::apply_pool`]: dy is `[h / 2, w / 2, c]`.
    ///
    /// # Safety
    /// As [`back_input`].
    pub(crate) fn back_input_pool / back_input_pool_body(
        m: Image, f: &Affine, b: &Back, x: *const f32, dy: *const f32, dx: *mut f32,
        dx_row: usize)
}
