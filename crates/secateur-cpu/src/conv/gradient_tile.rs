//! The register tiles of the direct weight gradient.
//!
//! Rows of a run times 2 vectors of channels stay in registers while the pixels of an output row
//! are summed.

use super::pack::Block;
use crate::simd::{Simd, dispatch};

/// What the tiles of the weight gradient need.
pub(crate) struct GradientJob<'a> {
    pub blocks: &'a [Block],
    pub runs: &'a [usize],
    pub run_len: usize,
    /// Row of the packed weights with which each run begins.
    pub first_rows: &'a [usize],
    /// Rows of the packed weights.
    pub rows: usize,
    pub groups: usize,
    pub c_source: usize,
    pub c_output: usize,
    /// Pixels in an output row.
    pub cols: usize,
    /// Floats from the window of a pixel to that of the next, in the padded image.
    pub x_col: usize,
    /// Floats from a pixel to the next in `dy`.
    pub dy_col: usize,
}

/// Sums `R` rows of weights that lie behind each other, times `K` vectors and, if `H`, half a
/// vector of output channels, over some output rows.
#[inline(always)]
unsafe fn gradient_tile<V: Simd, const R: usize, const K: usize, const H: bool>(
    g: &GradientJob<'_>,
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
                p = p.wrapping_add(g.x_col);
                q = q.wrapping_add(g.dy_col);
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

/// As [`gradient_tile`], for rows of weights whose source pixels lie at `offsets`.
#[inline(always)]
unsafe fn gradient_gather<V: Simd, const R: usize, const K: usize, const H: bool>(
    g: &GradientJob<'_>,
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
                p = p.wrapping_add(g.x_col);
                q = q.wrapping_add(g.dy_col);
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
    g: &GradientJob<'_>,
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
                let width = block.width(V::LANES);
                let next = dw.add(g.rows * width);
                if g.run_len * g.runs.len() == NINE && g.rows == NINE {
                    // With one source channel a run has at most three floats. The additions to
                    // so few sums would wait for each other, so all nine taps are summed at once.
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
                    dw = next;
                    continue;
                }
                let narrow = block.full + usize::from(block.half) == 1;
                let max = V::GRADIENT_ROWS * if narrow { 2 } else { 1 };
                let parts = g.run_len.div_ceil(max);
                let (len, extra) = (g.run_len / parts, g.run_len % parts);
                for (&run, &row) in g.runs.iter().zip(g.first_rows) {
                    let mut p = x.add(group * g.c_source + run);
                    let mut dw = dw.add(row * width);
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
                        dw = dw.add(n * width);
                    }
                }
                dw = next;
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
        g: &GradientJob<'_>, rows: &[[usize; 2]], x: *const f32, dy: *const f32, dw: *mut f32)
}
