//! Sums of the columns of a matrix of pixels times channels.

use super::matrix::padded;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::parallel::{self, Shared};
use crate::simd::{Simd, dispatch};

#[inline(always)]
unsafe fn sums_body<V: Simd>(pixels: usize, c: usize, x: *const f32, sum: *mut f32) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut c0 = 0;
        while c0 < c {
            let n = c - c0;
            let mut s = [V::zero(); 4];
            let mut p = x.add(c0);
            for _ in 0..pixels / 4 {
                for s in &mut s {
                    *s = V::add(*s, V::load_up_to(p, n));
                    p = p.wrapping_add(c);
                }
            }
            for _ in 0..pixels % 4 {
                s[0] = V::add(s[0], V::load_up_to(p, n));
                p = p.wrapping_add(c);
            }
            V::store(sum.add(c0), V::add(V::add(s[0], s[1]), V::add(s[2], s[3])));
            c0 += V::LANES;
        }
    }
}
dispatch! {
    /// sum = Σ x
    ///
    /// # Safety
    /// The machine has `isa`; `x` is `[pixels, c]`, `sum` padded.
    pub(crate) fn sums / sums_body(pixels: usize, c: usize, x: *const f32, sum: *mut f32)
}

/// Pixels that are summed in f32 before their sum is added in f64.
const CHUNK: usize = 256;

/// sum[c] = Σ x[.., c]
pub(crate) fn column_sums(isa: Isa, x: &[f32], c: usize, sum: &mut [f32]) {
    let pixels = x.len() / c;
    let chunks = pixels.div_ceil(CHUNK);
    let mut partials = Buffer::get(chunks * padded(c));
    let (x, out) = (Shared::read(x), Shared::write(&mut partials));
    parallel::dynamic(chunks, |queue| {
        for chunk in queue {
            // SAFETY: chunks lie inside `x`, and each has its own padded array.
            unsafe {
                sums(
                    isa,
                    CHUNK.min(pixels - chunk * CHUNK),
                    c,
                    x.ptr().add(chunk * CHUNK * c),
                    out.ptr().add(chunk * padded(c)),
                );
            }
        }
    });
    let mut total = vec![0.0f64; c];
    for partial in partials.chunks_exact(padded(c)) {
        for (total, &value) in total.iter_mut().zip(partial) {
            *total += f64::from(value);
        }
    }
    for (sum, total) in sum.iter_mut().zip(total) {
        *sum = total as f32;
    }
}
