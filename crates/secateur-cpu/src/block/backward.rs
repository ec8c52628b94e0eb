//! The backward pass of a block.
//!
//! With d = dy where the activation (and the pooling) passes it on, m pixels in the batch,
//! r = 1 / √(σ² + ε) and both sums over the batch:
//!
//! dβ = Σ d, dγ = r · Σ d · (u - μ),
//! du = γ · r · (d - Σ d / m - (u - μ) · r² · Σ d · (u - μ) / m)
//!
//! The first pass takes the two sums. The second computes du of a bundle of images into padded
//! scratch, and from there dx and dw.

use std::ops::Range;

use super::pending::Pending;
use super::spec::BlockSpec;
use super::training::{BlockGradients, InputGradient, Inputs, Saved};
use crate::ahead::Ahead;
use crate::checks::assert_len;
use crate::conv::images::{Images, OutputGradients};
use crate::conv::method::method;
use crate::conv::prepared::{PreparedConv, Scratch};
use crate::conv::weight_gradient::{GradientScratch, WeightGradient};
use crate::isa::{self, Isa};
use crate::memory::Buffer;
use crate::norm::apply::Image;
use crate::norm::back::{self, back_sums_len};
use crate::norm::channels::{Backward, Scales};
use crate::norm::matrix::Matrix;
use crate::parallel::{self, Shared};
use crate::simd::SLACK;

/// Gradients of a block from dy, the gradient of its output.
///
/// `sums`, if given, are the sums that the next block has taken for this one
/// ([`BlockGradients::pending_sums`]), which save the first pass. `taylor`, if given, gets added
/// per output channel Σ over images of |Σ y · dy| over the pixels, with y and dy of the activation
/// before pooling: first-order Taylor significance (Molchanov et al., arXiv:1611.06440). It comes
/// from the per-image sums that the batch norm needs anyway.
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
    dx: InputGradient<'_>,
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
    if let InputGradient::AddedTo(other) = dx {
        assert_len("the other gradient of x", other.len(), s.x_len());
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
    let constants = saved
        .channels
        .backward(isa, gamma, beta, partials, pixels, taylor);
    pass.convolution(constants, dy, dx)
}

/// What both passes read.
struct Pass<'a> {
    isa: Isa,
    spec: &'a BlockSpec,
    scales: &'a Scales,
    saved: &'a Saved,
    inputs: &'a Inputs<'a>,
}

impl Pass<'_> {
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
                    back::back_sums(self.isa, matrix, &affine, mean, x, residual, dy, sums);
                }
            }
        });
        partials
    }

    /// Second pass: du, and from there dx and dw.
    fn convolution(
        &self,
        constants: Backward,
        dy: &[f32],
        wanted: InputGradient<'_>,
    ) -> BlockGradients {
        let Inputs { x, pending, w, .. } = *self.inputs;
        let s = &self.spec.conv;
        let (isa, method, tasks) = (self.isa, method(s), parallel::n_tasks(s.n));
        let mut dresidual = self.inputs.residual.map(|r| Buffer::get(r.len()));
        let need_dx = wanted != InputGradient::Unwanted;
        let mut dx = need_dx.then(|| Buffer::get(x.len()));
        let mut pending_sums = pending.filter(|_| need_dx).map(Pending::back_sums);
        let mut dw_sums = WeightGradient::new(isa, method, s, tasks);
        let targets = dw_sums.targets();
        let second = SecondPass {
            pass: self,
            constants: &constants,
            activations: Activations {
                u: Shared::read(&self.saved.conv),
                residual: self.inputs.residual.map(Shared::read),
                dy: Shared::read(dy),
                d_residual: dresidual.as_mut().map(|d| Shared::write(d)),
                dy_len: dy.len() / s.n,
                len: self.saved.conv.len() / s.n,
            },
            input: PreparedConv::back(isa, method, s, tasks, w),
            weights: &dw_sums,
            x: Shared::read(x),
            dx: dx.as_mut().map(|dx| Shared::write(dx)),
            added: match wanted {
                InputGradient::AddedTo(other) => Some(Shared::read(other)),
                _ => None,
            },
            pending_sums: pending_sums.as_mut().map(|sums| Shared::write(sums)),
        };
        parallel::fixed(s.n, |task, range| {
            let bundle = second.weights.bundle();
            let mut scratch = second.scratch(bundle);
            for start in range.clone().step_by(bundle) {
                let end = range.end.min(start + bundle);
                let next = end..range.end.min(end + bundle);
                // SAFETY: lengths were checked; scratch is for a bundle, which is this task's
                // alone, as the target is.
                unsafe { second.images(&mut scratch, start..end, next, targets[task]) }
            }
        });
        let mut dw = Buffer::get(w.len());
        dw_sums.finish(&mut dw);
        BlockGradients {
            dx,
            dw,
            dbias: Some(vec![0.0; s.c_out]),
            dgamma: constants.dgamma,
            dbeta: constants.dbeta,
            dresidual,
            pending_sums,
        }
    }
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
    /// Floats of an image of dy.
    dy_len: usize,
    /// Floats of an image of the others.
    len: usize,
}

impl Activations {
    /// Image `n`, whose gradient goes to `du`. These are addresses alone: whoever uses them must
    /// see to it that the image exists.
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

