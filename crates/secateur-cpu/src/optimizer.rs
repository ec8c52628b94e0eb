//! Updates of parameters by their gradients.

use crate::checks::assert_len;
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

/// Parameters that a thread takes at once; fewer are not worth a second thread.
const CHUNK: usize = 16_384;

/// v = momentum · v + g + decay · w; w = w - lr · v. Every level gives the same bits, because
/// multiplications and additions are not fused.
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

/// Settings of Adam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Decay of the first moment, 0..1.
    pub beta1: f32,
    /// Decay of the second moment, 0..1.
    pub beta2: f32,
    /// ε, added to the root of the second moment.
    pub epsilon: f32,
}

impl Adam {
    /// The defaults of its authors (arXiv:1412.6980) and of PyTorch, which hardly anybody
    /// changes.
    pub const USUAL: Self = Self {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
    };
}

/// Updates the moments, and the parameters to `update(w, m̂, √v̂ + ε)`.
///
/// m = β₁ · m + (1 - β₁) · g, v = β₂ · v + (1 - β₂) · g², m̂ = m / (1 - β₁ᵗ) and
/// v̂ = v / (1 - β₂ᵗ), with t = `steps`, this one included. `update` is left to the caller because
/// Adam and its variants differ there alone: w - lr · m̂ / (√v̂ + ε) is Adam's own.
///
/// Source: Kingma and Ba, ICLR 2015, arXiv:1412.6980, algorithm 1.
///
/// # Shapes
/// `w` (parameters), `m`, `v` (moments) and `g` (gradients) have the same length.
/// # Panics
/// If they have not.
pub fn adam(
    settings: &Adam,
    steps: u64,
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    g: &[f32],
    update: impl Fn(f32, f32, f32) -> f32,
) {
    for (what, got) in [("m", m.len()), ("v", v.len()), ("g", g.len())] {
        assert_len(what, got, w.len());
    }
    let Adam {
        beta1,
        beta2,
        epsilon,
    } = *settings;
    let steps = i32::try_from(steps).unwrap_or(i32::MAX);
    let correction1 = 1.0 - beta1.powi(steps);
    let correction2 = 1.0 - beta2.powi(steps);
    for (((w, m), v), &g) in w.iter_mut().zip(m).zip(v).zip(g) {
        *m = beta1 * *m + (1.0 - beta1) * g;
        *v = beta2 * *v + (1.0 - beta2) * g * g;
        *w = update(*w, *m / correction1, (*v / correction2).sqrt() + epsilon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_of_adam_goes_by_the_learning_rate() {
        let settings = Adam {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        };
        let (mut w, mut m, mut v) = ([1.0, -2.0, 3.0], [0.0; 3], [0.0; 3]);
        let g = [0.5, -4.0, 0.0];
        let step = |w: f32, mean: f32, root: f32| w - 0.1 * mean / root;
        adam(&settings, 1, &mut w, &mut m, &mut v, &g, step);
        for (w, expected) in w.into_iter().zip([0.9, -1.9, 3.0]) {
            assert!((w - expected).abs() < 1e-6, "{w} {expected}");
        }
        // The same gradient once more: both moments, corrected, stay what they were.
        adam(&settings, 2, &mut w, &mut m, &mut v, &g, step);
        for (w, expected) in w.into_iter().zip([0.8, -1.8, 3.0]) {
            assert!((w - expected).abs() < 1e-5, "{w} {expected}");
        }
    }

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
