//! The forward pass of a batch norm: scale, shift, residual, activation, pooling.
//!
//! Each pass over a matrix of pixels times channels walks the channels in vectors and, for each
//! vector, a strip of pixels, so that per-channel sums and constants stay in registers while
//! memory is read in order; two sums take turns, because an addition waits for the one before
//! it. Per-channel arrays are padded ([`padded`]): they must be readable (and writable) to a
//! whole vector past the last channel. Constants are laid out as [`super::matrix`] says.

use super::matrix::{Matrix, accumulate, in_turn, padded, with_sums};
use crate::activation::Limits;
use crate::ahead::fetch_to_read;
use crate::simd::{Simd, dispatch};

/// Constants of y = limit(x · scale + shift), padded and laid out for the matrix.
#[derive(Clone, Copy)]
pub(crate) struct Affine {
    pub scale: *const f32,
    pub shift: *const f32,
    pub limits: Limits,
}

#[inline(always)]
unsafe fn apply_body<V: Simd>(
    m: Matrix,
    a: &Affine,
    x: *const f32,
    residual: *const f32,
    y: *mut f32,
    statistics: *mut f32,
) {
    // SAFETY: the caller's contract.
    unsafe {
        if statistics.is_null() {
            apply_strips::<V>(m, a, x, residual, y, statistics, 0);
        } else {
            with_sums!(m, 2, statistics, |to, stride| {
                apply_strips::<V>(m, a, x, residual, y, to, stride)
            });
        }
    }
}

#[inline(always)]
unsafe fn apply_strips<V: Simd>(
    m: Matrix,
    a: &Affine,
    x: *const f32,
    residual: *const f32,
    y: *mut f32,
    statistics: *mut f32,
    stride: usize,
) {
    // SAFETY: the contract of `apply`.
    unsafe {
        let (zero, one) = (V::zero(), V::splat(1.0));
        let mut done = 0;
        while done < m.pixels {
            let strip = m.strip(done);
            let mut c0 = 0;
            while c0 < strip.width {
                let n = strip.width - c0;
                let (scale, shift) = (V::load(a.scale.add(c0)), V::load(a.shift.add(c0)));
                let (mut sum, mut positive) = ([zero; 2], [zero; 2]);
                let mut at = done * m.c + c0;
                in_turn!(strip.rows, at += strip.width, |i| {
                    let mut v = V::fma(V::load_up_to(x.add(at), n), scale, shift);
                    if !residual.is_null() {
                        v = V::add(v, V::load_up_to(residual.add(at), n));
                    }
                    v = a.limits.apply::<V>(v);
                    V::store_up_to(y.add(at), v, n);
                    if !statistics.is_null() {
                        sum[i] = V::add(sum[i], v);
                        positive[i] = V::add(positive[i], V::select_gt(v, zero, one, zero));
                    }
                });
                if !statistics.is_null() {
                    accumulate::<V>(statistics.add(c0), V::add(sum[0], sum[1]), n);
                    let positive = V::add(positive[0], positive[1]);
                    accumulate::<V>(statistics.add(stride + c0), positive, n);
                }
                c0 += V::LANES;
            }
            done += strip.pixels;
        }
    }
}
dispatch! {
    /// y = limit(x · scale + shift + residual); with `statistics`, adds Σ y and the
    /// number of y > 0 to its two padded arrays.
    ///
    /// # Safety
    /// The machine has `isa`; `x` and `y` are the matrix (they may be the same memory),
    /// `residual` and `statistics` may be null.
    pub(crate) fn apply / apply_body(
        m: Matrix, a: &Affine, x: *const f32, residual: *const f32, y: *mut f32,
        statistics: *mut f32)
}

/// Sizes of an image.
#[derive(Clone, Copy)]
pub(crate) struct Image {
    pub h: usize,
    pub w: usize,
    pub c: usize,
}

#[inline(always)]
unsafe fn apply_pool_body<V: Simd>(
    m: Image,
    a: &Affine,
    x: *const f32,
    y: *mut f32,
    best: *mut f32,
    statistics: *mut f32,
) {
    // SAFETY: the caller's contract; only windows that lie in the image are visited.
    unsafe {
        let (zero, one) = (V::zero(), V::splat(1.0));
        let (oh, ow) = (m.h / 2, m.w / 2);
        for oy in 0..oh {
            fetch_to_read::<V>(x.wrapping_add((2 * oy + 2) * m.w * m.c), 2 * m.w * m.c);
            let mut c0 = 0;
            while c0 < m.c {
                let n = m.c - c0;
                let (scale, shift) = (V::load(a.scale.add(c0)), V::load(a.shift.add(c0)));
                let mut p = x.add(2 * oy * m.w * m.c + c0);
                let mut at = oy * ow * m.c + c0;
                let mut sum = V::zero();
                let mut positive = V::zero();
                for _ in 0..ow {
                    let mut top_x = V::load_up_to(p, n);
                    let mut top = V::fma(top_x, scale, shift);
                    for offset in [m.c, m.w * m.c, (m.w + 1) * m.c] {
                        let next_x = V::load_up_to(p.add(offset), n);
                        let next = V::fma(next_x, scale, shift);
                        top_x = V::select_gt(next, top, next_x, top_x);
                        top = V::max(next, top);
                    }
                    top = a.limits.apply::<V>(top);
                    V::store_up_to(y.add(at), top, n);
                    if !best.is_null() {
                        V::store_up_to(best.add(at), top_x, n);
                    }
                    if !statistics.is_null() {
                        sum = V::add(sum, top);
                        positive = V::add(positive, V::select_gt(top, zero, one, zero));
                    }
                    p = p.wrapping_add(2 * m.c);
                    at += m.c;
                }
                if !statistics.is_null() {
                    accumulate::<V>(statistics.add(c0), sum, n);
                    accumulate::<V>(statistics.add(padded(m.c) + c0), positive, n);
                }
                c0 += V::LANES;
            }
        }
    }
}
dispatch! {
    /// y = maximum over 2x2 windows of limit(x · scale + shift); `best` receives the x
    /// that gave it (the first of equal ones); statistics as in [`apply`], of the pooled y.
    ///
    /// # Safety
    /// The machine has `isa`; `x` is the image, `y` and `best` are `[h / 2, w / 2, c]`;
    /// `best` and `statistics` may be null.
    pub(crate) fn apply_pool / apply_pool_body(
        m: Image, a: &Affine, x: *const f32, y: *mut f32, best: *mut f32, statistics: *mut f32)
}
