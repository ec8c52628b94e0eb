//! The machine's peak: fused multiply-adds on registers alone.
//!
//! Rates of routines are read against it. Two flops per multiply-add.

use std::hint::black_box;
use std::time::Instant;

use crate::isa::{self, Isa};
use crate::parallel;
use crate::simd::{Simd, dispatch};

/// Independent chains: twice what four cycles of latency on two ports need, so that every
/// level is bound by its ports; they fit 16 registers with room for the operands.
const CHAINS: usize = 12;
/// Steps of each chain per call.
const STEPS: usize = 4096;

#[inline(always)]
unsafe fn chains_body<V: Simd>(factor: f32, out: *mut f32) {
    // SAFETY: `out` has room for a vector, by the caller's contract.
    unsafe {
        let (a, b) = (V::splat(factor), V::splat(1.0 - factor));
        let mut acc = [V::zero(); CHAINS];
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
    fn chains / chains_body(factor: f32, out: *mut f32)
}

/// GFLOP/s of `threads` threads of the pool at the active level, best of `rounds` rounds
/// of some milliseconds.
pub fn gflops(threads: usize, rounds: usize) -> f64 {
    let isa = isa::active();
    // Some milliseconds: waking a thread can take a tenth of one.
    let calls = 256;
    let threads = threads.clamp(1, parallel::threads());
    let flops = (threads * calls * STEPS * CHAINS * isa.lanes() * 2) as f64;
    let run = || {
        let mut out = [0.0f32; 16];
        for _ in 0..calls {
            // SAFETY: `isa` is active, `out` holds the widest vector.
            unsafe { chains(isa, black_box(0.5), out.as_mut_ptr()) }
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

/// The level that [`gflops`] measures.
pub fn level() -> Isa {
    isa::active()
}
