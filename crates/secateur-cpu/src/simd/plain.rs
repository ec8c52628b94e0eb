//! The portable level on other machines: vectors of 4 in plain Rust.
//!
//! It is compiled for tests on every machine, so that it stays correct, and used where there is no
//! other.
// The unsafe blocks need no comments of their own: memory is valid by the trait's contract, and
// nothing else in them is unsafe.
#![allow(clippy::undocumented_unsafe_blocks)]

use super::vector::Simd;

#[derive(Clone, Copy)]
pub(crate) struct Portable;

#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(crate) struct F4([f32; 4]);

/// a · b + c, rounded once on machines that have an instruction for it. Elsewhere it is rounded
/// twice: `mul_add` would call the C library, which takes a hundred times as long.
#[inline(always)]
fn fma(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

macro_rules! lanewise {
    ($i:ident => $e:expr) => {
        F4([
            {
                let $i = 0;
                $e
            },
            {
                let $i = 1;
                $e
            },
            {
                let $i = 2;
                $e
            },
            {
                let $i = 3;
                $e
            },
        ])
    };
}

impl Simd for Portable {
    const LANES: usize = 4;
    const MAX_RUN: usize = 6;
    const TILE: usize = 6;
    const GRADIENT_ROWS: usize = 6;
    const PRODUCT_ROWS: usize = 6;
    const HAS_FETCH_TO_WRITE: bool = false;
    const HAS_HALF: bool = false;
    type Half = Self;
    type V = F4;
    type Wide = [f64; 2];

    #[inline(always)]
    unsafe fn zero() -> F4 {
        F4([0.0; 4])
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> F4 {
        F4([x; 4])
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> F4 {
        F4(unsafe { p.cast::<[f32; 4]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> F4 {
        lanewise!(i => if i < n { unsafe { *p.add(i) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: F4) {
        unsafe { p.cast::<[f32; 4]>().write_unaligned(v.0) }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, v: F4, n: usize) {
        for i in 0..n {
            unsafe { *p.add(i) = v.0[i] }
        }
    }
    #[inline(always)]
    unsafe fn fma(a: F4, b: F4, c: F4) -> F4 {
        lanewise!(i => fma(a.0[i], b.0[i], c.0[i]))
    }
    #[inline(always)]
    unsafe fn fnma(a: F4, b: F4, c: F4) -> F4 {
        lanewise!(i => fma(-a.0[i], b.0[i], c.0[i]))
    }
    #[inline(always)]
    unsafe fn add(a: F4, b: F4) -> F4 {
        lanewise!(i => a.0[i] + b.0[i])
    }
    #[inline(always)]
    unsafe fn sub(a: F4, b: F4) -> F4 {
        lanewise!(i => a.0[i] - b.0[i])
    }
    #[inline(always)]
    unsafe fn mul(a: F4, b: F4) -> F4 {
        lanewise!(i => a.0[i] * b.0[i])
    }
    #[inline(always)]
    unsafe fn max(a: F4, b: F4) -> F4 {
        lanewise!(i => if a.0[i] > b.0[i] { a.0[i] } else { b.0[i] })
    }
    #[inline(always)]
    unsafe fn min(a: F4, b: F4) -> F4 {
        lanewise!(i => if a.0[i] < b.0[i] { a.0[i] } else { b.0[i] })
    }
    #[inline(always)]
    unsafe fn select_gt(a: F4, b: F4, yes: F4, no: F4) -> F4 {
        lanewise!(i => if a.0[i] > b.0[i] { yes.0[i] } else { no.0[i] })
    }
}
