//! Transformed tiles times transformed weights, and back to pixels.

use super::tiling::{MOST_FORWARD, POINTS, Tiling, bundle, pitch, point_stride};
use super::transform::{self, Finish, Place, Source};
use super::weights::{self, Direction, Layout, weight_stride};
use crate::activation::Limits;
use crate::ahead::{Ahead, fetch_columns};
use crate::conv::pack::{self, Block};
use crate::conv::program::Program;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::simd::{Simd, dispatch, unrolled};

/// A convolution (or an input gradient) with its weights transformed.
pub(crate) struct Prepared {
    pub isa: Isa,
    pub program: Program,
    tiling: Tiling,
    blocks: Vec<Block>,
    points: Buffer,
    bias: Option<Buffer>,
    limits: Limits,
    /// Images in a bundle.
    pub bundle: usize,
}

/// Transformed tiles of a bundle of images, and their products with a block of channels; memory
/// of one task.
pub(crate) struct Scratch {
    tiles: Buffer,
    products: Buffer,
}

impl Prepared {
    /// `None` if the program's outputs cannot be cut into tiles; see [`super::supports`].
    pub fn new(
        isa: Isa,
        program: Program,
        direction: Direction,
        n: usize,
        threads: usize,
        w: &[f32],
        bias: Option<&[f32]>,
        limits: Limits,
    ) -> Option<Self> {
        let grid = &program.grids[0];
        let tiling = Tiling::new(grid.rows, grid.cols)?;
        let blocks = pack::blocks(program.c_output, isa);
        let layout = Layout {
            c_source: program.c_source,
            c_output: program.c_output,
            direction,
        };
        let points = weights::to_points(isa, layout, &blocks, w);
        let bias = bias.map(pack::with_slack);
        let floats = pitch(isa, program.c_source) + blocks[0].width(isa.lanes());
        let width = pack::total_width(&blocks, isa.lanes());
        let weights = POINTS * program.c_source * width;
        let bundle = bundle(&tiling, floats, weights, MOST_FORWARD, n, threads);
        Some(Self {
            isa,
            program,
            tiling,
            blocks,
            points,
            bias,
            limits,
            bundle,
        })
    }

    /// Scratch for bundles of up to `images` images.
    pub fn scratch(&self, images: usize) -> Scratch {
        let rows = images * self.tiling.len();
        let width = self.blocks[0].width(self.isa.lanes());
        let tiles = point_stride(rows, pitch(self.isa, self.program.c_source));
        Scratch {
            tiles: Buffer::get(POINTS * tiles),
            products: Buffer::get(POINTS * point_stride(rows, width)),
        }
    }

    /// Transforms image `image` of a bundle of `images`.
    ///
    /// # Safety
    /// `padded` is valid for the program's padded image and [`crate::simd::SLACK`] floats past it;
    /// `scratch` is for that many images or more.
    pub unsafe fn input(
        &self,
        scratch: &mut Scratch,
        images: usize,
        image: usize,
        padded: *const f32,
    ) {
        let grid = &self.program.grids[0];
        let c = self.program.c_source;
        let pitch = pitch(self.isa, c);
        let stride = point_stride(images * self.tiling.len(), pitch);
        let to = Place {
            images,
            image,
            pitch,
            stride,
        };
        // SAFETY: windows of the grid lie inside the padded image; `isa` is active.
        unsafe {
            let s = Source {
                pixels: padded.add(grid.in_base),
                row: grid.in_row,
                c,
            };
            transform::input_image(self.isa, &self.tiling, s, to, scratch.tiles.as_mut_ptr());
        }
    }

    /// Computes a bundle of images whose inputs have been transformed, and fetches what the
    /// caller needs next.
    ///
    /// # Safety
    /// `output` is valid for `images` output images.
    pub unsafe fn output(
        &self,
        scratch: &mut Scratch,
        images: usize,
        output: *mut f32,
        ahead: &Ahead,
    ) {
        let job = Job {
            tiling: &self.tiling,
            blocks: &self.blocks,
            images,
            c_source: self.program.c_source,
            c_output: self.program.c_output,
            pitch: pitch(self.isa, self.program.c_source),
            tiles: scratch.tiles.as_ptr(),
            points: self.points.as_ptr(),
            products: scratch.products.as_mut_ptr(),
            bias: self.bias.as_ref().map_or(std::ptr::null(), Buffer::as_ptr),
            limits: self.limits,
        };
        // SAFETY: scratch and weights have the sizes of this very tiling.
        unsafe { multiply(self.isa, &job, output, ahead) }
    }
}

/// What the products and outputs of a bundle of images need.
struct Job<'a> {
    tiling: &'a Tiling,
    blocks: &'a [Block],
    images: usize,
    c_source: usize,
    c_output: usize,
    pitch: usize,
    tiles: *const f32,
    points: *const f32,
    products: *mut f32,
    bias: *const f32,
    limits: Limits,
}

/// Base addresses for the up to fourteen rows of a tile.
const BASES: usize = 5;

