//! The register tiles of the direct convolution, and the loops over them.
//!
//! The sums of up to 2 strips of `MAX_RUN` pixels, times 2 vectors of channels, stay in
//! registers while the runs are summed; each step loads 2 vectors of weights and broadcasts one
//! float per pixel.

use std::mem::MaybeUninit;

use super::pack::Block;
use super::program::Grid;
use crate::activation::Limits;
use crate::simd::{Simd, dispatch};

/// One or two strips of neighbouring pixels. Offsets count floats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tile {
    len: u8,
    paired: bool,
    input: [u32; 2],
    output: [u32; 2],
}

/// Cuts a grid into tiles for blocks with one and with two vectors.
pub(crate) fn tiles(grid: &Grid, max_run: usize, capacity: usize) -> [Vec<Tile>; 2] {
    [
        cut(grid, max_run, 2 * capacity),
        cut(grid, max_run, capacity),
    ]
}

fn cut(grid: &Grid, max_run: usize, capacity: usize) -> Vec<Tile> {
    // If nothing lies between two rows, the grid is one long row.
    let flat = grid.in_row == grid.cols * grid.in_col && grid.out_row == grid.cols * grid.out_col;
    let (rows, cols) = if flat {
        (1, grid.rows * grid.cols)
    } else {
        (grid.rows, grid.cols)
    };
    let strips = cols.div_ceil(max_run);
    let (len, extra) = (cols / strips, cols % strips);
    let mut tiles = Vec::new();
    // The two strips of a tile have equal lengths: first come the longer strips, then the others.
    for (len, first, count) in [(len + 1, 0, extra), (len, extra, strips - extra)] {
        if len == 0 {
            continue;
        }
        let pair = 2 * len <= capacity;
        let mut open: Option<Tile> = None;
        for y in 0..rows {
            for i in first..first + count {
                let x = i * (cols / strips) + i.min(extra);
                let input = (grid.in_base + y * grid.in_row + x * grid.in_col) as u32;
                let output = (grid.out_base + y * grid.out_row + x * grid.out_col) as u32;
                match open.take() {
                    Some(half) => tiles.push(Tile {
                        paired: true,
                        input: [half.input[0], input],
                        output: [half.output[0], output],
                        ..half
                    }),
                    None => {
                        let tile = Tile {
                            len: len as u8,
                            paired: false,
                            input: [input; 2],
                            output: [output; 2],
                        };
                        if pair {
                            open = Some(tile)
                        } else {
                            tiles.push(tile)
                        }
                    }
                }
            }
        }
        tiles.extend(open);
    }
    tiles
}

/// What the tiles of one grid need.
pub(crate) struct Job<'a> {
    pub tiles: &'a [Vec<Tile>; 2],
    pub blocks: &'a [Block],
    pub runs: &'a [usize],
    /// Row of the packed weights with which each run begins.
    pub first_rows: &'a [usize],
    pub run_len: usize,
    /// Rows of the packed weights.
    pub rows: usize,
    pub in_col: usize,
    pub out_col: usize,
    pub groups: usize,
    pub c_source: usize,
    pub c_output: usize,
    /// Packed weights of the grid.
    pub weights: *const f32,
    /// One value per output channel of all groups, readable to a whole vector past the end; or
    /// null.
    pub bias: *const f32,
    pub limits: Limits,
}

/// Base addresses for the up to seven pixels of a strip.
const BASES: usize = 3;

