//! The transforms between pixels and points, on vectors of channels.

use super::points::{A, B, input, output, output_gradient, weight, weight_gradient};
use super::tiling::{Spot, Tiling};
use crate::activation::Limits;
use crate::conv::pack::Block;
use crate::simd::{Simd, dispatch};

/// One tile, one vector of channels: 6x6 pixels at `d` to the points at `v`.
///
/// `n` channels are stored; `SY` and `SX` say that the last row or column is missing.
#[inline(always)]
unsafe fn input_tile<V: Simd, const SY: bool, const SX: bool>(
    d: *const f32,
    row: usize,
    col: usize,
    v: *mut f32,
    stride: usize,
    n: usize,
) {
    // SAFETY: the contract of `input_image`.
    unsafe {
        let nx = if SX { 5 } else { 6 };
        let (pa, pb) = (V::splat(A as f32), V::splat(B as f32));
        let (a2, b2) = (V::splat((A * A) as f32), V::splat((B * B) as f32));
        let product = V::splat((A * A * B * B) as f32);
        let sum = V::splat((A * A + B * B) as f32);
        // Macros, because closures may not be compiled for the level; see `crate::simd`.
        macro_rules! pixel {
            ($y:expr, $x:expr) => {
                V::load(d.add($y * row + $x * col))
            };
        }
        macro_rules! put {
            ($y:expr, $t:expr) => {{
                let r = input::<V>($t);
                for x in 0..nx {
                    V::store_up_to(v.add(($y * 6 + x) * stride), r[x], n);
                }
            }};
        }
        // First the points of row 0, then those of rows 1 and 2, 3 and 4, and 5. Pixels are loaded
        // more than once that way, but never do 36 values have to be in registers at a time.
        let mut t = [V::zero(); 6];
        let mut u = [V::zero(); 6];
        for x in 0..nx {
            t[x] = V::fma(
                product,
                pixel!(0, x),
                V::fnma(sum, pixel!(2, x), pixel!(4, x)),
            );
        }
        put!(0, t);
        for x in 0..nx {
            let p = V::fnma(b2, pixel!(2, x), pixel!(4, x));
            let q = V::fnma(b2, pixel!(1, x), pixel!(3, x));
            t[x] = V::fma(pa, q, p);
            u[x] = V::fnma(pa, q, p);
        }
        put!(1, t);
        put!(2, u);
        for x in 0..nx {
            let p = V::fnma(a2, pixel!(2, x), pixel!(4, x));
            let q = V::fnma(a2, pixel!(1, x), pixel!(3, x));
            t[x] = V::fma(pb, q, p);
            u[x] = V::fnma(pb, q, p);
        }
        put!(3, t);
        put!(4, u);
        if !SY {
            for x in 0..nx {
                t[x] = V::fma(
                    product,
                    pixel!(1, x),
                    V::fnma(sum, pixel!(3, x), pixel!(5, x)),
                );
            }
            put!(5, t);
        }
    }
}

/// Where an image lies in padded scratch.
#[derive(Clone, Copy)]
pub(super) struct Source {
    /// First pixel of the first window.
    pub pixels: *const f32,
    /// Floats from one row to the next.
    pub row: usize,
    /// Channels.
    pub c: usize,
}

/// Where transformed tiles go: into a bundle of `images` images, of which this is `image`.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub images: usize,
    pub image: usize,
    /// Floats from one tile to the next.
    pub pitch: usize,
    /// Floats from one point to the next.
    pub stride: usize,
}

#[inline(always)]
unsafe fn input_spot<V: Simd>(
    spot: &Spot,
    d: *const f32,
    row: usize,
    col: usize,
    v: *mut f32,
    stride: usize,
    n: usize,
) {
    // SAFETY: passed on.
    unsafe {
        match spot.class {
            0 => input_tile::<V, false, true>(d, row, col, v, stride, n),
            1 => input_tile::<V, false, false>(d, row, col, v, stride, n),
            2 => input_tile::<V, true, false>(d, row, col, v, stride, n),
            _ => input_tile::<V, true, true>(d, row, col, v, stride, n),
        }
    }
}

