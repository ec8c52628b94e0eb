//! Vectors of 64-bit numbers: what sums of products need, and no more.
// The unsafe blocks need no comments of their own: every method passes the trait's contract on to
// the intrinsic it is named after.
#![allow(clippy::undocumented_unsafe_blocks, unused_unsafe)]

/// A vector of 64-bit numbers.
///
/// # Safety
/// As [`Simd`](super::Simd): all methods need a CPU that has the level, and pointers memory for `LANES` numbers.
pub(crate) trait Wide: Copy {
    /// Numbers in a vector.
    const LANES: usize;

    unsafe fn zero() -> Self;
    unsafe fn splat(x: f64) -> Self;
    unsafe fn load(p: *const f64) -> Self;
    unsafe fn store(p: *mut f64, v: Self);
    /// a · b + c
    unsafe fn fma(a: Self, b: Self, c: Self) -> Self;
}

/// Implements [`Wide`] by intrinsics of these names.
macro_rules! wide {
    (
        $vector:ty, $lanes:literal,
        $zero:expr, $splat:ident, $load:ident, $store:ident,
        |$a:ident, $b:ident, $c:ident| $fma:expr
    ) => {
        impl Wide for $vector {
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn zero() -> Self {
                unsafe { $zero }
            }
            #[inline(always)]
            unsafe fn splat(x: f64) -> Self {
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn load(p: *const f64) -> Self {
                unsafe { $load(p) }
            }
            #[inline(always)]
            unsafe fn store(p: *mut f64, v: Self) {
                unsafe { $store(p, v) }
            }
            #[inline(always)]
            unsafe fn fma($a: Self, $b: Self, $c: Self) -> Self {
                unsafe { $fma }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Wide;
    use std::arch::x86_64::*;

    wide!(
        __m512d,
        8,
        _mm512_setzero_pd(),
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        |a, b, c| _mm512_fmadd_pd(a, b, c)
    );
    wide!(
        __m256d,
        4,
        _mm256_setzero_pd(),
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        |a, b, c| _mm256_fmadd_pd(a, b, c)
    );
    // SSE2 has no fused multiply-add, so that this rounds twice.
    wide!(
        __m128d,
        2,
        _mm_setzero_pd(),
        _mm_set1_pd,
        _mm_loadu_pd,
        _mm_storeu_pd,
        |a, b, c| _mm_add_pd(_mm_mul_pd(a, b), c)
    );
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::Wide;
    use std::arch::aarch64::*;

    wide!(
        float64x2_t,
        2,
        vdupq_n_f64(0.0),
        vdupq_n_f64,
        vld1q_f64,
        vst1q_f64,
        |a, b, c| vfmaq_f64(c, a, b)
    );
}

#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
impl Wide for [f64; 2] {
    const LANES: usize = 2;

    #[inline(always)]
    unsafe fn zero() -> Self {
        [0.0; 2]
    }
    #[inline(always)]
    unsafe fn splat(x: f64) -> Self {
        [x; 2]
    }
    #[inline(always)]
    unsafe fn load(p: *const f64) -> Self {
        unsafe { p.cast::<Self>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f64, v: Self) {
        unsafe { p.cast::<Self>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self, b: Self, c: Self) -> Self {
        [a[0] * b[0] + c[0], a[1] * b[1] + c[1]]
    }
}
