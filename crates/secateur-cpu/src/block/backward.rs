//! The backward pass of a block.
//!
//! With d = dy where the activation (and the pooling) passes it on, m pixels in the batch,
//! r = 1 / √(σ² + ε) and both sums over the batch:
//!
//! dβ = Σ d, dγ = r · Σ d · (u - μ),
//! du = γ · r · (d - Σ d / m - (u - μ) · r² · Σ d · (u - μ) / m)

use std::ops::Range;

use super::pending::Pending;
use super::{BlockGradients, BlockSpec, Inputs, Saved, method};
use crate::ahead::Ahead;
use crate::conv::assert_len;
use crate::conv::direct::SLACK;
use crate::conv::engine::{Engine, Gradient, Images, OutputGradients};
use crate::isa::{self, Isa};
use crate::memory::Buffer;
use crate::norm::channels::{Backward, Scales};
use crate::norm::matrix::Matrix;
use crate::norm::passes::{self, Image, back_sums_len};
use crate::parallel::{self, Shared};

/// Gradients of a block from dy, the gradient of its output.
///
/// `sums`, if given, are the sums that the block after this one has taken
/// ([`BlockGradients::pending_sums`]). `taylor`, if given, gets added per output channel Σ over
/// images of |Σ y · dy| over the pixels, with y and dy of the activation before pooling:
/// first-order Taylor significance (Molchanov et al., arXiv:1611.06440). It comes from the
/// per-image sums that the batch norm needs anyway.
///
/// # Shapes
/// `inputs` as in [`super::forward_train`], `dy` as its y, `saved` from it; `taylor` `[c_out]`
/// # Panics
/// If the shape is not valid, or one of the inputs does not fit it.
pub fn backward(
    spec: &BlockSpec,
    inputs: &Inputs<'_>,
    saved: &Saved,
    dy: &[f32],
    need_dx: bool,
    sums: Option<&[f32]>,
    taylor: Option<&mut [f64]>,
) -> BlockGradients {
    inputs.assert_fit(spec);
    let s = &spec.conv;
    let c = s.c_out;
    assert_len("dy", dy.len(), spec.output_len());
    assert_len("saved", saved.conv.len(), s.y_len());
    assert_len("saved channels", saved.channels.inverse.len(), c);
    assert!(
        saved.best.as_ref().map(|best| best.len()) == spec.pool.then(|| spec.output_len()),
        "cannot compute: `saved`: expected the state of a block with the same pooling"
    );
    if let Some(sums) = sums {
        assert_len("sums", sums.len(), s.n * back_sums_len(c));
    }
    if let Some(taylor) = &taylor {
        assert_len("taylor", taylor.len(), c);
    }
    let isa = isa::active();
    let (gamma, beta) = (inputs.gamma, inputs.beta);
    let scales = saved
        .channels
        .scales(isa, gamma, beta, spec.activation.limits());
    let pass = Pass {
        isa,
        spec,
        scales: &scales,
        saved,
        inputs,
    };
    let own;
    let partials = match sums {
        Some(sums) => sums,
        None => {
            own = pass.sums(dy);
            &own
        }
    };
    let pixels = s.out_h() * s.out_w();
    let back = saved
        .channels
        .backward(isa, gamma, beta, partials, pixels, taylor);
    pass.convolution(back, dy, need_dx)
}

struct Pass<'a> {
    isa: Isa,
    spec: &'a BlockSpec,
    scales: &'a Scales,
    saved: &'a Saved,
    inputs: &'a Inputs<'a>,
}

/// What the second pass reads and writes for one image.
struct ImageOfDu {
    u: *const f32,
    residual: *const f32,
    dy: *const f32,
    d_residual: *mut f32,
    du: *mut f32,
}

/// The activations that the second pass goes through image by image.
struct Activations {
    u: Shared,
    residual: Option<Shared>,
    dy: Shared,
    d_residual: Option<Shared>,
    /// Floats of an image: of dy, and of the others.
    dy_len: usize,
    len: usize,
}

impl Activations {
    /// Image `n`, whose gradient goes to `du`. Addresses alone: using them is the caller's
    /// responsibility.
    fn image(&self, n: usize, du: *mut f32) -> ImageOfDu {
        let at = |values: Option<Shared>| {
            values.map_or(std::ptr::null_mut(), |v| v.ptr().wrapping_add(n * self.len))
        };
        ImageOfDu {
            u: at(Some(self.u)),
            residual: at(self.residual),
            dy: self.dy.ptr().wrapping_add(n * self.dy_len),
            d_residual: at(self.d_residual),
            du,
        }
    }

    /// What some images need.
    fn ahead(&self, images: Range<usize>) -> Ahead {
        let (first, n) = (self.image(images.start, std::ptr::null_mut()), images.len());
        Ahead::NONE
            .read(first.u, n * self.len)
            .read(first.dy, n * self.dy_len)
            .read(first.residual, n * self.len)
            .write(first.d_residual, n * self.len)
    }
}

