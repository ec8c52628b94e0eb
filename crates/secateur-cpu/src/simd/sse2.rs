//! The portable level on x86-64: SSE2, which every such CPU has. 16 registers of 4 floats.
// The unsafe blocks need no comments of their own: pointers are valid by the trait's contract, and
// every machine of this kind has SSE2.
#![allow(clippy::undocumented_unsafe_blocks)]

use super::vector::Simd;
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Simd for Portable {
    const LANES: usize = 4;
    const MAX_RUN: usize = 6;
    const TILE: usize = 6;
    const GRADIENT_ROWS: usize = 6;
    const PRODUCT_ROWS: usize = 6;
    const HAS_FETCH_TO_WRITE: bool = false;
    const HAS_HALF: bool = false;
    type Half = Self;
    type V = __m128;
    type Wide = __m128d;

    #[inline(always)]
    unsafe fn zero() -> __m128 {
        unsafe { _mm_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m128 {
        unsafe { _mm_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m128 {
        unsafe { _mm_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> __m128 {
        let mut lanes = [0.0; 4];
        for i in 0..n {
            lanes[i] = unsafe { *p.add(i) };
        }
        unsafe { _mm_loadu_ps(lanes.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m128) {
        unsafe { _mm_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, v: __m128, n: usize) {
        let mut lanes = [0.0; 4];
        unsafe { _mm_storeu_ps(lanes.as_mut_ptr(), v) };
        for i in 0..n {
            unsafe { *p.add(i) = lanes[i] }
        }
    }
    // SSE2 has no fused multiply-add, so that this rounds twice.
    #[inline(always)]
    unsafe fn fma(a: __m128, b: __m128, c: __m128) -> __m128 {
        unsafe { _mm_add_ps(_mm_mul_ps(a, b), c) }
    }
    #[inline(always)]
    unsafe fn fnma(a: __m128, b: __m128, c: __m128) -> __m128 {
        unsafe { _mm_sub_ps(c, _mm_mul_ps(a, b)) }
    }
    #[inline(always)]
    unsafe fn add(a: __m128, b: __m128) -> __m128 {
        unsafe { _mm_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m128, b: __m128) -> __m128 {
        unsafe { _mm_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m128, b: __m128) -> __m128 {
        unsafe { _mm_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: __m128, b: __m128) -> __m128 {
        unsafe { _mm_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m128, b: __m128) -> __m128 {
        unsafe { _mm_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn select_gt(a: __m128, b: __m128, yes: __m128, no: __m128) -> __m128 {
        unsafe {
            let mask = _mm_cmpgt_ps(a, b);
            _mm_or_ps(_mm_and_ps(mask, yes), _mm_andnot_ps(mask, no))
        }
    }
}
