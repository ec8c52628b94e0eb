//! Weight gradients: transformed inputs times transformed output gradients.

use super::tiling::{MOST_GRADIENT, POINTS, Tiling, bundle, pitch, point_stride};
use super::transform::{self, Place, Source};
use super::weights::{self, Direction, Layout, weight_stride};
use crate::ahead::{Ahead, fetch_to_write};
use crate::conv::pack::{self, Block};
use crate::conv::program::Program;
use crate::conv::shape::ConvShape;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::parallel::Shared;
use crate::simd::{Simd, dispatch, unrolled};

/// Sums over tiles of a weight gradient, one per task.
pub(crate) struct GradientSums {
    pub isa: Isa,
    /// The forward program whose windows are transformed.
    pub program: Program,
    tiling: Tiling,
    blocks: Vec<Block>,
    sums: Vec<Buffer>,
    /// Images in a bundle.
    pub bundle: usize,
}

/// Transformed tiles of a bundle of images, of x and of dy; memory of one task.
pub(crate) struct Scratch {
    x: Buffer,
    dy: Buffer,
    /// True once the task has added to its sums.
    has_added: bool,
}

impl GradientSums {
    /// Sums for `tasks` tasks. `None` if the outputs cannot be cut into tiles.
    pub fn new(isa: Isa, s: &ConvShape, tasks: usize) -> Option<Self> {
        let program = Program::forward(s, s.out_h());
        let tiling = Tiling::new(s.out_h(), s.out_w())?;
        let blocks = pack::blocks(s.c_out, isa);
        let len = weights::points_len(s.c_in, &blocks, isa);
        // The sums are not cleared: the first time, a task stores instead of adding, because
        // clearing the sums of wide layers would take longer than adding to them.
        let sums = (0..tasks).map(|_| Buffer::get(len)).collect();
        let width = pack::total_width(&blocks, isa.lanes());
        let floats = pitch(isa, s.c_in) + width;
        let weights = POINTS * s.c_in * width;
        let bundle = bundle(&tiling, floats, weights, MOST_GRADIENT, s.n, tasks);
        Some(Self {
            isa,
            program,
            tiling,
            blocks,
            sums,
            bundle,
        })
    }

    /// Where each task adds.
    pub fn targets(&mut self) -> Vec<Shared> {
        self.sums.iter_mut().map(|sum| Shared::write(sum)).collect()
    }

    /// Scratch for bundles of up to `images` images.
    pub fn scratch(&self, images: usize) -> Scratch {
        let rows = images * self.tiling.len();
        let width = pack::total_width(&self.blocks, self.isa.lanes());
        let x = point_stride(rows, pitch(self.isa, self.program.c_source));
        Scratch {
            x: Buffer::get(POINTS * x),
            dy: Buffer::get(POINTS * point_stride(rows, width)),
            has_added: false,
        }
    }

    /// Transforms x and dy of image `image` of a bundle of `images`.
    ///
    /// # Safety
    /// `x` is the program's padded image; `dy` the first pixel of an output image whose rows
    /// are `dy_row` floats apart; both valid for two vectors past their end.
    pub unsafe fn input(
        &self,
        scratch: &mut Scratch,
        images: usize,
        image: usize,
        x: *const f32,
        dy: *const f32,
        dy_row: usize,
    ) {
        let rows = images * self.tiling.len();
        let (tiling, c) = (&self.tiling, self.program.c_source);
        let pitch = pitch(self.isa, c);
        // SAFETY: scratch is for that many images; windows lie inside the padded image.
        unsafe {
            let s = Source {
                pixels: x,
                row: self.program.grids[0].in_row,
                c,
            };
            let to = Place {
                images,
                image,
                pitch,
                stride: point_stride(rows, pitch),
            };
            transform::input_image(self.isa, tiling, s, to, scratch.x.as_mut_ptr());
            let width = pack::total_width(&self.blocks, self.isa.lanes());
            let s = Source {
                pixels: dy,
                row: dy_row,
                c: self.program.c_output,
            };
            let to = Place {
                images,
                image,
                pitch: 0,
                stride: point_stride(rows, width),
            };
            let out = scratch.dy.as_mut_ptr();
            transform::gradient_image(self.isa, tiling, &self.blocks, s, to, out);
        }
    }

    /// Adds the sums over a bundle of images that have been transformed, and fetches what the
    /// caller needs next.
    ///
    /// # Safety
    /// `target` is one of [`Self::targets`] that no other thread uses, and the same for all
    /// calls with this scratch.
    pub unsafe fn add(&self, scratch: &mut Scratch, images: usize, target: Shared, ahead: &Ahead) {
        let job = Job {
            tiling: &self.tiling,
            blocks: &self.blocks,
            images,
            c: self.program.c_source,
            pitch: pitch(self.isa, self.program.c_source),
            width: pack::total_width(&self.blocks, self.isa.lanes()),
            x: scratch.x.as_ptr(),
            dy: scratch.dy.as_ptr(),
            is_first: !std::mem::replace(&mut scratch.has_added, true),
        };
        // SAFETY: scratch and sums have the sizes of this very tiling.
        unsafe { multiply(self.isa, &job, target.ptr(), ahead) }
    }

