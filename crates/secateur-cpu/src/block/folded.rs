//! Inference of a block whose batch norm is folded into the convolution.

use super::spec::BlockSpec;
use crate::activation::Limits;
use crate::ahead::Ahead;
use crate::checks::assert_len;
use crate::conv::batch;
use crate::conv::images::Images;
use crate::conv::method::method;
use crate::conv::prepared::PreparedConv;
use crate::isa;
use crate::memory::Buffer;
use crate::norm::apply::{self, Image};
use crate::norm::channels::Scales;
use crate::norm::matrix::Matrix;
use crate::parallel::{self, Shared};

/// Inference: y = pool(activation(conv(x, w) + bias)), with the batch norm folded into
/// `w` and `bias` by the caller.
///
/// # Shapes
/// `x` `[n, h, w, c_in]`, `w` `[c_out, c_in / groups, kh, kw]`, `bias` `[c_out]`, `y`
/// `[n, oh, ow, c_out]` (overwritten; `oh` and `ow` halved if pooled)
/// # Panics
/// If the shape is not valid, or a slice does not have its length.
pub fn forward_folded(spec: &BlockSpec, x: &[f32], w: &[f32], bias: &[f32], y: &mut [f32]) {
    forward_folded_residual(spec, x, w, bias, None, y);
}

/// As [`forward_folded`], with `residual` added before the activation.
///
/// # Shapes
/// As [`forward_folded`]; `residual` as y
/// # Panics
/// As [`forward_folded`], and if a residual comes with pooling.
pub fn forward_folded_residual(
    spec: &BlockSpec,
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    residual: Option<&[f32]>,
    y: &mut [f32],
) {
    spec.assert_inputs(x, w);
    let s = &spec.conv;
    assert_len("bias", bias.len(), s.c_out);
    assert_len("y", y.len(), spec.output_len());
    spec.assert_residual(residual);
    if !spec.pool && residual.is_none() {
        let (isa, limits) = (isa::active(), spec.activation.limits());
        batch::forward(isa, s, x, w, Some(bias), limits, y);
    } else {
        convolve_then_apply(spec, x, w, bias, residual, y);
    }
}

/// Inference of a block that does more than its convolution can do on the way out.
fn convolve_then_apply(
    spec: &BlockSpec,
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    residual: Option<&[f32]>,
    y: &mut [f32],
) {
    let (s, isa, threads) = (&spec.conv, isa::active(), parallel::threads());
    // Activations never decrease, so that they give the same after the maximum as before it.
    let none = Limits::NONE;
    let prepared = PreparedConv::forward(isa, method(s), s, threads, w, Some(bias), none);
    let bundle = prepared.bundle();
    let image = Image {
        h: s.out_h(),
        w: s.out_w(),
        c: s.c_out,
    };
    let matrix = Matrix::new(isa, image.h * image.w, image.c);
    let scales = Scales::identity(isa, s.c_out, spec.activation.limits());
    let (source, target) = (s.h * s.w * s.c_in, y.len() / s.n);
    let conv_len = image.h * image.w * image.c;
    let (x, y) = (Shared::read(x), Shared::write(y));
    let residual = residual.map(Shared::read);
    parallel::dynamic(s.n.div_ceil(bundle), |queue| {
        let mut scratch = prepared.scratch(bundle);
        let mut conv = Buffer::get(bundle * conv_len);
        let (affine, null) = (scales.affine(), std::ptr::null_mut());
        for unit in queue {
            let first = unit * bundle;
            let images = bundle.min(s.n - first);
            // SAFETY: images are inside the checked slices; each writes its own outputs.
            unsafe {
                let x = Images::new(x.ptr().add(first * source));
                prepared.images(&mut scratch, images, x, conv.as_mut_ptr(), &Ahead::NONE);
                for i in 0..images {
                    let from = conv.as_ptr().add(i * conv_len);
                    let at = (first + i) * target;
                    let to = y.ptr().add(at);
                    if let Some(residual) = residual {
                        let residual = residual.ptr().add(at);
                        apply::apply(isa, matrix, &affine, from, residual, to, null);
                    } else {
                        apply::apply_pool(isa, image, &affine, from, to, null, null);
                    }
                }
            }
        }
    });
}
