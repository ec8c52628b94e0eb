//! 2-D convolution on channels-last images: forward, and the gradients.
//!
//! ```text
//! y[n, oy, ox, o] = b[o] + Σ_{ky, kx, i} x[n, oy·sh + ky·dh - pt, ox·sw + kx·dw - pl, i] · w[o, i, ky, kx]
//! ```
//!
//! with zeros outside the image. See [`ConvShape`] for the names.

mod depthwise;
pub(crate) mod direct;
pub(crate) mod engine;
mod method;
pub(crate) mod pack;
pub(crate) mod pad;
pub(crate) mod program;
mod shape;
pub(crate) mod tile;
pub(crate) mod winograd;

pub use method::{Method, method, with_method};
pub(crate) use shape::assert_len;
pub use shape::{ConvShape, ShapeError};

use crate::simd::Simd;
use crate::{isa, norm};

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

/// What an activation limits its argument to.
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

    /// The activation of one value.
    pub fn apply(self, y: f32) -> f32 {
        let Limits { floor, ceiling } = self.limits();
        // NaN stays NaN, unlike in f32::max.
        if y < floor {
            floor
        } else if y > ceiling {
            ceiling
        } else {
            y
        }
    }

    /// The derivative at `y`, taken as 0 at the limits themselves.
    pub fn derivative(self, y: f32) -> f32 {
        let Limits { floor, ceiling } = self.limits();
        if y > floor && y < ceiling { 1.0 } else { 0.0 }
    }
}

/// y = activation(conv(x, w) + bias).
///
/// # Shapes
/// `x` `[n, h, w, c_in]`, `w` `[c_out, c_in / groups, kh, kw]`, `bias` `[c_out]`,
/// `y` `[n, out_h, out_w, c_out]` (overwritten)
/// # Panics
/// If the shape is not valid, or a slice does not have its length.
pub fn forward(
    shape: &ConvShape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
    y: &mut [f32],
) {
    shape.assert_valid();
    assert_len("x", x.len(), shape.x_len());
    assert_len("w", w.len(), shape.w_len());
    if let Some(bias) = bias {
        assert_len("bias", bias.len(), shape.c_out);
    }
    assert_len("y", y.len(), shape.y_len());
    direct::forward(isa::active(), shape, x, w, bias, activation.limits(), y);
}

/// dx from dy: the gradient of a sum over the outputs weighted with `dy`.
///
/// # Shapes
/// `dy` as y, `w` as in [`forward`], `dx` as x (overwritten)
/// # Panics
/// As [`forward`].
pub fn input_gradient(shape: &ConvShape, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    shape.assert_valid();
    assert_len("dy", dy.len(), shape.y_len());
    assert_len("w", w.len(), shape.w_len());
    assert_len("dx", dx.len(), shape.x_len());
    direct::input_gradient(isa::active(), shape, dy, w, dx);
}

/// dw from x and dy.
///
/// # Shapes
/// `x`, `dy` as in [`forward`] and [`input_gradient`]; `dw` `[c_out, c_in / groups, kh, kw]`
/// (overwritten)
/// # Panics
/// As [`forward`].
pub fn weight_gradient(shape: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    shape.assert_valid();
    assert_len("x", x.len(), shape.x_len());
    assert_len("dy", dy.len(), shape.y_len());
    assert_len("dw", dw.len(), shape.w_len());
    direct::weight_gradient(isa::active(), shape, x, dy, dw);
}

/// db, the sum of dy over images and pixels.
///
/// # Shapes
/// `dy` as y, `db` `[c_out]` (overwritten)
/// # Panics
/// As [`forward`].
pub fn bias_gradient(shape: &ConvShape, dy: &[f32], db: &mut [f32]) {
    shape.assert_valid();
    assert_len("dy", dy.len(), shape.y_len());
    assert_len("db", db.len(), shape.c_out);
    norm::column_sums(isa::active(), dy, shape.c_out, db);
}
