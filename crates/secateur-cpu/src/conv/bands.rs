//! Direct convolution of whole batches, cut into bands of output rows that are divided over
//! the threads.

use super::direct::{GradientSums, Prepared};
use super::pack::Strides;
use super::pad;
use super::program::Program;
use super::shape::ConvShape;
use crate::activation::Limits;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::parallel::{self, Shared};
use crate::simd::SLACK;

/// Floats of a padded band that stay in the second-level cache beside its outputs.
const BAND: usize = 64 * 1024;
/// Multiply-adds below which a band is not worth a thread.
const SMALL: u64 = 100_000;
/// Pixels whose windows and gradients are summed before the next rows of weights.
const GRADIENT_PIXELS: usize = 256;

/// Rows of a band: bands fit the cache and there are enough of them for all threads.
fn band_rows(s: &ConvShape) -> usize {
    let oh = s.out_h();
    let row = (s.w + s.pads[1] + s.pads[3]) * s.c_in * s.stride[0];
    let window = (s.kernel_size[0] - 1) * s.dilation[0];
    let fit = (BAND / row.max(1))
        .saturating_sub(window / s.stride[0])
        .clamp(1, oh);
    let mut bands = oh.div_ceil(fit);
    let wanted = 4 * parallel::threads();
    if s.n * bands < wanted && parallel::threads() > 1 {
        let worth = (s.macs() / SMALL) as usize / s.n;
        bands = bands.max(wanted.div_ceil(s.n).min(worth)).clamp(1, oh);
    }
    oh.div_ceil(bands)
}

/// A pointwise convolution as one of a single image, one pixel wide: rows and images do not
/// matter to it. Other shapes stay as they are.
fn flattened(s: &ConvShape) -> ConvShape {
    let pixels = s.n * s.h * s.w;
    let flat = ConvShape {
        n: 1,
        h: pixels,
        w: 1,
        ..*s
    };
    if s.is_pointwise() && flat.check().is_ok() {
        flat
    } else {
        *s
    }
}

/// y = limit(conv(x, w) + bias). Lengths have been checked.
pub(super) fn forward(
    isa: Isa,
    s: &ConvShape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    limits: Limits,
    y: &mut [f32],
) {
    let s = &flattened(s);
    let program = Program::forward(s, band_rows(s));
    let strides = Strides::forward(&program, s.kernel_size[0] * s.kernel_size[1]);
    let prepared = Prepared::new(isa, program, strides, w, bias, limits);
    run(s, &prepared, x, y);
}

/// dx of a pointwise convolution: the forward pass of the transposed weights. Lengths have been
/// checked.
pub(super) fn pointwise_input_gradient(
    isa: Isa,
    s: &ConvShape,
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
) {
    let back = flattened(&ConvShape {
        c_in: s.c_out,
        c_out: s.c_in,
        ..*s
    });
    let program = Program::forward(&back, band_rows(&back));
    let strides = Strides::transposed(&program, 1);
    let prepared = Prepared::new(isa, program, strides, w, None, Limits::NONE);
    run(&back, &prepared, dy, dx);
}

/// Computes the bands of all images. `prepared` is for bands of as many rows as its grid has.
fn run(s: &ConvShape, prepared: &Prepared, x: &[f32], y: &mut [f32]) {
    let (oh, rows) = (s.out_h(), prepared.program.grids[0].rows);
    let bands = oh.div_ceil(rows);
    let last = Program::forward(s, oh - (bands - 1) * rows);
    let last_tiles = Prepared::tiles(prepared.isa, &last);
    let (x, y) = (Shared::read(x), Shared::write(y));
    parallel::dynamic(s.n * bands, |queue| {
        let mut padded = scratch(&prepared.program);
        for unit in queue {
            let (image, band) = (unit / bands, unit % bands);
            let y0 = band * rows;
            // SAFETY: image and band are inside the checked slices; bands write different
            // rows. Padded scratch has the size of the larger program.
            unsafe {
                let x = x.ptr().add(image * s.h * s.w * s.c_in);
                let to = y.ptr().add((image * oh + y0) * s.out_w() * s.c_out);
                if band + 1 == bands {
                    let from = window(s, &last, x, y0, &mut padded);
                    prepared.image_with(&last, &last_tiles, from, to);
                } else {
                    let from = window(s, &prepared.program, x, y0, &mut padded);
                    prepared.image(from, to);
                }
            }
        }
    });
}

