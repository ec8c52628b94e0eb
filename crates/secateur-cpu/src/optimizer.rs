//! Updates of parameters.

use crate::conv::assert_len;
use crate::isa;
use crate::parallel::{self, Shared};
use crate::simd::{Simd, dispatch};

/// Settings of a step of stochastic gradient descent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Share of the last update that is kept, 0..1.
    pub momentum: f32,
    /// Weight decay.
    pub decay: f32,
    /// Learning rate.
    pub lr: f32,
}

/// Parameters that a thread takes at once; fewer are not worth a second one.
const CHUNK: usize = 16_384;

/// v = momentum · v + g + decay · w; w = w - lr · v. Every level gives the same bits: nothing
/// is fused.
///
/// # Shapes
/// `w` (parameters), `v` (their momentum) and `g` (gradients) have the same length.
/// # Panics
/// If they have not.
pub fn sgd(step: &Sgd, w: &mut [f32], v: &mut [f32], g: &[f32]) {
    let n = w.len();
    assert_len("v", v.len(), n);
    assert_len("g", g.len(), n);
    let isa = isa::active();
    let (w, v, g) = (Shared::write(w), Shared::write(v), Shared::read(g));
    parallel::dynamic(n.div_ceil(CHUNK), |queue| {
        for unit in queue {
            let at = unit * CHUNK;
            // SAFETY: the chunk lies inside all three, and is this thread's.
            unsafe {
                let (w, v, g) = (w.ptr().add(at), v.ptr().add(at), g.ptr().add(at));
                sgd_chunk(isa, *step, CHUNK.min(n - at), w, v, g);
            }
        }
    });
}

#[inline(always)]
unsafe fn sgd_body<V: Simd>(step: Sgd, n: usize, w: *mut f32, v: *mut f32, g: *const f32) {
    // SAFETY: the caller's contract; what is left over is loaded and stored in part.
    unsafe {
        let momentum = V::splat(step.momentum);
        let (decay, lr) = (V::splat(step.decay), V::splat(step.lr));
        let mut at = 0;
        while at < n {
            let left = n - at;
            let old = V::load_up_to(w.add(at), left);
            let kept = V::mul(momentum, V::load_up_to(v.add(at), left));
            let sum = V::add(kept, V::load_up_to(g.add(at), left));
            let update = V::add(sum, V::mul(decay, old));
            V::store_up_to(v.add(at), update, left);
            V::store_up_to(w.add(at), V::sub(old, V::mul(lr, update)), left);
            at += V::LANES;
        }
    }
}
dispatch! {
    /// A step of `n` parameters.
    ///
    /// # Safety
    /// The machine has `isa`; all three are valid for `n` floats.
    fn sgd_chunk / sgd_body(step: Sgd, n: usize, w: *mut f32, v: *mut f32, g: *const f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_gives_the_bits_of_the_formula() {
        let values = |seed: usize, n: usize| -> Vec<f32> {
            let at = |i: usize| ((i * 7 + seed) as f32 * 0.618_034).fract() - 0.5;
            (0..n).map(at).collect()
        };
        let step = Sgd {
            momentum: 0.9,
            decay: 5e-4,
            lr: 0.013,
        };
        for n in [0, 1, 15, 17, CHUNK + 3, 3 * CHUNK] {
            let (w, v, g) = (values(1, n), values(2, n), values(3, n));
            for level in isa::available() {
                let (mut new_w, mut new_v) = (w.clone(), v.clone());
                isa::with(level, || sgd(&step, &mut new_w, &mut new_v, &g));
                for i in 0..n {
                    let update = step.momentum * v[i] + g[i] + step.decay * w[i];
                    assert_eq!(new_v[i].to_bits(), update.to_bits(), "{level} {i}");
                    let next = w[i] - step.lr * update;
                    assert_eq!(new_w[i].to_bits(), next.to_bits(), "{level} {i}");
                }
            }
        }
    }
}