impl Pass<'_> {
    fn image(&self) -> Image {
        let s = &self.spec.conv;
        Image {
            h: s.out_h(),
            w: s.out_w(),
            c: s.c_out,
        }
    }

    /// First pass: the sums of every image.
    fn sums(&self, dy: &[f32]) -> Buffer {
        let s = &self.spec.conv;
        let c = s.c_out;
        let mut partials = Buffer::zeroed(s.n * back_sums_len(c));
        // Of a pooling window only the winner has a gradient.
        let x = Shared::read(self.saved.best.as_deref().unwrap_or(&self.saved.conv));
        let matrix = Matrix::new(self.isa, dy.len() / s.n / c, c);
        let (dy, out) = (Shared::read(dy), Shared::write(&mut partials));
        let residual = self.inputs.residual.map(Shared::read);
        parallel::dynamic(s.n, |queue| {
            let affine = self.scales.affine();
            let mean = self.scales.mean.as_ptr();
            for i in queue {
                let at = i * matrix.pixels * c;
                // SAFETY: lengths were checked; each image has its own partial sums.
                unsafe {
                    let residual = residual.map_or(std::ptr::null_mut(), |r| r.ptr().add(at));
                    let sums = out.ptr().add(i * back_sums_len(c));
                    let (x, dy) = (x.ptr().add(at), dy.ptr().add(at));
                    passes::back_sums(self.isa, matrix, &affine, mean, x, residual, dy, sums);
                }
            }
        });
        partials
    }

    /// Second pass: du of some images into padded scratch, and from there dx and dw.
    fn convolution(&self, constants: Backward, dy: &[f32], need_dx: bool) -> BlockGradients {
        let Inputs { x, pending, w, .. } = *self.inputs;
        let s = &self.spec.conv;
        let c = s.c_out;
        let method = method(self.spec);
        let tasks = parallel::n_tasks(s.n);
        let mut dresidual = self.inputs.residual.map(|r| Buffer::get(r.len()));
        let back = Engine::back(self.isa, method, s, tasks, w);
        let mut sums = Gradient::new(self.isa, method, s, tasks);
        let targets = sums.targets();
        let group = sums.group();
        let mut dx = need_dx.then(|| Buffer::get(x.len()));
        let dx_out = dx.as_mut().map(|dx| Shared::write(dx));
        let x = Shared::read(x);
        let activations = Activations {
            u: Shared::read(&self.saved.conv),
            residual: self.inputs.residual.map(Shared::read),
            dy: Shared::read(dy),
            d_residual: dresidual.as_mut().map(|d| Shared::write(d)),
            dy_len: dy.len() / s.n,
            len: self.saved.conv.len() / s.n,
        };
        let mut pending_sums = pending.filter(|_| need_dx).map(Pending::back_sums);
        let sums_out = pending_sums.as_mut().map(|sums| Shared::write(sums));
        let x_len = s.h * s.w * s.c_in;
        let (border, padded) = (back.program().padding, back.program().padded_len());
        let row = border.cols * c;
        let first = border.top as usize * row + border.left as usize * c;
        let (back, sums_ref) = (&back, &sums);
        parallel::fixed(s.n, |task, range| {
            // The border stays zero: only pixels are written.
            let mut du = Buffer::zeroed(group * padded + SLACK);
            let mut scratch = back.scratch(if need_dx { group } else { 0 });
            let mut gradient_scratch =
                sums_ref.scratch(group, pending.is_some_and(Pending::is_norm));
            for start in range.clone().step_by(group) {
                let images = group.min(range.end - start);
                // SAFETY: lengths were checked; scratch holds `group` padded images and slack;
                // each image's dx is written once; the target is this task's.
                unsafe {
                    for i in 0..images {
                        let du = du.as_mut_ptr().add(i * padded + first);
                        self.du(&constants, &activations.image(start + i, du), row);
                    }
                    let x = x.ptr().add(start * x_len);
                    if let Some(dx) = dx_out {
                        let dx = dx.ptr().add(start * x_len);
                        let ahead = Ahead::OUTPUT.read(x, images * x_len);
                        back.padded_images(&mut scratch, images, du.as_ptr(), padded, dx, &ahead);
                        if let (Some(pending), Some(sums)) = (pending, sums_out) {
                            for i in 0..images {
                                let at = i * x_len;
                                pending.add_back_sums(start + i, x.add(at), dx.add(at), sums);
                            }
                        }
                    }
                    let dy = OutputGradients {
                        first: du.as_ptr().add(first),
                        row,
                        image: padded,
                    };
                    let next = start + images;
                    let ahead = activations.ahead(next..range.end.min(next + group));
                    let x = Images::pending(x, pending.and_then(Pending::norm));
                    sums_ref.add(&mut gradient_scratch, images, x, dy, targets[task], &ahead);
                }
            }
        });
        let mut dw = Buffer::get(w.len());
        sums.finish(&mut dw);
        BlockGradients {
            dx,
            dw,
            dbias: Some(vec![0.0; c]),
            dgamma: constants.dgamma,
            dbeta: constants.dbeta,
            dresidual,
            pending_sums,
        }
    }

    /// du of one image; its rows are `row` floats apart.
    ///
    /// # Safety
    /// Of `i`, `du` is valid for rows in padded scratch, the others for an image, or null if
    /// there is no residual.
    unsafe fn du(&self, constants: &Backward, i: &ImageOfDu, row: usize) {
        let (isa, image) = (self.isa, self.image());
        let (affine, back) = (self.scales.affine(), constants.constants());
        // SAFETY: the caller's contract; constants are padded.
        unsafe {
            if self.spec.pool {
                passes::back_input_pool(isa, image, &affine, &back, i.u, i.dy, i.du, row);
            } else {
                passes::back_input(
                    isa,
                    image,
                    &affine,
                    &back,
                    i.u,
                    i.residual,
                    i.dy,
                    i.du,
                    row,
                    i.d_residual,
                );
            }
        }
    }
}