/// `R` rows of `a` times `K` vectors (and, if `H`, half a vector) of columns of `b`.
#[inline(always)]
unsafe fn tile<V: Simd, const R: usize, const K: usize, const H: bool>(
    a: *const f32,
    pitch: usize,
    depth: usize,
    mut b: *const f32,
    out: *mut f32,
) {
    // SAFETY: the contract of `product`.
    unsafe {
        let width = K * V::LANES + if H { V::Half::LANES } else { 0 };
        let mut acc = [[V::zero(); K]; R];
        let mut half = [V::Half::zero(); R];
        // One base address for every three rows: the instructions can form base, base + pitch
        // and base + 2 · pitch without a further register.
        let mut p = [a; BASES];
        for i in 0..BASES {
            p[i] = a.add(if 3 * i < R { 3 * i * pitch } else { 0 });
        }
        for _ in 0..depth {
            let mut w = [V::zero(); K];
            for k in 0..K {
                w[k] = V::load(b.add(k * V::LANES));
            }
            let wh = if H {
                V::Half::load(b.add(K * V::LANES))
            } else {
                V::Half::zero()
            };
            unrolled!(r < R {
                let x = p[r / 3].add(r % 3 * pitch);
                if K > 0 {
                    let x = V::splat(*x);
                    for k in 0..K {
                        acc[r][k] = V::fma(x, w[k], acc[r][k]);
                    }
                }
                if H {
                    half[r] = V::Half::fma(V::Half::splat(*x), wh, half[r]);
                }
            });
            for p in &mut p {
                *p = p.add(1);
            }
            b = b.add(width);
        }
        unrolled!(r < R {
            for k in 0..K {
                V::store(out.add(r * width + k * V::LANES), acc[r][k]);
            }
            if H {
                V::Half::store(out.add(r * width + K * V::LANES), half[r]);
            }
        });
    }
}

/// out `[n, width]` = a `[n, depth]` · b `[depth, width]`.
#[inline(always)]
unsafe fn product<V: Simd>(
    n: usize,
    pitch: usize,
    depth: usize,
    block: &Block,
    a: *const f32,
    b: *const f32,
    out: *mut f32,
) {
    if n == 0 {
        return;
    }
    let width = block.width(V::LANES);
    let narrow = block.full + usize::from(block.half) == 1;
    // If rows have one vector only, the registers hold twice as many of them.
    let max = V::PRODUCT_ROWS * if narrow && V::PRODUCT_ROWS < 14 { 2 } else { 1 };
    let parts = n.div_ceil(max);
    let (len, extra) = (n / parts, n % parts);
    let mut row = 0;
    for part in 0..parts {
        let rows = len + usize::from(part < extra);
        // SAFETY: the rows lie inside `a` and `out`.
        unsafe {
            let (a, out) = (a.add(row * pitch), out.add(row * width));
            macro_rules! go {
                ($r:literal, $k:literal, $h:literal) => {
                    tile::<V, $r, $k, $h>(a, pitch, depth, b, out)
                };
            }
            macro_rules! select {
                ($($both:literal)*; $($more:literal)*) => {
                    match (rows, block.full, V::HAS_HALF && block.half) {
                        $(
                            ($both, 2, _) => go!($both, 2, false),
                            ($both, 1, true) => go!($both, 1, true),
                            ($both, 1, false) => go!($both, 1, false),
                            ($both, 0, true) => go!($both, 0, true),
                        )*
                        $(($more, 1, false) => go!($more, 1, false),)*
                        _ => unreachable!("parts are at most `max` long"),
                    }
                };
            }
            if V::PRODUCT_ROWS == 14 {
                select!(1 2 3 4 5 6 7 8 9 10 11 12 13 14; );
            } else {
                select!(1 2 3 4 5 6; 7 8 9 10 11 12);
            }
        }
        row += rows;
    }
}

#[inline(always)]
unsafe fn multiply_body<V: Simd>(job: &Job<'_>, output: *mut f32, ahead: &Ahead) {
    // SAFETY: the caller's contract.
    unsafe {
        let tiling = job.tiling;
        let rows = job.images * tiling.len();
        let tile_stride = point_stride(rows, job.pitch);
        let (row, col) = (tiling.w * job.c_output, job.c_output);
        let pixels = job.images * tiling.h * tiling.w;
        let parts = job.blocks.len() * POINTS;
        let mut weights = job.points;
        for (b, block) in job.blocks.iter().enumerate() {
            let width = block.width(V::LANES);
            let stride = point_stride(rows, width);
            for p in 0..POINTS {
                let soon = pixels * p / POINTS..pixels * (p + 1) / POINTS;
                let columns = output.add(block.start);
                if ahead.has_output() {
                    fetch_columns::<V>(soon, col, columns, block.count);
                }
                ahead.fetch::<V>(b * POINTS + p, parts);
                let range = tiling.rows(job.images, p);
                let a = job.tiles.add(p * tile_stride + range.start * job.pitch);
                let out = job.products.add(p * stride + range.start * width);
                product::<V>(range.len(), job.pitch, job.c_source, block, a, weights, out);
                weights = weights.add(weight_stride(job.c_source, width));
            }
            let bias = if job.bias.is_null() {
                job.bias
            } else {
                job.bias.add(block.start)
            };
            let finish = Finish {
                bias,
                limits: job.limits,
            };
            for image in 0..job.images {
                let y = output.add(image * tiling.h * row);
                for spot in &tiling.spots {
                    let m = job
                        .products
                        .add(tiling.row(job.images, image, spot) * width);
                    transform::output_spot::<V>(spot, block, m, stride, y, row, col, finish);
                }
            }
        }
    }
}
dispatch! {
    /// All products and outputs of a bundle of images.
    ///
    /// # Safety
    /// The machine has `isa`, and the blocks were made for its lanes; all pointers are valid
    /// for what `Job` says; `output` for the output images.
    fn multiply / multiply_body(job: &Job<'_>, output: *mut f32, ahead: &Ahead)
}
