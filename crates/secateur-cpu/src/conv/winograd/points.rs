//! The one-dimensional transforms at the points 0, ±5/8, ±3/2 and infinity.
//!
//! With p the product and s the sum of the squares of both pairs of points, row by row:
//! Bᵀ has (p, 0, -s, 0, 1, 0), (0, ∓a b², -b², ±a, 1, 0), (0, ∓a² b, -a², ±b, 1, 0) and
//! (0, p, 0, -s, 0, 1); Aᵀ has the powers of the points; G the powers of the points over the
//! derivative of their polynomial.

use crate::simd::Simd;

/// The first pair of points is ±A.
pub(super) const A: f64 = 0.625;
/// The second pair of points is ±B.
pub(super) const B: f64 = 1.5;
/// Scales of the weights at the points, so that the matrices A and B need no divisions.
const N0: f64 = 1.0 / (A * A * B * B);
const NA: f64 = 1.0 / (2.0 * A * A * (A * A - B * B));
const NB: f64 = 1.0 / (2.0 * B * B * (B * B - A * A));

/// Bᵀ d: inputs, 6 to 6.
#[inline(always)]
pub(super) unsafe fn input<V: Simd>(d: [V::V; 6]) -> [V::V; 6] {
    // SAFETY: only arithmetic.
    unsafe {
        let (pa, pb) = (V::splat(A as f32), V::splat(B as f32));
        let (a2, b2) = (V::splat((A * A) as f32), V::splat((B * B) as f32));
        let product = V::splat((A * A * B * B) as f32);
        let sum = V::splat((A * A + B * B) as f32);
        let (p, q) = (V::fnma(b2, d[2], d[4]), V::fnma(b2, d[1], d[3]));
        let (r, s) = (V::fnma(a2, d[2], d[4]), V::fnma(a2, d[1], d[3]));
        [
            V::fma(product, d[0], V::fnma(sum, d[2], d[4])),
            V::fma(pa, q, p),
            V::fnma(pa, q, p),
            V::fma(pb, s, r),
            V::fnma(pb, s, r),
            V::fma(product, d[1], V::fnma(sum, d[3], d[5])),
        ]
    }
}

/// Aᵀ m: outputs, 6 to 4.
#[inline(always)]
pub(super) unsafe fn output<V: Simd>(m: [V::V; 6]) -> [V::V; 4] {
    // SAFETY: only arithmetic.
    unsafe {
        let (a, b) = (V::splat(A as f32), V::splat(B as f32));
        let (a2, b2) = (V::splat((A * A) as f32), V::splat((B * B) as f32));
        let (a3, b3) = (V::splat((A * A * A) as f32), V::splat((B * B * B) as f32));
        let (s1, d1) = (V::add(m[1], m[2]), V::sub(m[1], m[2]));
        let (s2, d2) = (V::add(m[3], m[4]), V::sub(m[3], m[4]));
        [
            V::add(V::add(m[0], s1), s2),
            V::fma(b, d2, V::mul(a, d1)),
            V::fma(b2, s2, V::mul(a2, s1)),
            V::fma(b3, d2, V::fma(a3, d1, m[5])),
        ]
    }
}

/// A y: gradients of outputs, 4 to 6.
#[inline(always)]
pub(super) unsafe fn output_gradient<V: Simd>(y: [V::V; 4]) -> [V::V; 6] {
    // SAFETY: only arithmetic.
    unsafe {
        let (a, b) = (V::splat(A as f32), V::splat(B as f32));
        let (a2, b2) = (V::splat((A * A) as f32), V::splat((B * B) as f32));
        let (e, o) = (V::fma(a2, y[2], y[0]), V::fma(a2, y[3], y[1]));
        let (e2, o2) = (V::fma(b2, y[2], y[0]), V::fma(b2, y[3], y[1]));
        [
            y[0],
            V::fma(a, o, e),
            V::fnma(a, o, e),
            V::fma(b, o2, e2),
            V::fnma(b, o2, e2),
            y[3],
        ]
    }
}

/// G g: weights, 3 to 6.
#[inline(always)]
pub(super) unsafe fn weight<V: Simd>(g: [V::V; 3]) -> [V::V; 6] {
    // SAFETY: only arithmetic.
    unsafe {
        let k = |v: f64| v as f32;
        let (n0, na, nb) = (V::splat(k(N0)), V::splat(k(NA)), V::splat(k(NB)));
        let (na1, nb1) = (V::splat(k(NA * A)), V::splat(k(NB * B)));
        let (na2, nb2) = (V::splat(k(NA * A * A)), V::splat(k(NB * B * B)));
        let (s, o) = (V::fma(na2, g[2], V::mul(na, g[0])), V::mul(na1, g[1]));
        let (e, f) = (V::fma(nb2, g[2], V::mul(nb, g[0])), V::mul(nb1, g[1]));
        [
            V::mul(n0, g[0]),
            V::add(s, o),
            V::sub(s, o),
            V::add(e, f),
            V::sub(e, f),
            g[2],
        ]
    }
}

/// Gᵀ u: gradients of weights, 6 to 3.
#[inline(always)]
pub(super) unsafe fn weight_gradient<V: Simd>(u: [V::V; 6]) -> [V::V; 3] {
    // SAFETY: only arithmetic.
    unsafe {
        let k = |v: f64| v as f32;
        let (n0, na, nb) = (V::splat(k(N0)), V::splat(k(NA)), V::splat(k(NB)));
        let (na1, nb1) = (V::splat(k(NA * A)), V::splat(k(NB * B)));
        let (na2, nb2) = (V::splat(k(NA * A * A)), V::splat(k(NB * B * B)));
        let (s1, d1) = (V::add(u[1], u[2]), V::sub(u[1], u[2]));
        let (s2, d2) = (V::add(u[3], u[4]), V::sub(u[3], u[4]));
        [
            V::fma(n0, u[0], V::fma(na, s1, V::mul(nb, s2))),
            V::fma(na1, d1, V::mul(nb1, d2)),
            V::fma(na2, s1, V::fma(nb2, s2, u[5])),
        ]
    }
}