#[inline(always)]
unsafe fn input_image_body<V: Simd>(tiling: &Tiling, s: Source, to: Place, v: *mut f32) {
    // SAFETY: the caller's contract. What a vector stores past the channels stays within
    // the pitch, or is cut off.
    unsafe {
        let exact = to.pitch == s.c;
        for spot in &tiling.spots {
            let d = s
                .pixels
                .add(spot.y as usize * s.row + spot.x as usize * s.c);
            let v = v.add(tiling.row(to.images, to.image, spot) * to.pitch);
            let mut c = 0;
            while c < s.c {
                let left = s.c - c;
                let (d, v) = (d.add(c), v.add(c));
                if V::HAS_HALF && left <= V::Half::LANES {
                    let n = if exact { left } else { V::Half::LANES };
                    input_spot::<V::Half>(spot, d, s.row, s.c, v, to.stride, n);
                } else {
                    let n = if exact { left } else { V::LANES };
                    input_spot::<V>(spot, d, s.row, s.c, v, to.stride, n);
                }
                c += V::LANES;
            }
        }
    }
}
dispatch! {
    /// Bᵀ d B for all tiles of an image.
    ///
    /// # Safety
    /// The machine has `isa`. `s` is valid for the windows of all tiles and a vector past
    /// them; `v` for all points of the bundle, whose pitch is the number of channels or that of
    /// whole vectors.
    pub(super) fn input_image / input_image_body(tiling: &Tiling, s: Source, to: Place, v: *mut f32)
}

#[inline(always)]
unsafe fn gradient_tile<V: Simd, const SY: bool, const SX: bool>(
    d: *const f32,
    row: usize,
    col: usize,
    v: *mut f32,
    stride: usize,
) {
    // SAFETY: the contract of `gradient_image`.
    unsafe {
        let (ny, nx) = (if SY { 5 } else { 6 }, if SX { 5 } else { 6 });
        let (my, mx) = (if SY { 3 } else { 4 }, if SX { 3 } else { 4 });
        let mut t = [[V::zero(); 4]; 6];
        for x in 0..mx {
            let mut column = [V::zero(); 4];
            for y in 0..my {
                column[y] = V::load(d.add(y * row + x * col));
            }
            let r = output_gradient::<V>(column);
            for y in 0..ny {
                t[y][x] = r[y];
            }
        }
        for y in 0..ny {
            let r = output_gradient::<V>(t[y]);
            for x in 0..nx {
                V::store(v.add((y * 6 + x) * stride), r[x]);
            }
        }
    }
}

#[inline(always)]
unsafe fn gradient_spot<V: Simd>(
    spot: &Spot,
    d: *const f32,
    row: usize,
    col: usize,
    v: *mut f32,
    stride: usize,
) {
    // SAFETY: passed on.
    unsafe {
        match spot.class {
            0 => gradient_tile::<V, false, true>(d, row, col, v, stride),
            1 => gradient_tile::<V, false, false>(d, row, col, v, stride),
            2 => gradient_tile::<V, true, false>(d, row, col, v, stride),
            _ => gradient_tile::<V, true, true>(d, row, col, v, stride),
        }
    }
}

