//! Linear layers: y = activation(x · wᵀ + b).

use crate::activation::Activation;
use crate::checks::assert_len;
use crate::conv::{self, ConvShape};

/// The convolution that computes a linear layer: 1x1, over images of one pixel.
fn shape(n: usize, c_in: usize, c_out: usize) -> ConvShape {
    match ConvShape::new([n, 1, 1], [c_in, c_out], [1, 1], [1, 1], [0; 4], [1, 1], 1) {
        Ok(shape) => shape,
        Err(error) => panic!("{error}"),
    }
}

/// y = activation(x · wᵀ + b).
///
/// # Shapes
/// `x` `[n, c_in]`, `w` `[c_out, c_in]`, `bias` `[c_out]`, `y` `[n, c_out]` (overwritten)
/// # Panics
/// If a size is zero, or a slice does not have its length.
pub fn forward(
    n: usize,
    c_in: usize,
    c_out: usize,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
    y: &mut [f32],
) {
    conv::forward(&shape(n, c_in, c_out), x, w, bias, activation, y);
}

/// Gradients from dy (of the output before the activation).
///
/// # Shapes
/// As [`forward`]; `dy` as y, `dx` as x, `dw` as w, `dbias` `[c_out]` (all overwritten)
/// # Panics
/// As [`forward`].
pub fn backward(
    n: usize,
    c_in: usize,
    c_out: usize,
    x: &[f32],
    w: &[f32],
    dy: &[f32],
    dx: Option<&mut [f32]>,
    dw: &mut [f32],
    dbias: Option<&mut [f32]>,
) {
    let shape = shape(n, c_in, c_out);
    assert_len("w", w.len(), shape.w_len());
    conv::weight_gradient(&shape, x, dy, dw);
    if let Some(dx) = dx {
        conv::input_gradient(&shape, dy, w, dx);
    }
    if let Some(dbias) = dbias {
        conv::bias_gradient(&shape, dy, dbias);
    }
}
