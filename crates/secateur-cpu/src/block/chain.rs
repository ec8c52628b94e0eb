//! Several blocks of an inference pass, image by image: what lies between them stays in the
//! caches instead of being written for the whole batch and read again.
//!
//! An inverted bottleneck, whose inner images have six times the channels, is such a chain.

use super::spec::BlockSpec;
use crate::activation::Limits;
use crate::ahead::Ahead;
use crate::checks::assert_len;
use crate::conv::images::Images;
use crate::conv::method::{Method, method};
use crate::conv::prepared::{PreparedConv, Scratch};
use crate::conv::shape::ConvShape;
use crate::isa;
use crate::memory::Buffer;
use crate::norm::apply;
use crate::norm::channels::Scales;
use crate::norm::matrix::Matrix;
use crate::parallel::{self, Shared};

/// Floats of weights that a chain may have (256 KB): they are read for every image, and share
/// the second-level cache with it.
const MOST_WEIGHTS: usize = 64 << 10;

/// True if the blocks can run as a chain and are faster that way: every block computes its images
/// one by one, and the weights are few.
pub fn is_chain(specs: &[BlockSpec]) -> bool {
    let weights: usize = specs.iter().map(|spec| spec.conv.w_len()).sum();
    let one_by_one = |spec: &BlockSpec| method_of_one(&spec.conv) != Method::Winograd4;
    are_linked(specs) && weights <= MOST_WEIGHTS && specs.iter().all(one_by_one)
}

/// How an image by itself is computed.
fn method_of_one(s: &ConvShape) -> Method {
    method(&ConvShape { n: 1, ..*s })
}

/// True if each block reads what the one before writes, and none pools.
fn are_linked(specs: &[BlockSpec]) -> bool {
    let follows = |pair: &[BlockSpec]| {
        let next = &pair[1].conv;
        pair[0].output_shape() == [next.n, next.h, next.w, next.c_in]
    };
    let all = specs.windows(2).all(follows) && specs.iter().all(|spec| !spec.pool);
    all && !specs.is_empty()
}

/// As [`super::forward_folded_residual`] of every block in turn; the residual is that of the
/// last.
///
/// # Shapes
/// `x` as the first block's, `y` and `residual` as the last block's output; `w` and `bias`: those
/// of all blocks, behind each other
/// # Panics
/// If a block does not read what the one before writes, one pools, a shape is not valid, or a
/// slice does not fit.
pub fn forward_chain(
    specs: &[BlockSpec],
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    residual: Option<&[f32]>,
    y: &mut [f32],
) {
    assert_fit(specs, x, w, bias, residual, y);
    let (first, last) = (&specs[0], &specs[specs.len() - 1]);
    let isa = isa::active();
    let convs = prepare(isa, specs, w, bias, residual.is_some());
    let n = first.conv.n;
    let (source, target) = (x.len() / n, y.len() / n);
    let matrix = Matrix::new(isa, last.conv.out_h() * last.conv.out_w(), last.conv.c_out);
    let scales = Scales::identity(isa, last.conv.c_out, last.activation.limits());
    let widest = specs.iter().map(|spec| spec.output_len() / n).max();
    let (x, y) = (Shared::read(x), Shared::write(y));
    let residual = residual.map(Shared::read);
    parallel::dynamic(n, |queue| {
        let mut scratch: Vec<Scratch> = convs.iter().map(|conv| conv.scratch(1)).collect();
        // What lies between two blocks, or before the residual is added: a block reads one buffer
        // and writes the other.
        let mut between = [(); 2].map(|()| Buffer::get(widest.unwrap_or(0)));
        let (affine, null) = (scales.affine(), std::ptr::null_mut());
        for i in queue {
            // SAFETY: images are inside the checked slices, each writes its own outputs; the
            // buffers hold any block's image.
            unsafe {
                let to = y.ptr().add(i * target);
                let mut from: *const f32 = x.ptr().add(i * source);
                for (at, (conv, scratch)) in convs.iter().zip(&mut scratch).enumerate() {
                    let is_end = at + 1 == convs.len() && residual.is_none();
                    let (next, ahead) = if is_end {
                        (to, Ahead::OUTPUT)
                    } else {
                        (between[at % 2].as_mut_ptr(), Ahead::NONE)
                    };
                    conv.images(scratch, 1, Images::new(from), next, &ahead);
                    from = next;
                }
                if let Some(residual) = residual {
                    let residual = residual.ptr().add(i * target);
                    apply::apply(isa, matrix, &affine, from, residual, to, null);
                }
            }
        }
    });
}

/// Panics with the reason if the blocks make no chain or a slice does not fit them.
fn assert_fit(
    specs: &[BlockSpec],
    x: &[f32],
    w: &[f32],
    bias: &[f32],
    residual: Option<&[f32]>,
    y: &[f32],
) {
    specs.iter().for_each(BlockSpec::assert_valid);
    let [Some(first), Some(last)] = [specs.first(), specs.last()] else {
        panic!("cannot compute: a chain of no blocks");
    };
    assert!(are_linked(specs), "cannot compute: no chain: {specs:?}");
    let weights = specs.iter().map(|spec| spec.conv.w_len()).sum();
    let biases = specs.iter().map(|spec| spec.conv.c_out).sum();
    assert_len("x", x.len(), first.conv.x_len());
    assert_len("w", w.len(), weights);
    assert_len("bias", bias.len(), biases);
    assert_len("y", y.len(), last.output_len());
    last.assert_residual(residual);
}

/// The convolutions of all blocks. A residual is added before the activation, so that the last
/// one then has none.
fn prepare(
    isa: isa::Isa,
    specs: &[BlockSpec],
    w: &[f32],
    bias: &[f32],
    has_residual: bool,
) -> Vec<PreparedConv> {
    let threads = parallel::threads();
    let (mut w, mut bias) = (w, bias);
    let mut made = Vec::with_capacity(specs.len());
    for (i, spec) in specs.iter().enumerate() {
        let (own, own_bias);
        (own, w) = w.split_at(spec.conv.w_len());
        (own_bias, bias) = bias.split_at(spec.conv.c_out);
        let limits = if has_residual && i + 1 == specs.len() {
            Limits::NONE
        } else {
            spec.activation.limits()
        };
        made.push(PreparedConv::forward(
            isa,
            method_of_one(&spec.conv),
            &spec.conv,
            threads,
            own,
            Some(own_bias),
            limits,
        ));
    }
    made
}