    /// The memory of some images, to be fetched before they are computed.
    fn ahead(&self, images: Range<usize>) -> Ahead {
        let (first, n) = (self.image(images.start, std::ptr::null_mut()), images.len());
        Ahead::NONE
            .read(first.u, n * self.len)
            .read(first.dy, n * self.dy_len)
            .read(first.residual, n * self.len)
            .write(first.d_residual, n * self.len)
    }
}

/// What the tasks of the second pass share.
struct SecondPass<'a> {
    pass: &'a Pass<'a>,
    constants: &'a Backward,
    activations: Activations,
    /// Computes dx from du.
    input: PreparedConv,
    /// Adds up dw.
    weights: &'a WeightGradient,
    x: Shared,
    dx: Option<Shared>,
    /// What is added to dx.
    added: Option<Shared>,
    pending_sums: Option<Shared>,
}

/// Memory of one task of the second pass.
struct TaskScratch {
    /// Padded images of du. The border stays zero, because only pixels are written.
    du: Buffer,
    input: Scratch,
    weights: GradientScratch,
}

impl SecondPass<'_> {
    fn scratch(&self, bundle: usize) -> TaskScratch {
        let is_pending = self.pass.inputs.pending.is_some_and(Pending::is_norm);
        let input_images = if self.dx.is_some() { bundle } else { 0 };
        TaskScratch {
            du: Buffer::zeroed(bundle * self.input.program().padded_len() + SLACK),
            input: self.input.scratch(input_images),
            weights: self.weights.scratch(bundle, is_pending),
        }
    }

    /// dx of a bundle of images, and their part of dw; fetches what the images `next` need.
    ///
    /// # Safety
    /// The images exist and no other thread computes them; scratch is for that many; `target` is
    /// one of [`WeightGradient::targets`] that no other thread uses.
    unsafe fn images(
        &self,
        scratch: &mut TaskScratch,
        images: Range<usize>,
        next: Range<usize>,
        target: Shared,
    ) {
        let s = &self.pass.spec.conv;
        let (start, n, x_len) = (images.start, images.len(), s.h * s.w * s.c_in);
        let (border, padded) = (
            self.input.program().padding,
            self.input.program().padded_len(),
        );
        let row = border.cols * s.c_out;
        let first = border.top as usize * row + border.left as usize * s.c_out;
        let du = scratch.du.as_mut_ptr();
        // SAFETY: the caller's contract; du holds `n` padded images and slack.
        unsafe {
            for i in 0..n {
                let image = self
                    .activations
                    .image(start + i, du.add(i * padded + first));
                self.du(&image, row);
            }
            let x = self.x.ptr().add(start * x_len);
            if let Some(dx) = self.dx {
                let dx = dx.ptr().add(start * x_len);
                let ahead = Ahead::OUTPUT.read(x, n * x_len);
                let input = &mut scratch.input;
                self.input.padded_images(input, n, du, padded, dx, &ahead);
                if let Some(added) = self.added {
                    add(added.ptr().add(start * x_len), dx, n * x_len);
                }
                self.add_pending_sums(images, x, dx, x_len);
            }
            let dy = OutputGradients {
                first: du.add(first),
                row,
                image: padded,
            };
            let x = Images {
                first: x,
                pending: self.pass.inputs.pending.and_then(Pending::norm),
            };
            let ahead = self.activations.ahead(next);
            self.weights
                .add(&mut scratch.weights, n, x, dy, target, &ahead);
        }
    }

    /// Takes the sums of the block before this one, while x and dx are in the cache.
    ///
    /// # Safety
    /// `x` and `dx` are the first of the images, which are `len` floats long and no other
    /// thread's.
    unsafe fn add_pending_sums(
        &self,
        images: Range<usize>,
        x: *const f32,
        dx: *const f32,
        len: usize,
    ) {
        if let (Some(pending), Some(sums)) = (self.pass.inputs.pending, self.pending_sums) {
            for (i, image) in images.enumerate() {
                // SAFETY: the caller's contract.
                unsafe { pending.add_back_sums(image, x.add(i * len), dx.add(i * len), sums) }
            }
        }
    }

    /// du of one image; its rows are `row` floats apart.
    ///
    /// # Safety
    /// Of `i`, `du` is valid for rows in padded scratch, the others for an image, or null if
    /// there is no residual.
    unsafe fn du(&self, i: &ImageOfDu, row: usize) {
        let (isa, s) = (self.pass.isa, &self.pass.spec.conv);
        let (f, b) = (self.pass.scales.affine(), self.constants.constants());
        let image = Image {
            h: s.out_h(),
            w: s.out_w(),
            c: s.c_out,
        };
        // SAFETY: the caller's contract; constants are padded.
        unsafe {
            if self.pass.spec.pool {
                back::back_input_pool(isa, image, &f, &b, i.u, i.dy, i.du, row);
            } else {
                let (residual, d_residual) = (i.residual, i.d_residual);
                back::back_input(
                    isa, image, &f, &b, i.u, residual, i.dy, i.du, row, d_residual,
                );
            }
        }
    }
}

/// Adds `len` floats at `from` to those at `to`.
///
/// # Safety
/// `from` is valid for reads, `to` for writes as well; they do not overlap.
// Not inlined: it must not change how the code around it is laid out where nothing is added.
#[inline(never)]
unsafe fn add(from: *const f32, to: *mut f32, len: usize) {
    // SAFETY: the caller's contract.
    let (from, to) = unsafe {
        (
            std::slice::from_raw_parts(from, len),
            std::slice::from_raw_parts_mut(to, len),
        )
    };
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}