/// Scratch for padded bands, unless they are read in place.
fn scratch(program: &Program) -> Option<Buffer> {
    (!program.in_place).then(|| Buffer::get(program.padded_len()))
}

/// What the band from output row `y0` of the image `x` reads: a padded copy in scratch, or a
/// part of `x` itself.
///
/// # Safety
/// `x` is valid for an image; scratch is that of a program with at least as many rows.
unsafe fn window(
    s: &ConvShape,
    program: &Program,
    x: *const f32,
    y0: usize,
    padded: &mut Option<Buffer>,
) -> *const f32 {
    // SAFETY: the caller's contract.
    unsafe {
        match padded {
            None => x.add(y0 * s.stride[0] * s.w * s.c_in),
            Some(scratch) => {
                let mut p = program.padding;
                p.top -= (y0 * s.stride[0]) as isize;
                pad::pad_image(x, program.source, p, scratch.as_mut_ptr());
                scratch.as_ptr()
            }
        }
    }
}

/// dw of a convolution. Lengths have been checked.
pub(super) fn weight_gradient(isa: Isa, s: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let s = &flattened(s);
    let (oh, ow) = (s.out_h(), s.out_w());
    let rows = band_rows(s);
    let bands = oh.div_ceil(rows);
    let units = s.n * bands;
    let mut sums = GradientSums::new(isa, s, rows, parallel::n_tasks(units));
    let targets = sums.targets();
    let sums_ref = &sums;
    let (x, dy) = (Shared::read(x), Shared::read(dy));
    parallel::fixed(units, |task, range| {
        let mut padded = scratch(&sums_ref.program);
        let mut gradient = Buffer::zeroed(rows * ow * s.c_out + SLACK);
        for unit in range {
            let (image, band) = (unit / bands, unit % bands);
            let y0 = band * rows;
            let n_rows = rows.min(oh - y0);
            // SAFETY: image and band are inside the checked slices; scratch holds a band of
            // `rows` rows and the slack that full vectors read; the target is this task's.
            unsafe {
                let x = x.ptr().add(image * s.h * s.w * s.c_in);
                let from = dy.ptr().add((image * oh + y0) * ow * s.c_out);
                let to = gradient.as_mut_ptr();
                to.copy_from_nonoverlapping(from, n_rows * ow * s.c_out);
                let window = window(s, &sums_ref.program, x, y0, &mut padded);
                add_band(
                    sums_ref,
                    s,
                    n_rows,
                    window,
                    gradient.as_ptr(),
                    targets[task],
                );
            }
        }
    });
    sums.finish(dw);
}

/// Adds the gradient of a band of `n_rows` output rows, some pixels at a time.
///
/// # Safety
/// `window` is what the band reads, `dy` its output gradient with slack behind it; no other
/// thread uses `target`, which is one of the sums' own.
unsafe fn add_band(
    sums: &GradientSums,
    s: &ConvShape,
    n_rows: usize,
    window: *const f32,
    dy: *const f32,
    target: Shared,
) {
    let (grid, ow, dy_col) = (&sums.program.grids[0], s.out_w(), s.c_out);
    // SAFETY: the caller's contract; the rows are those of the band.
    unsafe {
        if grid.in_row == ow * grid.in_col {
            // Nothing lies between two rows, so that the band is one long row.
            let pixels = n_rows * ow;
            for p in (0..pixels).step_by(GRADIENT_PIXELS) {
                let cols = GRADIENT_PIXELS.min(pixels - p);
                let row = [[p * grid.in_col, p * dy_col]];
                sums.add(grid, &row, cols, dy_col, window, dy, target);
            }
        } else {
            let rows: Vec<[usize; 2]> = (0..n_rows)
                .map(|y| [y * grid.in_row, y * ow * dy_col])
                .collect();
            for part in rows.chunks((GRADIENT_PIXELS / ow).max(1)) {
                sums.add(grid, part, ow, dy_col, window, dy, target);
            }
        }
    }
}