/// Sums the runs of `G` strips of `S` pixels, times `K` vectors and, if `H`, half a vector
/// of output channels, of which `count` exist.
#[inline(always)]
unsafe fn tile<V: Simd, const S: usize, const G: usize, const K: usize, const H: bool>(
    job: &Job<'_>,
    input: [*const f32; 2],
    output: [*mut f32; 2],
    weights: *const f32,
    bias: *const f32,
    count: usize,
) {
    // SAFETY: by the contract of `image`, all runs of the tile's pixels, the block's
    // weights and the output pixels are in bounds.
    unsafe {
        let (in_col, out_col) = (job.in_col, job.out_col);
        let mut acc = [[[V::zero(); K]; S]; G];
        let mut half = [[V::Half::zero(); S]; G];
        let width = K * V::LANES + if H { V::Half::LANES } else { 0 };
        for (&run, &row) in job.runs.iter().zip(job.first_rows) {
            let mut weights = weights.add(row * width);
            // One base address for every three pixels: the instructions can form base, base + step
            // and base + 2 · step without a further register.
            let mut p = [[input[0]; BASES]; 2];
            for g in 0..G {
                for i in 0..BASES {
                    p[g][i] = input[g].add(run + if 3 * i < S { 3 * i * in_col } else { 0 });
                }
            }
            for _ in 0..job.run_len {
                let mut w = [V::zero(); K];
                for k in 0..K {
                    w[k] = V::load(weights.add(k * V::LANES));
                }
                let wh = if H {
                    V::Half::load(weights.add(K * V::LANES))
                } else {
                    V::Half::zero()
                };
                for s in 0..S {
                    for g in 0..G {
                        let x = p[g][s / 3].add(s % 3 * in_col);
                        if K > 0 {
                            let x = V::splat(*x);
                            for k in 0..K {
                                acc[g][s][k] = V::fma(x, w[k], acc[g][s][k]);
                            }
                        }
                        if H {
                            half[g][s] = V::Half::fma(V::Half::splat(*x), wh, half[g][s]);
                        }
                    }
                }
                for g in 0..G {
                    for i in 0..BASES {
                        p[g][i] = p[g][i].add(1);
                    }
                }
                weights = weights.add(width);
            }
        }
        // The sums go through memory on purpose. The loops below are not always unrolled, and if
        // they indexed `acc` by a variable, the compiler would keep it in memory everywhere, in
        // the loop above too.
        let mut sums = MaybeUninit::<[f32; SUMS]>::uninit();
        let sums = sums.as_mut_ptr().cast::<f32>();
        for g in 0..G {
            for s in 0..S {
                let sum = sums.add((g * S + s) * width);
                for k in 0..K {
                    V::store(sum.add(k * V::LANES), acc[g][s][k]);
                }
                if H {
                    V::Half::store(sum.add(K * V::LANES), half[g][s]);
                }
            }
        }
        for g in 0..G {
            for s in 0..S {
                let (sum, to) = (sums.add((g * S + s) * width), output[g].add(s * out_col));
                for k in 0..K {
                    let at = k * V::LANES;
                    let left = if k + 1 < K || H { V::LANES } else { count - at };
                    finish::<V>(job, sum.add(at), bias, at, to, left);
                }
                if H {
                    let at = K * V::LANES;
                    finish::<V::Half>(job, sum.add(at), bias, at, to, count - at);
                }
            }
        }
    }
}

/// Floats of the sums of the largest tile: two strips of seven pixels, two of the widest
/// vectors.
const SUMS: usize = 2 * 7 * 2 * 16;

/// Bias and limits for the vector at channel `at` of a block; `n` floats are stored.
#[inline(always)]
unsafe fn finish<V: Simd>(
    job: &Job<'_>,
    sum: *const f32,
    bias: *const f32,
    at: usize,
    to: *mut f32,
    n: usize,
) {
    // SAFETY: the contract of `tile`.
    unsafe {
        let mut y = V::load(sum);
        if !bias.is_null() {
            y = V::add(y, V::load(bias.add(at)));
        }
        V::store_up_to(to.add(at), job.limits.apply::<V>(y), n);
    }
}

#[inline(always)]
unsafe fn image_body<V: Simd>(job: &Job<'_>, input: *const f32, output: *mut f32) {
    // SAFETY: the caller's contract; every tile lies inside the grid.
    unsafe {
        let mut weights = job.weights;
        for group in 0..job.groups {
            let x = input.add(group * job.c_source);
            let y = output.add(group * job.c_output);
            for block in job.blocks {
                let bias = if job.bias.is_null() {
                    job.bias
                } else {
                    job.bias.add(group * job.c_output + block.start)
                };
                for t in &job.tiles[usize::from(block.full == 2)] {
                    let p = [x.add(t.input[0] as usize), x.add(t.input[1] as usize)];
                    let y = y.add(block.start);
                    let q = [y.add(t.output[0] as usize), y.add(t.output[1] as usize)];
                    macro_rules! go {
                        ($s:literal, $g:literal, $k:literal, $h:literal) => {
                            tile::<V, $s, $g, $k, $h>(job, p, q, weights, bias, block.count)
                        };
                    }
                    macro_rules! select {
                        ($($s:literal)*) => {
                            match (t.len, t.paired, block.full, V::HAS_HALF && block.half) {
                                $(
                                    ($s, false, 2, _) => go!($s, 1, 2, false),
                                    ($s, true, 2, _) => go!($s, 2, 2, false),
                                    ($s, false, 1, false) => go!($s, 1, 1, false),
                                    ($s, true, 1, false) => go!($s, 2, 1, false),
                                    ($s, false, 1, true) => go!($s, 1, 1, true),
                                    ($s, true, 1, true) => go!($s, 2, 1, true),
                                    ($s, false, 0, true) => go!($s, 1, 0, true),
                                    ($s, true, 0, true) => go!($s, 2, 0, true),
                                )*
                                _ => unreachable!("no such tile or block"),
                            }
                        };
                    }
                    select!(1 2 3 4 5 6 7);
                }
                weights = weights.add(job.rows * block.width(V::LANES));
            }
        }
    }
}

dispatch! {
    /// Computes all pixels of a grid of one image.
    ///
    /// # Safety
    /// The machine has `isa`, and `job` was made for its lanes. `input` is the padded
    /// image and `output` the output image that the job's grid was made for, both valid
    /// for every pixel and run of the grid; `weights` and `bias` are as `Job` says.
    pub(crate) fn image / image_body(job: &Job<'_>, input: *const f32, output: *mut f32)
}
