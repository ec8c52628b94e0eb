//! Batch normalisation on its own, and the passes that fused blocks share with it.

pub(crate) mod moments;
pub(crate) mod passes;

use crate::isa::Isa;
use crate::memory::Buffer;
use crate::parallel::{self, Shared};
use passes::{Matrix, padded};

/// Pixels per partial sum.
const CHUNK: usize = 256;

/// sum[c] = Σ x[.., c], summed in f64 over chunks.
pub(crate) fn column_sums(isa: Isa, x: &[f32], c: usize, sum: &mut [f32]) {
    let pixels = x.len() / c;
    let chunks = pixels.div_ceil(CHUNK);
    let mut partials = Buffer::get(chunks * padded(c));
    let (x, out) = (Shared::read(x), Shared::write(&mut partials));
    parallel::dynamic(chunks, |queue| {
        for chunk in queue {
            let m = Matrix {
                pixels: CHUNK.min(pixels - chunk * CHUNK),
                c,
            };
            // SAFETY: chunks lie inside `x`, and each has its own padded array.
            unsafe {
                passes::sums(
                    isa,
                    m,
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
