//! Activations, their limits, and statistics of what they let through.

use crate::simd::Simd;

/// What is applied to the outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// max(0, y)
    Relu,
    /// min(6, max(0, y)), as in MobileNet
    Relu6,
}

impl Activation {
    pub(crate) fn limits(self) -> Limits {
        match self {
            Activation::None => Limits::NONE,
            Activation::Relu => Limits {
                floor: 0.0,
                ..Limits::NONE
            },
            Activation::Relu6 => Limits {
                floor: 0.0,
                ceiling: 6.0,
            },
        }
    }

    /// The derivative at `y`, taken as 0 at the limits themselves.
    pub fn derivative(self, y: f32) -> f32 {
        let Limits { floor, ceiling } = self.limits();
        if y > floor && y < ceiling { 1.0 } else { 0.0 }
    }
}

/// The range to which an activation limits its argument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    floor: f32,
    ceiling: f32,
}

impl Limits {
    pub const NONE: Self = Self {
        floor: f32::NEG_INFINITY,
        ceiling: f32::INFINITY,
    };

    /// The limited value; NaN stays NaN.
    ///
    /// # Safety
    /// The machine has the level of `V`.
    #[inline(always)]
    pub unsafe fn apply<V: Simd>(&self, v: V::V) -> V::V {
        // SAFETY: the caller's contract. This order of operands keeps NaN.
        unsafe { V::min(V::splat(self.ceiling), V::max(V::splat(self.floor), v)) }
    }

    /// The gradient `d` where `v` was within the limits, 0 elsewhere.
    ///
    /// # Safety
    /// As [`Limits::apply`].
    #[inline(always)]
    pub unsafe fn pass<V: Simd>(&self, v: V::V, d: V::V) -> V::V {
        // SAFETY: the caller's contract.
        unsafe {
            let d = V::select_gt(v, V::splat(self.floor), d, V::zero());
            V::select_gt(V::splat(self.ceiling), v, d, V::zero())
        }
    }
}

/// Statistics of a block's output y, per output channel over the batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ActivationStats {
    /// Mean of y.
    pub mean: Vec<f32>,
    /// Share of y > 0, in 0..=1.
    pub positive: Vec<f32>,
}
