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
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod plain;
#[cfg(target_arch = "x86_64")]
mod sse2;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Portable;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use plain::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use sse2::Portable;

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

/// `unrolled!(r < R { body })` writes out `body` for r = 0, 1, … below the constant `R`, at
/// most 14.
///
/// A loop over rows of sums must be unrolled, or all sums lie in memory instead of registers,
/// because an array that is indexed by a variable has an address. The compiler's own
/// unrolling stops at a size that the tallest tiles exceed: they then took several times as
/// long as others.
macro_rules! unrolled {
    ($r:ident < $n:ident $body:block) => {
        $crate::simd::unrolled!(@ $r $n $body 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    (@ $r:ident $n:ident $body:block $($i:literal)*) => {
        $(if $i < $n {
            let $r: usize = $i;
            $body
        })*
    };
}
pub(crate) use unrolled;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every method on values that differ from lane to lane, as bits.
    #[inline(always)]
    unsafe fn trace<V: Simd>() -> Vec<u32> {
        let mut out = Vec::new();
        let numbers = [1.5, -2.25, 0.0, f32::NAN, 7.0, -0.5, 3.25, 1e30];
        let a: Vec<f32> = numbers.iter().cycle().take(32).copied().collect();
        let b: Vec<f32> = numbers.iter().rev().cycle().take(32).copied().collect();
        // SAFETY: arrays are longer than two vectors; callers have checked the level.
        unsafe {
            for at in 0..2 {
                let (x, y) = (V::load(a.as_ptr().add(at)), V::load(b.as_ptr().add(at)));
                let z = V::splat(0.75);
                let results = [
                    V::add(x, y),
                    V::sub(x, y),
                    V::mul(x, y),
                    V::max(x, y),
                    V::max(y, x),
                    V::min(x, y),
                    V::min(y, x),
                    V::select_gt(x, y, z, V::zero()),
                    // Exact products, so that one rounding or two give the same.
                    V::fma(z, V::splat(2.0), V::splat(1.0)),
                    V::fnma(z, V::splat(2.0), V::splat(1.0)),
                ];
                for result in results {
                    let mut lanes = [0.0; 16];
                    V::store(lanes.as_mut_ptr(), result);
                    out.extend(lanes[..4].iter().map(|v| v.to_bits()));
                }
            }
            for n in 0..=V::LANES {
                let mut lanes = [9.0f32; 17];
                V::store_n(lanes.as_mut_ptr(), V::load_n(a.as_ptr().add(4), n), n);
                assert!(lanes[n..].iter().all(|&v| v == 9.0));
                assert!(
                    lanes[..n]
                        .iter()
                        .zip(&a[4..])
                        .all(|(l, a)| l.to_bits() == a.to_bits())
                );
                V::store(lanes.as_mut_ptr(), V::load_n(a.as_ptr().add(4), n));
                assert!(lanes[n..V::LANES].iter().all(|&v| v == 0.0));
            }
        }
        // NaN has many bit patterns.
        out.iter()
            .map(|&v| {
                if f32::from_bits(v).is_nan() {
                    u32::MAX
                } else {
                    v
                }
            })
            .collect()
    }

    dispatch! {
        fn trace_of / trace() -> Vec<u32>
    }

    #[test]
    fn all_levels_agree() {
        // SAFETY: plain Rust.
        let plain = unsafe { trace::<plain::Portable>() };
        for isa in crate::isa::available() {
            // SAFETY: the level is available.
            assert_eq!(unsafe { trace_of(isa) }, plain, "{isa}");
        }
    }
}
