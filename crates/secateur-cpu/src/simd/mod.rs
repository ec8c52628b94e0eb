//! Vectors of floats behind one trait, and the macro that compiles a routine once
//! for each level of instructions.
//!
//! Methods are `#[inline(always)]` and carry no target feature themselves: they take
//! on the features of the entry function they are inlined into, which the macro
//! [`dispatch`] makes. Closures break that chain (a closure is a function of its own,
//! compiled without the features unless it is inlined), so hot code has none.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use portable::Portable;

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
    /// True if [`Simd::Half`] is narrower, and storing part of a vector is cheap.
    const HAS_HALF: bool;
    /// Vectors of half the width, for what remains of the channels. On machines that split
    /// wide instructions (Zen 4) a half costs half; elsewhere no more than the whole.
    type Half: Simd;
    /// The vector.
    type V: Copy;

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

/// `dispatch!(fn name / body(args))` defines `unsafe fn name(isa: Isa, args)`, which
/// calls `body::<V>(args)` compiled with the instructions of `isa`.
///
/// The function is unsafe for the reasons that `body` has, and because the machine must
/// have `isa`; `Isa::active` and `isa::with` see to that.
macro_rules! dispatch {
    ($(#[$meta:meta])* $vis:vis fn $name:ident / $body:ident ( $($arg:ident : $ty:ty),* $(,)? ) $(-> $ret:ty)?) => {
        $(#[$meta])*
        $vis unsafe fn $name(isa: $crate::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
            unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: passed on to the caller.
                unsafe { $body::<$crate::simd::Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: passed on to the caller.
                unsafe { $body::<$crate::simd::Avx2>($($arg),*) }
            }
            // SAFETY: the machine has `isa` and the arguments fit `body`, by contract.
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    $crate::isa::Isa::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::isa::Isa::Avx2 => avx2($($arg),*),
                    _ => $body::<$crate::simd::Portable>($($arg),*),
                }
            }
        }
    };
}
pub(crate) use dispatch;
