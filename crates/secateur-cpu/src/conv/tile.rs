//! The register tiles of the direct convolution, and the loops over them.
//!
//! Forward: up to 2 rows of `MAX_RUN` pixels times 2 vectors of channels stay in
//! registers while the runs are summed; each step loads 2 vectors of weights and
//! broadcasts one float per pixel. Weight gradient: rows of a run times 2 vectors of
//! channels stay in registers while the pixels of an output row are summed.

use std::mem::MaybeUninit;

use super::Limits;
use super::pack::Block;
use super::program::Grid;
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
    // Rows without gaps are one long row.
    let flat = grid.in_row == grid.cols * grid.in_col && grid.out_row == grid.cols * grid.out_col;
    let (rows, cols) = if flat {
        (1, grid.rows * grid.cols)
    } else {
        (grid.rows, grid.cols)
    };
    let strips = cols.div_ceil(max_run);
    let (len, extra) = (cols / strips, cols % strips);
    let mut tiles = Vec::new();
    // Strips of equal length share tiles: first the longer ones, then the others.
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
pub(crate) struct Layer<'a> {
    pub tiles: &'a [Vec<Tile>; 2],
    pub blocks: &'a [Block],
    pub runs: &'a [usize],
    pub run_len: usize,
    pub in_col: usize,
    pub out_col: usize,
    pub groups: usize,
    pub c_source: usize,
    pub c_output: usize,
    /// Packed weights of the grid.
    pub weights: *const f32,
    /// Per output channel over all groups, readable to a whole vector past the end; or null.
    pub bias: *const f32,
    pub limits: Limits,
}

/// Bases of the up to seven pixels of a strip.
const BASES: usize = 3;

/// Sums the runs of `G` strips of `S` pixels, times `K` vectors and, if `H`, half a vector
/// of output channels, of which `count` exist.
#[inline(always)]
unsafe fn tile<V: Simd, const S: usize, const G: usize, const K: usize, const H: bool>(
    layer: &Layer<'_>,
    input: [*const f32; 2],
    output: [*mut f32; 2],
    mut weights: *const f32,
    bias: *const f32,
    count: usize,
) {
    // SAFETY: by the contract of `image`, all runs of the tile's pixels, the block's
    // weights and the output pixels are in bounds.
    unsafe {
        let (in_col, out_col) = (layer.in_col, layer.out_col);
        let mut acc = [[[V::zero(); K]; S]; G];
        let mut half = [[V::Half::zero(); S]; G];
        for &run in layer.runs {
            // A base for every three pixels: base, base + step, base + 2 · step are addresses
            // that need no further register.
            let mut p = [[input[0]; BASES]; 2];
            for g in 0..G {
                for i in 0..BASES {
                    p[g][i] = input[g].add(run + if 3 * i < S { 3 * i * in_col } else { 0 });
                }
            }
            for _ in 0..layer.run_len {
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
                weights = weights.add(K * V::LANES + if H { V::Half::LANES } else { 0 });
            }
        }
        // By way of memory: what follows is not always unrolled, and an array that is indexed
        // by a variable anywhere lies in memory everywhere, in the loop above too.
        let mut sums = MaybeUninit::<[f32; SUMS]>::uninit();
        let sums = sums.as_mut_ptr().cast::<f32>();
        let width = K * V::LANES + if H { V::Half::LANES } else { 0 };
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
                    finish::<V>(layer, sum.add(at), bias, at, to, left);
                }
                if H {
                    let at = K * V::LANES;
                    finish::<V::Half>(layer, sum.add(at), bias, at, to, count - at);
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
    layer: &Layer<'_>,
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
        V::store_up_to(to.add(at), layer.limits.apply::<V>(y), n);
    }
}