#[inline(always)]
unsafe fn gradient_image_body<V: Simd>(
    tiling: &Tiling,
    blocks: &[Block],
    s: Source,
    to: Place,
    v: *mut f32,
) {
    // SAFETY: the caller's contract; blocks lie behind each other in each point.
    unsafe {
        let rows = to.images * tiling.len();
        for spot in &tiling.spots {
            let d = s
                .pixels
                .add(spot.y as usize * s.row + spot.x as usize * s.c);
            let tile = tiling.row(to.images, to.image, spot);
            let mut first = 0;
            for block in blocks {
                let width = block.width(V::LANES);
                let q = v.add(rows * first + tile * width);
                let d = d.add(block.start);
                for k in 0..block.full {
                    let at = k * V::LANES;
                    gradient_spot::<V>(spot, d.add(at), s.row, s.c, q.add(at), to.stride);
                }
                if V::HAS_HALF && block.half {
                    let at = block.full * V::LANES;
                    gradient_spot::<V::Half>(spot, d.add(at), s.row, s.c, q.add(at), to.stride);
                }
                first += width;
            }
        }
    }
}
dispatch! {
    /// A dy Aᵀ for all tiles of an image, to `[point][block][tile][channel of the block]`.
    ///
    /// # Safety
    /// The machine has `isa`, and the blocks were made for its lanes. `s` is valid for all
    /// pixels and two vectors past them; `v` for all points of the bundle.
    pub(super) fn gradient_image / gradient_image_body(
        tiling: &Tiling, blocks: &[Block], s: Source, to: Place, v: *mut f32)
}

/// What is done to outputs before they are stored.
#[derive(Clone, Copy)]
pub(super) struct Finish {
    /// Bias from the block's first channel on, readable for whole vectors; or null.
    pub bias: *const f32,
    pub limits: Limits,
}

/// One tile, one vector of channels: points at `m` to up to 4x4 pixels at `y`.
#[inline(always)]
unsafe fn output_tile<V: Simd, const SY: bool, const SX: bool>(
    m: *const f32,
    stride: usize,
    y: *mut f32,
    row: usize,
    col: usize,
    n: usize,
    finish: Finish,
) {
    // SAFETY: the contract of `output_spot`.
    unsafe {
        let (ny, nx) = (if SY { 5 } else { 6 }, if SX { 5 } else { 6 });
        let (my, mx) = (if SY { 3 } else { 4 }, if SX { 3 } else { 4 });
        let bias = if finish.bias.is_null() {
            V::zero()
        } else {
            V::load(finish.bias)
        };
        let mut t = [[V::zero(); 6]; 4];
        for x in 0..nx {
            let mut column = [V::zero(); 6];
            for y in 0..ny {
                column[y] = V::load(m.add((y * 6 + x) * stride));
            }
            let r = output::<V>(column);
            for y in 0..my {
                t[y][x] = r[y];
            }
        }
        for i in 0..my {
            let r = output::<V>(t[i]);
            for x in 0..mx {
                let v = finish.limits.apply::<V>(V::add(r[x], bias));
                V::store_up_to(y.add(i * row + x * col), v, n);
            }
        }
    }
}

#[inline(always)]
unsafe fn output_vector<V: Simd>(
    spot: &Spot,
    m: *const f32,
    stride: usize,
    y: *mut f32,
    row: usize,
    col: usize,
    n: usize,
    finish: Finish,
) {
    // SAFETY: passed on.
    unsafe {
        match spot.class {
            0 => output_tile::<V, false, true>(m, stride, y, row, col, n, finish),
            1 => output_tile::<V, false, false>(m, stride, y, row, col, n, finish),
            2 => output_tile::<V, true, false>(m, stride, y, row, col, n, finish),
            _ => output_tile::<V, true, true>(m, stride, y, row, col, n, finish),
        }
    }
}

/// Aᵀ m A for one tile and one block of channels.
///
/// # Safety
/// `m` is valid for the tile's points, `y` for its pixels, whose rows and columns are `row`
/// and `col` floats apart.
#[inline(always)]
pub(super) unsafe fn output_spot<V: Simd>(
    spot: &Spot,
    block: &Block,
    m: *const f32,
    stride: usize,
    y: *mut f32,
    row: usize,
    col: usize,
    finish: Finish,
) {
    // SAFETY: passed on; the block's vectors cover its channels.
    unsafe {
        let y = y.add(spot.y as usize * row + spot.x as usize * col + block.start);
        for k in 0..block.full + usize::from(block.half) {
            let at = k * V::LANES;
            let bias = if finish.bias.is_null() {
                finish.bias
            } else {
                finish.bias.add(at)
            };
            let finish = Finish { bias, ..finish };
            let n = block.count - at;
            if V::HAS_HALF && k == block.full {
                output_vector::<V::Half>(spot, m.add(at), stride, y.add(at), row, col, n, finish);
            } else {
                output_vector::<V>(spot, m.add(at), stride, y.add(at), row, col, n, finish);
            }
        }
    }
}

