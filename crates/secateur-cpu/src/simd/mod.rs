//! Vectors of floats behind one trait, and the macro that compiles a routine once
//! for each level of instructions.
//!
//! Methods are `#[inline(always)]` and carry no target feature themselves: they take
//! on the features of the entry function they are inlined into, which the macro
//! [`dispatch`] makes. A closure is a function of its own, compiled without the features
//! unless it happens to be inlined, so hot code has no closures.
//!
//! Routines step pointers from pixel to pixel with `wrapping_add`: the last step may leave the
//! memory, which `add` forbids even if nothing is read there.

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
mod vector;
mod wide;

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
pub(crate) use vector::{SLACK, Simd};
pub(crate) use wide::Wide;

/// `dispatch!(fn name / body(args))` defines `unsafe fn name(isa: Isa, args)`, which
/// calls `body::<V>(args)` compiled with the instructions of `isa`.
///
/// The function is unsafe for the reasons that `body` has, and because the machine must
/// have `isa`; `isa::active` and `isa::with` see to that.
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
/// A loop over rows of sums must be unrolled: an array that is indexed by a variable needs an
/// address, and all sums would lie in memory instead of registers. The compiler unrolls only up
/// to a size that the tallest tiles exceed, and they took several times as long as others.
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
                    // These products are exact, so that rounding once or twice gives the same.
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
        // NaN has many bit patterns, which count as one.
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
