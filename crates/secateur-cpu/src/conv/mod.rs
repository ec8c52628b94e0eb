//! 2-D convolution on channels-last images: forward, and the gradients.
//!
//! ```text
//! y[n, oy, ox, o] = b[o] + Σ_{ky, kx, i} x[n, oy·sh + ky·dh - pt, ox·sw + kx·dw - pl, i] · w[o, i, ky, kx]
//! ```
//!
//! with zeros outside the image. See [`ConvShape`] for the names.

mod across;
mod bands;
pub(crate) mod batch;
mod depthwise;
mod direct;
mod gradient_tile;
pub(crate) mod images;
pub(crate) mod method;
mod pack;
mod pad;
pub(crate) mod prepared;
mod program;
pub(crate) mod shape;
mod tile;
pub(crate) mod weight_gradient;
mod winograd;

pub use crate::activation::Activation;
pub use method::{Method, method, with_method};
pub use shape::{ConvShape, ShapeError};

use crate::checks::assert_len;
use crate::isa;
use crate::norm::columns;

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
    batch::forward(isa::active(), shape, x, w, bias, activation.limits(), y);
}

/// dx from dy: the gradient of Σ y · dy with respect to x.
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
    batch::input_gradient(isa::active(), shape, dy, w, dx);
}

/// dw from x and dy: the gradient of Σ y · dy with respect to w.
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
    batch::weight_gradient(isa::active(), shape, x, dy, dw);
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
    columns::column_sums(isa::active(), dy, shape.c_out, db);
}