/// Floats of a tap in the buffer for the weights of a block: two of the widest vectors.
pub(super) const WIDTH: usize = 32;

#[inline(always)]
unsafe fn weights_body<V: Simd>(width: usize, g: *const f32, u: *mut f32, stride: usize) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut c = 0;
        while c < width {
            if V::HAS_HALF && width - c < V::LANES {
                weights_vector::<V::Half>(g.add(c), u.add(c), stride);
            } else {
                weights_vector::<V>(g.add(c), u.add(c), stride);
            }
            c += V::LANES;
        }
    }
}

#[inline(always)]
unsafe fn weights_vector<V: Simd>(g: *const f32, u: *mut f32, stride: usize) {
    // SAFETY: passed on.
    unsafe {
        let mut t = [[V::zero(); 3]; 6];
        for x in 0..3 {
            let column = g.add(x * WIDTH);
            let r = weight::<V>([
                V::load(column),
                V::load(column.add(3 * WIDTH)),
                V::load(column.add(6 * WIDTH)),
            ]);
            for y in 0..6 {
                t[y][x] = r[y];
            }
        }
        for y in 0..6 {
            let r = weight::<V>(t[y]);
            for x in 0..6 {
                V::store(u.add((y * 6 + x) * stride), r[x]);
            }
        }
    }
}
dispatch! {
    /// G g Gᵀ for one source channel and `width` output channels: `g` is `[9][WIDTH]`.
    ///
    /// # Safety
    /// The machine has `isa`; `width` is that of a block; `g` is valid for its 9 taps and `u`
    /// for its points.
    pub(super) fn weights / weights_body(width: usize, g: *const f32, u: *mut f32, stride: usize)
}

#[inline(always)]
unsafe fn weights_back_body<V: Simd>(width: usize, u: &[*const f32], stride: usize, g: *mut f32) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut c = 0;
        while c < width {
            if V::HAS_HALF && width - c < V::LANES {
                weights_back_vector::<V::Half>(u, c, stride, g.add(c));
            } else {
                weights_back_vector::<V>(u, c, stride, g.add(c));
            }
            c += V::LANES;
        }
    }
}

#[inline(always)]
unsafe fn weights_back_vector<V: Simd>(u: &[*const f32], c: usize, stride: usize, g: *mut f32) {
    // SAFETY: passed on.
    unsafe {
        let mut t = [[V::zero(); 6]; 3];
        for x in 0..6 {
            let mut column = [V::zero(); 6];
            for y in 0..6 {
                for u in u {
                    column[y] = V::add(column[y], V::load(u.add((y * 6 + x) * stride + c)));
                }
            }
            let r = weight_gradient::<V>(column);
            for y in 0..3 {
                t[y][x] = r[y];
            }
        }
        for y in 0..3 {
            let r = weight_gradient::<V>(t[y]);
            for x in 0..3 {
                V::store(g.add((y * 3 + x) * WIDTH), r[x]);
            }
        }
    }
}
dispatch! {
    /// Gᵀ (Σ u) G for one source channel and `width` output channels, to `[9][WIDTH]`.
    ///
    /// # Safety
    /// The machine has `isa`; `width` is that of a block; each `u` is valid for its points
    /// and `g` for its 9 taps.
    pub(super) fn weights_back / weights_back_body(
        width: usize, u: &[*const f32], stride: usize, g: *mut f32)
}