#[inline(always)]
unsafe fn image_body<V: Simd>(layer: &Layer<'_>, input: *const f32, output: *mut f32) {
    // SAFETY: the caller's contract; every tile lies inside the grid.
    unsafe {
        let mut weights = layer.weights;
        for group in 0..layer.groups {
            let x = input.add(group * layer.c_source);
            let y = output.add(group * layer.c_output);
            for block in layer.blocks {
                let bias = if layer.bias.is_null() {
                    layer.bias
                } else {
                    layer.bias.add(group * layer.c_output + block.start)
                };
                for t in &layer.tiles[usize::from(block.full == 2)] {
                    let p = [x.add(t.input[0] as usize), x.add(t.input[1] as usize)];
                    let y = y.add(block.start);
                    let q = [y.add(t.output[0] as usize), y.add(t.output[1] as usize)];
                    macro_rules! go {
                        ($s:literal, $g:literal, $k:literal, $h:literal) => {
                            tile::<V, $s, $g, $k, $h>(layer, p, q, weights, bias, block.count)
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
                let n = layer.runs.len() * layer.run_len;
                weights = weights.add(n * block.width(V::LANES));
            }
        }
    }
}

dispatch! {
    /// Computes all pixels of a grid of one image.
    ///
    /// # Safety
    /// The machine has `isa`, and `layer` was made for its lanes. `input` is the padded
    /// image and `output` the output image that the layer's grid was made for, both valid
    /// for every pixel and run of the grid; `weights` and `bias` are as `Layer` says.
    pub(crate) fn image / image_body(layer: &Layer<'_>, input: *const f32, output: *mut f32)
}

/// Sums of the weight gradient: one output row after another.
pub(crate) struct Gradient<'a> {
    pub blocks: &'a [Block],
    pub runs: &'a [usize],
    pub run_len: usize,
    pub groups: usize,
    pub c_source: usize,
    pub c_output: usize,
    /// Pixels in a row, and steps between them in the padded image and in `dy`.
    pub cols: usize,
    pub x_col: usize,
    pub dy_col: usize,
}

#[inline(always)]
unsafe fn gradient_tile<V: Simd, const R: usize, const K: usize, const H: bool>(
    g: &Gradient<'_>,
    rows: &[[usize; 2]],
    x: *const f32,
    dy: *const f32,
    dw: *mut f32,
) {
    // SAFETY: the contract of `gradient`.
    unsafe {
        let mut acc = [[V::zero(); K]; R];
        let mut half = [V::Half::zero(); R];
        for &[x_row, dy_row] in rows {
            let mut p = x.add(x_row);
            let mut q = dy.add(dy_row);
            for _ in 0..g.cols {
                let mut d = [V::zero(); K];
                for k in 0..K {
                    d[k] = V::load(q.add(k * V::LANES));
                }
                let dh = if H {
                    V::Half::load(q.add(K * V::LANES))
                } else {
                    V::Half::zero()
                };
                for r in 0..R {
                    let x = p.add(r);
                    if K > 0 {
                        let x = V::splat(*x);
                        for k in 0..K {
                            acc[r][k] = V::fma(x, d[k], acc[r][k]);
                        }
                    }
                    if H {
                        half[r] = V::Half::fma(V::Half::splat(*x), dh, half[r]);
                    }
                }
                p = p.add(g.x_col);
                q = q.add(g.dy_col);
            }
        }
        let width = K * V::LANES + if H { V::Half::LANES } else { 0 };
        for r in 0..R {
            for k in 0..K {
                let to = dw.add(r * width + k * V::LANES);
                V::store(to, V::add(V::load(to), acc[r][k]));
            }
            if H {
                let to = dw.add(r * width + K * V::LANES);
                V::Half::store(to, V::Half::add(V::Half::load(to), half[r]));
            }
        }
    }
}

/// Taps of a 3x3 kernel.
const NINE: usize = 9;

/// As [`gradient_tile`], for rows of the weights that do not lie behind each other.
#[inline(always)]
unsafe fn gradient_gather<V: Simd, const R: usize, const K: usize, const H: bool>(
    g: &Gradient<'_>,
    rows: &[[usize; 2]],
    x: *const f32,
    offsets: [usize; R],
    dy: *const f32,
    dw: *mut f32,
) {
    // SAFETY: the contract of `gradient`.
    unsafe {
        let mut acc = [[V::zero(); K]; R];
        let mut half = [V::Half::zero(); R];
        for &[x_row, dy_row] in rows {
            let mut p = x.add(x_row);
            let mut q = dy.add(dy_row);
            for _ in 0..g.cols {
                let mut d = [V::zero(); K];
                for k in 0..K {
                    d[k] = V::load(q.add(k * V::LANES));
                }
                let dh = if H {
                    V::Half::load(q.add(K * V::LANES))
                } else {
                    V::Half::zero()
                };
                for r in 0..R {
                    let x = p.add(offsets[r]);
                    if K > 0 {
                        let x = V::splat(*x);
                        for k in 0..K {
                            acc[r][k] = V::fma(x, d[k], acc[r][k]);
                        }
                    }
                    if H {
                        half[r] = V::Half::fma(V::Half::splat(*x), dh, half[r]);
                    }
                }
                p = p.add(g.x_col);
                q = q.add(g.dy_col);
            }
        }
        let width = K * V::LANES + if H { V::Half::LANES } else { 0 };
        for r in 0..R {
            for k in 0..K {
                let to = dw.add(r * width + k * V::LANES);
                V::store(to, V::add(V::load(to), acc[r][k]));
            }
            if H {
                let to = dw.add(r * width + K * V::LANES);
                V::Half::store(to, V::Half::add(V::Half::load(to), half[r]));
            }
        }
    }
}

#[inline(always)]
unsafe fn gradient_body<V: Simd>(
    g: &Gradient<'_>,
    rows: &[[usize; 2]],
    x: *const f32,
    dy: *const f32,
    dw: *mut f32,
) {
    // SAFETY: the caller's contract; parts of a run add up to the run.
    unsafe {
        let mut dw = dw;
        for group in 0..g.groups {
            for block in g.blocks {
                let q = dy.add(group * g.c_output + block.start);
                if g.run_len * g.runs.len() == NINE {
                    // One channel: all taps at once, or there are too few sums in flight.
                    let p = x.add(group * g.c_source);
                    let mut at = [0; NINE];
                    for (i, at) in at.iter_mut().enumerate() {
                        *at = g.runs[i / g.run_len] + i % g.run_len;
                    }
                    match (block.full, V::HAS_HALF && block.half) {
                        (2, _) => gradient_gather::<V, NINE, 2, false>(g, rows, p, at, q, dw),
                        (1, true) => gradient_gather::<V, NINE, 1, true>(g, rows, p, at, q, dw),
                        (1, false) => gradient_gather::<V, NINE, 1, false>(g, rows, p, at, q, dw),
                        _ => gradient_gather::<V, NINE, 0, true>(g, rows, p, at, q, dw),
                    }
                    dw = dw.add(NINE * block.width(V::LANES));
                    continue;
                }
                let narrow = block.full + usize::from(block.half) == 1;
                let max = V::GRADIENT_ROWS * if narrow { 2 } else { 1 };
                let parts = g.run_len.div_ceil(max);
                let (len, extra) = (g.run_len / parts, g.run_len % parts);
                for &run in g.runs {
                    let mut p = x.add(group * g.c_source + run);
                    for part in 0..parts {
                        let n = len + usize::from(part < extra);
                        macro_rules! go {
                            ($r:literal, $k:literal, $h:literal) => {
                                gradient_tile::<V, $r, $k, $h>(g, rows, p, q, dw)
                            };
                        }
                        macro_rules! select {
                            ($($both:literal)*; $($more:literal)*) => {
                                match (n, block.full, V::HAS_HALF && block.half) {
                                    $(
                                        ($both, 2, _) => go!($both, 2, false),
                                        ($both, 1, true) => go!($both, 1, true),
                                        ($both, 1, false) => go!($both, 1, false),
                                        ($both, 0, true) => go!($both, 0, true),
                                    )*
                                    $(
                                        ($more, 1, false) => go!($more, 1, false),
                                        ($more, 0, true) => go!($more, 0, true),
                                    )*
                                    _ => unreachable!("parts are at most `max` long"),
                                }
                            };
                        }
                        if V::GRADIENT_ROWS == 12 {
                            select!(1 2 3 4 5 6 7 8 9 10 11 12;
                                    13 14 15 16 17 18 19 20 21 22 23 24);
                        } else {
                            select!(1 2 3 4 5 6; 7 8 9 10 11 12);
                        }
                        p = p.add(n);
                        dw = dw.add(n * block.width(V::LANES));
                    }
                }
            }
        }
    }
}

dispatch! {
    /// Adds the weight gradient of some output rows to `dw`, packed.
    ///
    /// `rows` are offsets of an output row's first window in the padded image `x` and of
    /// its first pixel in `dy`.
    ///
    /// # Safety
    /// The machine has `isa`, and the blocks were made for its lanes. All windows of the
    /// rows are inside `x`; `dy` is valid for the rows' pixels and two vectors past the last
    /// one's first channel of each block; `dw` is packed weights of the program.
    pub(crate) fn gradient / gradient_body(
        g: &Gradient<'_>, rows: &[[usize; 2]], x: *const f32, dy: *const f32, dw: *mut f32)
}
