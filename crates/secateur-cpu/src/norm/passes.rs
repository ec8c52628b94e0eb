//! Passes over a matrix of pixels times channels, with per-channel results.
//!
//! Each walks the channels in vectors and, for each vector, a strip of pixels, so that
//! per-channel sums and constants stay in registers while memory is read in order; two sums
//! take turns, because an addition waits for the one before it. The per-channel arrays are
//! padded: they must be readable (and writable) to a whole vector past the last channel,
//! which [`padded`] sees to, and constants are laid out as [`super::matrix`] says.

use super::matrix::{Matrix, accumulate, padded, with_sums};
use crate::ahead::fetch_to_read;
use crate::conv::Limits;
use crate::isa::Isa;
use crate::simd::{Simd, dispatch};

/// `in_turn!(rows, at += step, |i| body)` runs `body` for every row with i = 0 and 1 in turn.
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

#[inline(always)]
unsafe fn sums_body<V: Simd>(pixels: usize, c: usize, x: *const f32, sum: *mut f32) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut c0 = 0;
        while c0 < c {
            let n = c - c0;
            let mut s = [V::zero(); 4];
            let mut p = x.add(c0);
            for _ in 0..pixels / 4 {
                for s in &mut s {
                    *s = V::add(*s, V::load_up_to(p, n));
                    p = p.add(c);
                }
            }
            for _ in 0..pixels % 4 {
                s[0] = V::add(s[0], V::load_up_to(p, n));
                p = p.add(c);
            }
            V::store(sum.add(c0), V::add(V::add(s[0], s[1]), V::add(s[2], s[3])));
            c0 += V::LANES;
        }
    }
}
dispatch! {
    /// sum = Σ x
    ///
    /// # Safety
    /// The machine has `isa`; `x` is `[pixels, c]`, `sum` padded.
    pub(crate) fn sums / sums_body(pixels: usize, c: usize, x: *const f32, sum: *mut f32)
}

/// Floats of the results of [`moments`].
pub(crate) fn moments_len(c: usize) -> usize {
    3 * padded(c)
}

#[inline(always)]
unsafe fn moments_body<V: Simd>(m: Matrix, x: *const f32, out: *mut f32) {
    // SAFETY: the caller's contract; the shifts of a row fit their array.
    unsafe {
        let middle = x.add(m.pixels / 2 * m.c);
        let mut c0 = 0;
        while c0 < m.c {
            V::store(out.add(c0), V::load_up_to(middle.add(c0), m.c - c0));
            for array in 1..3 {
                V::store(out.add(array * padded(m.c) + c0), V::zero());
            }
            c0 += V::LANES;
        }
        let mut shifts = [0.0f32; super::matrix::WIDE];
        let mut shift = out.cast_const();
        if m.repeat > 1 {
            for pixel in 0..m.repeat {
                let to = shifts.as_mut_ptr().add(pixel * m.c);
                middle.copy_to_nonoverlapping(to, m.c);
            }
            shift = shifts.as_ptr();
        }
        with_sums!(m, 2, out.add(padded(m.c)), |to, stride| {
            add_moments::<V>(m, x, shift, to, stride)
        });
    }
}

/// Adds Σ (x - shift) and Σ (x - shift)² to two arrays.
#[inline(always)]
unsafe fn add_moments<V: Simd>(
    m: Matrix,
    x: *const f32,
    shift: *const f32,
    to: *mut f32,
    stride: usize,
) {
    // SAFETY: the contract of `moments`.
    unsafe {
        let mut done = 0;
        while done < m.pixels {
            let strip = m.strip(done);
            let mut c0 = 0;
            while c0 < strip.width {
                let n = strip.width - c0;
                let shift = V::load(shift.add(c0));
                let (mut sum, mut square) = ([V::zero(); 4], [V::zero(); 4]);
                let mut p = x.add(done * m.c + c0);
                for _ in 0..strip.rows / 4 {
                    for i in 0..4 {
                        let d = V::sub(V::load_up_to(p, n), shift);
                        sum[i] = V::add(sum[i], d);
                        square[i] = V::fma(d, d, square[i]);
                        p = p.add(strip.width);
                    }
                }
                for _ in 0..strip.rows % 4 {
                    let d = V::sub(V::load_up_to(p, n), shift);
                    sum[0] = V::add(sum[0], d);
                    square[0] = V::fma(d, d, square[0]);
                    p = p.add(strip.width);
                }
                for (i, s) in [sum, square].into_iter().enumerate() {
                    let s = V::add(V::add(s[0], s[1]), V::add(s[2], s[3]));
                    accumulate::<V>(to.add(i * stride + c0), s, n);
                }
                c0 += V::LANES;
            }
            done += strip.pixels;
        }
    }
}
dispatch! {
    /// Three padded arrays: a shift near the mean (the pixel in the middle), Σ (x - shift),
    /// Σ (x - shift)².
    ///
    /// # Safety
    /// The machine has `isa`; `x` is the matrix, `out` has [`moments_len`] floats.
    pub(crate) fn moments / moments_body(m: Matrix, x: *const f32, out: *mut f32)
}

/// Constants of y = limit(x · scale + shift), padded.
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

/// An image to be pooled by 2x2 windows.
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
    // SAFETY: the caller's contract; windows that stick out are skipped.
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
                    p = p.add(2 * m.c);
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

/// Floats of the sums of [`back_sums`].
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
    /// arrays, where d is dy where the activation passes it on.
    ///
    /// # Safety
    /// The machine has `isa`; `x` and `dy` are the matrix, and so is `residual` unless null;
    /// `mean` is padded.
    pub(crate) fn back_sums / back_sums_body(
        m: Matrix, a: &Affine, mean: *const f32, x: *const f32, residual: *const f32,
        dy: *const f32, sums: *mut f32)
}

/// How many rows of an image ahead memory is asked for: further than the machine looks by
/// itself.
const AHEAD_ROWS: usize = 2;
/// Rows of several pixels in a row of an image, for [`back_input`].
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

/// As `back_input_rows`, in rows of several pixels where they are long.
///
/// # Safety
/// As there.
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
    // Constants are read anew in every row: that must be worth it.
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
                        // The first of equal ones takes it all.
                        let mut d = V::load_up_to(q, n);
                        d = f.limits.pass::<V>(top, d);
                        for j in 0..4 {
                            let here = V::select_gt(top, z[j], V::zero(), d);
                            d = V::select_gt(top, z[j], d, V::zero());
                            let r = V::fma(ka, here, V::fma(kb, V::sub(v[j], mu), kc));
                            V::store_up_to(to.add(dx_offsets[j]), r, n);
                        }
                        p = p.add(2 * m.c);
                        q = q.add(m.c);
                        to = to.add(2 * m.c);
                    }
                }
                // Pixels that no window holds: odd last column, odd last row.
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
    /// As [`back_input`], through the pooling of [`apply_pool`]: dy is `[h / 2, w / 2, c]`.
    ///
    /// # Safety
    /// As [`back_input`].
    pub(crate) fn back_input_pool / back_input_pool_body(
        m: Image, f: &Affine, b: &Back, x: *const f32, dy: *const f32, dx: *mut f32,
        dx_row: usize)
}
