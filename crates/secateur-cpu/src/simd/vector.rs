//! What a level of instructions has to offer: vectors of floats, and tile sizes that suit it.

use super::wide::Wide;

/// Floats that full vectors may read past the end of a pixel or of a per-channel array: two of
/// the widest vectors.
pub(crate) const SLACK: usize = 32;

/// A vector type of a level of instructions.
///
/// # Safety
/// All methods need a CPU that has the level; those with pointers need memory valid for
/// the `LANES` (or `n`) floats they name. Pointers need no alignment.
pub(crate) trait Simd: Copy + 'static {
    /// Floats in a vector.
    const LANES: usize;
    /// Most pixels in a row of a convolution's tile.
    const MAX_RUN: usize;
    /// Pixels in a tile that has two vectors of channels; twice that with one.
    const TILE: usize;
    /// Rows of the tile of a weight gradient that has two vectors of channels.
    const GRADIENT_ROWS: usize;
    /// Rows of a matrix product's tile that has two vectors of columns.
    const PRODUCT_ROWS: usize;
    /// True if every machine of the level takes `prefetchw`; the oldest ones ignore it.
    const HAS_FETCH_TO_WRITE: bool;
    /// True if [`Simd::Half`] is narrower, and storing part of a vector is cheap.
    const HAS_HALF: bool;
    /// Vectors of half the width, for what remains of the channels. On machines that split
    /// wide instructions (Zen 4) a half costs half; elsewhere no more than the whole.
    type Half: Simd;
    /// The vector.
    type V: Copy;
    /// A vector of half as many 64-bit numbers.
    type Wide: Wide;

    unsafe fn zero() -> Self::V;
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    /// The first `n` floats, the rest zero; `n <= LANES`.
    unsafe fn load_n(p: *const f32, n: usize) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    /// Stores the first `n` floats; `n <= LANES`.
    unsafe fn store_n(p: *mut f32, v: Self::V, n: usize);
    /// a · b + c
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// c - a · b
    unsafe fn fnma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// a > b ? a : b; `b` if one is NaN.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// a < b ? a : b; `b` if one is NaN.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// a > b ? yes : no
    unsafe fn select_gt(a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V;

    /// Asks for the cache line at `p`, to be written if `WRITE`. A hint: any address will do.
    #[inline(always)]
    unsafe fn fetch<const WRITE: bool>(p: *const f32) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch reads nothing that the program sees.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            if WRITE && Self::HAS_FETCH_TO_WRITE {
                // The intrinsic becomes an ordinary prefetch, whose line another core may
                // have to give up a second time.
                std::arch::asm!(
                    "prefetchw [{}]",
                    in(reg) p,
                    options(nostack, preserves_flags, readonly)
                );
            } else {
                _mm_prefetch::<_MM_HINT_T0>(p.cast());
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = p;
    }

    /// `load` if the vector is full, `load_n` otherwise.
    #[inline(always)]
    unsafe fn load_up_to(p: *const f32, n: usize) -> Self::V {
        // SAFETY: passed on.
        unsafe {
            if n >= Self::LANES {
                Self::load(p)
            } else {
                Self::load_n(p, n)
            }
        }
    }

    /// `store` if the vector is full, `store_n` otherwise.
    #[inline(always)]
    unsafe fn store_up_to(p: *mut f32, v: Self::V, n: usize) {
        // SAFETY: passed on.
        unsafe {
            if n >= Self::LANES {
                Self::store(p, v)
            } else {
                Self::store_n(p, v, n)
            }
        }
    }
}
