//! The machine's peak: the rate of multiply-adds on registers alone.
//!
//! Benches and examples compare the rates of routines with it. A multiply-add counts as two
//! floating-point operations.

use std::hint::black_box;
use std::time::Instant;

use crate::isa;
use crate::parallel;
use crate::simd::{Simd, dispatch};

/// Sums that do not depend on each other. A multiply-add takes about four cycles, and two can
/// begin in each: eight sums keep the units busy, and some more make sure of it. They fit 16
/// registers with room for the operands.
const SUMS: usize = 12;
/// Multiply-adds per sum and call.
const STEPS: usize = 4096;

#[inline(always)]
unsafe fn sums_body<V: Simd>(factor: f32, out: *mut f32) {
    // SAFETY: `out` has room for a vector, by the caller's contract.
    unsafe {
        let (a, b) = (V::splat(factor), V::splat(1.0 - factor));
        let mut acc = [V::zero(); SUMS];
        for _ in 0..STEPS {
            for value in &mut acc {
                *value = V::fma(*value, a, b);
            }
        }
        let mut sum = V::zero();
        for value in acc {
            sum = V::add(sum, value);
        }
        V::store(out, sum);
    }
}
dispatch! {
    /// # Safety
    /// The machine has `isa`; `out` is valid for 16 floats.
    fn sums / sums_body(factor: f32, out: *mut f32)
}

/// GFLOP/s of `threads` threads of the pool at the active level, best of `rounds` rounds
/// of some milliseconds.
pub fn gflops(threads: usize, rounds: usize) -> f64 {
    let isa = isa::active();
    // A round takes some milliseconds, because waking a thread can take a tenth of one.
    let calls = 256;
    let threads = threads.clamp(1, parallel::threads());
    let flops = (threads * calls * STEPS * SUMS * isa.lanes() * 2) as f64;
    let run = || {
        let mut out = [0.0f32; 16];
        for _ in 0..calls {
            // SAFETY: `isa` is active, `out` holds the widest vector.
            unsafe { sums(isa, black_box(0.5), out.as_mut_ptr()) }
            black_box(&out);
        }
    };
    let mut best = f64::INFINITY;
    for _ in 0..rounds.max(1) {
        let start = Instant::now();
        rayon::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|_| run());
            }
            run();
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    flops / best / 1e9
}