    /// dw from the sums of all tasks, in order.
    pub fn finish(self, dw: &mut [f32]) {
        let layout = Layout {
            c_source: self.program.c_source,
            c_output: self.program.c_output,
            direction: Direction::Forward,
        };
        weights::from_points(self.isa, layout, &self.blocks, &self.sums, dw);
    }
}

/// What the products of a bundle of images need.
struct Job<'a> {
    tiling: &'a Tiling,
    blocks: &'a [Block],
    images: usize,
    c: usize,
    pitch: usize,
    /// Channels of all blocks together, with padding.
    width: usize,
    x: *const f32,
    dy: *const f32,
    /// True if the sums hold nothing yet.
    is_first: bool,
}

/// Adds the products of `R` source channels and `K` vectors (and, if `H`, half a vector) of
/// output channels over `n` tiles; stores them if nothing was added before.
#[inline(always)]
unsafe fn tile<V: Simd, const R: usize, const K: usize, const H: bool>(
    n: usize,
    pitch: usize,
    mut x: *const f32,
    mut dy: *const f32,
    sum: *mut f32,
    is_first: bool,
) {
    // SAFETY: the contract of `multiply`.
    unsafe {
        let width = K * V::LANES + if H { V::Half::LANES } else { 0 };
        let mut acc = [[V::zero(); K]; R];
        let mut half = [V::Half::zero(); R];
        for _ in 0..n {
            let mut d = [V::zero(); K];
            for k in 0..K {
                d[k] = V::load(dy.add(k * V::LANES));
            }
            let dh = if H {
                V::Half::load(dy.add(K * V::LANES))
            } else {
                V::Half::zero()
            };
            unrolled!(r < R {
                if K > 0 {
                    let x = V::splat(*x.add(r));
                    for k in 0..K {
                        acc[r][k] = V::fma(x, d[k], acc[r][k]);
                    }
                }
                if H {
                    half[r] = V::Half::fma(V::Half::splat(*x.add(r)), dh, half[r]);
                }
            });
            x = x.wrapping_add(pitch);
            dy = dy.wrapping_add(width);
        }
        unrolled!(r < R {
            for k in 0..K {
                let to = sum.add(r * width + k * V::LANES);
                let before = if is_first { V::zero() } else { V::load(to) };
                V::store(to, V::add(before, acc[r][k]));
            }
            if H {
                let to = sum.add(r * width + K * V::LANES);
                let before = if is_first {
                    V::Half::zero()
                } else {
                    V::Half::load(to)
                };
                V::Half::store(to, V::Half::add(before, half[r]));
            }
        });
    }
}

#[inline(always)]
unsafe fn multiply_body<V: Simd>(job: &Job<'_>, sums: *mut f32, ahead: &Ahead) {
    // SAFETY: the caller's contract.
    unsafe {
        let rows = job.images * job.tiling.len();
        let x_stride = point_stride(rows, job.pitch);
        let dy_stride = point_stride(rows, job.width);
        for p in 0..POINTS {
            ahead.fetch::<V>(p, POINTS);
            let range = job.tiling.rows(job.images, p);
            let n = range.len();
            // Without rows there is nothing to add, but zeros must be stored the first time.
            if n == 0 && !job.is_first {
                continue;
            }
            let x = job.x.add(p * x_stride + range.start * job.pitch);
            let mut first = 0;
            let mut sums = sums;
            for block in job.blocks {
                let width = block.width(V::LANES);
                let dy = job
                    .dy
                    .add(p * dy_stride + first * rows + range.start * width);
                let stride = weight_stride(job.c, width);
                let sum = sums.add(p * stride);
                sums = sums.add(POINTS * stride);
                let narrow = block.full + usize::from(block.half) == 1;
                let max = V::PRODUCT_ROWS * if narrow && V::PRODUCT_ROWS < 14 { 2 } else { 1 };
                let parts = job.c.div_ceil(max);
                let (len, extra) = (job.c / parts, job.c % parts);
                let mut r = 0;
                for part in 0..parts {
                    let channels = len + usize::from(part < extra);
                    let (x, sum) = (x.add(r), sum.add(r * width));
                    // The sums of wide layers lie in the last-level cache. Those of the next part
                    // are fetched while this part is computed.
                    let next = sum.wrapping_add(channels * width);
                    fetch_to_write::<V>(next, channels * width);
                    macro_rules! go {
                        ($r:literal, $k:literal, $h:literal) => {
                            tile::<V, $r, $k, $h>(n, job.pitch, x, dy, sum, job.is_first)
                        };
                    }
                    macro_rules! select {
                        ($($both:literal)*; $($more:literal)*) => {
                            match (channels, block.full, V::HAS_HALF && block.half) {
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
                    r += channels;
                }
                first += width;
            }
        }
    }
}
dispatch! {
    /// Adds the products of all points of a bundle of images.
    ///
    /// # Safety
    /// The machine has `isa`, and the blocks were made for its lanes; all pointers are valid
    /// for what `Job` says; `sums` for the points of all weights.
    fn multiply / multiply_body(job: &Job<'_>, sums: *mut f32, ahead: &Ahead)
}
