//! Convolutions with a few pixels, of many images side by side.
//!
//! The weights of such layers outweigh an image by far: image by image they would come from
//! memory again and again. So every output pixel is a grid of its own, whose columns are the
//! images. Taps that see nothing but padding are left out: a 3x3 kernel over 2x2 pixels has four
//! taps of nine.

use super::program::{Grid, Padding, Program};
use super::shape::ConvShape;

/// Most images that are computed together.
const MOST_IMAGES: usize = 64;

/// Fewer images do not fill a tile.
const LEAST_IMAGES: usize = 14;
/// Narrower layers stay in the caches as they are.
const LEAST_CHANNELS: usize = 16;
/// Most pairs of an output pixel and a tap: each is a matrix product of its own.
const MOST_PAIRS: usize = 32;
/// Most pixels of a pointwise layer, whose weights are packed once.
const MOST_PIXELS: usize = 4;
/// Floats between two images, so that the columns do not fall into the same cache sets.
const GAP: usize = 16;

/// True if the shape can be computed this way, with profit.
pub(super) fn supports(s: &ConvShape) -> bool {
    let fits = if s.is_pointwise() {
        s.h * s.w <= MOST_PIXELS
    } else {
        let pairs = |axis| outputs(s, axis).iter().map(Vec::len).sum::<usize>();
        s.out_h() * s.out_w() <= MOST_PAIRS && pairs(0) * pairs(1) <= MOST_PAIRS
    };
    fits && s.groups == 1 && s.n >= LEAST_IMAGES && s.c_in.min(s.c_out) >= LEAST_CHANNELS
}

/// Images that are best computed together: every thread has equally many bundles.
pub(super) fn bundle(n: usize, threads: usize) -> usize {
    let rounds = n.div_ceil(threads * MOST_IMAGES);
    n.div_ceil(threads * rounds).max(1)
}

/// The forward pass of one image; [`of_images`] makes it one of many.
pub(super) fn forward(s: &ConvShape) -> Program {
    let pixels = [outputs(s, 0), outputs(s, 1)];
    let target = [s.out_h(), s.out_w(), s.c_out];
    program(s, [s.h, s.w, s.c_in], &pixels, target)
}

/// The input gradient of one image.
pub(super) fn back(s: &ConvShape) -> Program {
    let pixels = [inputs(s, 0), inputs(s, 1)];
    let source = [s.out_h(), s.out_w(), s.c_out];
    program(s, source, &pixels, [s.h, s.w, s.c_in])
}

/// The same program for `images` images.
pub(super) fn of_images(program: &Program, images: usize) -> Program {
    let mut many = program.clone();
    for grid in &mut many.grids {
        grid.cols *= images;
    }
    many
}

/// Where a position of a target's axis reads, and through which tap.
type Reads = Vec<(usize, usize)>;

/// For every output position of an axis: input positions and taps.
fn outputs(s: &ConvShape, axis: usize) -> Vec<Reads> {
    let (inputs, outputs) = ([s.h, s.w][axis], [s.out_h(), s.out_w()][axis]);
    let reads = |o: usize| {
        let taps = 0..s.kernel_size[axis];
        let of_tap =
            |k: usize| (o * s.stride[axis] + k * s.dilation[axis]).checked_sub(s.pads[axis]);
        taps.filter_map(|k| Some((of_tap(k)?, k)))
            .filter(|&(i, _)| i < inputs)
            .collect()
    };
    (0..outputs).map(reads).collect()
}

/// For every input position of an axis: output positions that see it, and through which taps.
fn inputs(s: &ConvShape, axis: usize) -> Vec<Reads> {
    let mut seen = vec![Reads::new(); [s.h, s.w][axis]];
    for (o, reads) in outputs(s, axis).iter().enumerate() {
        for &(i, k) in reads {
            seen[i].push((o, k));
        }
    }
    seen
}

fn program(
    s: &ConvShape,
    source: [usize; 3],
    pixels: &[Vec<Reads>; 2],
    target: [usize; 3],
) -> Program {
    let ([h, w, c], [_, cols, c_output]) = (source, target);
    let gap = if s.is_pointwise() { 0 } else { GAP };
    let output_len = target.iter().product();
    let grid = |y: usize, x: usize| {
        let (lines, points) = (&pixels[0][y], &pixels[1][x]);
        let reads = lines.iter().flat_map(|&(line, ky)| {
            let tap = move |kx: usize| ky * s.kernel_size[1] + kx;
            points
                .iter()
                .map(move |&(point, kx)| ((line * w + point) * c, tap(kx)))
        });
        let (runs, taps): (Vec<usize>, Vec<usize>) = reads.unzip();
        Grid {
            rows: 1,
            cols: 1,
            in_base: 0,
            in_row: 0,
            in_col: h * w * c + gap,
            out_base: (y * cols + x) * c_output,
            out_row: 0,
            out_col: output_len,
            first_rows: taps.iter().map(|tap| tap * c).collect(),
            runs,
            run_len: c,
            taps,
        }
    };
    let grids = if s.is_pointwise() {
        let pixel = Grid {
            cols: h * w,
            in_col: c,
            out_col: c_output,
            ..grid(0, 0)
        };
        vec![pixel]
    } else {
        let all = (0..target[0]).flat_map(|y| (0..cols).map(move |x| (y, x)));
        all.map(|(y, x)| grid(y, x)).collect()
    };
    Program {
        source,
        padding: Padding {
            top: 0,
            left: 0,
            rows: h,
            cols: w,
        },
        gap,
        in_place: false,
        grids,
        groups: 1,
        c_source: c,
        c_output,
        output_len,
        shares_weights: true,
    }
}
