//! Depthwise convolution: every channel has a kernel of its own.
//!
//! Nothing is summed over channels, so vectors of channels stay vectors: a pixel takes one
//! multiply-add of a vector for each tap. Loading the pixels limits the speed, not arithmetic.

use super::pack;
use super::program::Program;
use super::shape::ConvShape;
use crate::activation::Limits;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::parallel::Shared;
use crate::simd::{SLACK, Simd, dispatch};

/// True if every group has one input and one output channel.
pub(crate) fn supports(s: &ConvShape) -> bool {
    s.groups == s.c_in && s.groups == s.c_out
}

/// A convolution or an input gradient; both are sums over taps of shifted images.
pub(crate) struct Prepared {
    pub isa: Isa,
    pub program: Program,
    /// For each grid: `[tap][channel, padded]`.
    weights: Vec<Buffer>,
    bias: Option<Buffer>,
    limits: Limits,
}

/// Floats of the weights of one tap.
fn pitch(c: usize) -> usize {
    c + SLACK
}

impl Prepared {
    /// `w` is `[c, 1, kh, kw]`.
    pub fn new(
        isa: Isa,
        program: Program,
        w: &[f32],
        bias: Option<&[f32]>,
        limits: Limits,
    ) -> Self {
        let c = program.groups;
        let taps = w.len() / c;
        let weights = program.grids.iter().map(|grid| {
            let mut packed = Buffer::zeroed(grid.taps.len() * pitch(c));
            for (to, &tap) in packed.chunks_exact_mut(pitch(c)).zip(&grid.taps) {
                for (channel, to) in to[..c].iter_mut().enumerate() {
                    *to = w[channel * taps + tap];
                }
            }
            packed
        });
        let weights = weights.collect();
        let bias = bias.map(pack::with_slack);
        Self {
            isa,
            program,
            weights,
            bias,
            limits,
        }
    }

    /// Computes one image.
    ///
    /// # Safety
    /// `padded` is the program's padded image and valid for [`SLACK`] floats past it; `output`
    /// is valid for an output image.
    pub unsafe fn image(&self, padded: *const f32, output: *mut f32) {
        for (grid, weights) in self.program.grids.iter().zip(&self.weights) {
            let job = Job {
                c: self.program.groups,
                rows: grid.rows,
                cols: grid.cols,
                in_row: grid.in_row,
                in_col: grid.in_col,
                out_row: grid.out_row,
                out_col: grid.out_col,
                taps: &grid.runs,
                weights: weights.as_ptr(),
                bias: self.bias.as_ref().map_or(std::ptr::null(), Buffer::as_ptr),
                limits: self.limits,
            };
            // SAFETY: all pixels and taps of a grid lie inside the images.
            unsafe {
                let (x, y) = (padded.add(grid.in_base), output.add(grid.out_base));
                image(self.isa, &job, x, y);
            }
        }
    }
}

/// What the loops over one grid need. Offsets and pitches count floats.
struct Job<'a> {
    c: usize,
    rows: usize,
    cols: usize,
    in_row: usize,
    in_col: usize,
    out_row: usize,
    out_col: usize,
    /// Offsets of the taps from the start of a pixel's window.
    taps: &'a [usize],
    weights: *const f32,
    bias: *const f32,
    limits: Limits,
}

/// Pixels whose sums stay in registers together.
const STRIP: usize = 8;

/// `S` neighbouring pixels, one vector of channels, of which `n` are stored.
#[inline(always)]
unsafe fn strip<V: Simd, const S: usize>(
    job: &Job<'_>,
    x: *const f32,
    y: *mut f32,
    c: usize,
    n: usize,
) {
    // SAFETY: the contract of `image`.
    unsafe {
        let start = if job.bias.is_null() {
            V::zero()
        } else {
            V::load(job.bias.add(c))
        };
        let mut acc = [start; S];
        let mut weights = job.weights.add(c);
        for &tap in job.taps {
            let w = V::load(weights);
            let x = x.add(tap);
            for s in 0..S {
                acc[s] = V::fma(V::load(x.add(s * job.in_col)), w, acc[s]);
            }
            weights = weights.wrapping_add(pitch(job.c));
        }
        for s in 0..S {
            V::store_up_to(y.add(s * job.out_col), job.limits.apply::<V>(acc[s]), n);
        }
    }
}

#[inline(always)]
unsafe fn row<V: Simd>(job: &Job<'_>, x: *const f32, y: *mut f32, c: usize, n: usize) {
    // SAFETY: the contract of `image`.
    unsafe {
        let mut col = 0;
        while col < job.cols {
            let (x, y) = (x.add(col * job.in_col), y.add(col * job.out_col));
            let left = job.cols - col;
            match left {
                1 => strip::<V, 1>(job, x, y, c, n),
                2 => strip::<V, 2>(job, x, y, c, n),
                3 => strip::<V, 3>(job, x, y, c, n),
                4 => strip::<V, 4>(job, x, y, c, n),
                5 => strip::<V, 5>(job, x, y, c, n),
                6 => strip::<V, 6>(job, x, y, c, n),
                7 => strip::<V, 7>(job, x, y, c, n),
                _ => strip::<V, STRIP>(job, x, y, c, n),
            }
            col += left.min(STRIP);
        }
    }
}

#[inline(always)]
unsafe fn image_body<V: Simd>(job: &Job<'_>, x: *const f32, y: *mut f32) {
    // SAFETY: the caller's contract.
    unsafe {
        for line in 0..job.rows {
            let (x, y) = (x.add(line * job.in_row), y.add(line * job.out_row));
            let mut c = 0;
            while c < job.c {
                let n = job.c - c;
                let (x, y) = (x.add(c), y.add(c));
                if V::HAS_HALF && n <= V::Half::LANES {
                    row::<V::Half>(job, x, y, c, n);
                } else {
                    row::<V>(job, x, y, c, n);
                }
                c += V::LANES;
            }
        }
    }
}
dispatch! {
    /// All pixels of a grid.
    ///
    /// # Safety
    /// The machine has `isa`; `x` is valid for all taps of all pixels and a vector past them,
    /// `y` for all pixels; weights and bias are padded.
    fn image / image_body(job: &Job<'_>, x: *const f32, y: *mut f32)
}

/// Sums of a weight gradient, `[tap][channel, padded]`, one per task.
pub(crate) struct GradientSums {
    pub isa: Isa,
    /// The forward program whose taps the gradient sums over.
    pub program: Program,
    sums: Vec<Buffer>,
}

impl GradientSums {
    pub fn new(isa: Isa, s: &ConvShape, tasks: usize) -> Self {
        let program = Program::forward(s, s.out_h());
        let len = program.grids[0].taps.len() * pitch(program.groups);
        Self {
            isa,
            program,
            sums: (0..tasks).map(|_| Buffer::zeroed(len)).collect(),
        }
    }

    /// Where each task adds.
    pub fn targets(&mut self) -> Vec<Shared> {
        self.sums.iter_mut().map(|sum| Shared::write(sum)).collect()
    }

    /// Adds the gradient of one image.
    ///
    /// # Safety
    /// `padded` is the program's padded image, `dy` an output image with rows `dy_row` floats
    /// apart, both valid for a vector past their end; `target` is one of [`Self::targets`]
    /// that no other thread uses.
    pub unsafe fn add(&self, padded: *const f32, dy: *const f32, dy_row: usize, target: Shared) {
        let grid = &self.program.grids[0];
        let job = Job {
            c: self.program.groups,
            rows: grid.rows,
            cols: grid.cols,
            in_row: grid.in_row,
            in_col: grid.in_col,
            out_row: dy_row,
            out_col: self.program.groups,
            taps: &grid.runs,
            weights: std::ptr::null(),
            bias: std::ptr::null(),
            limits: Limits::NONE,
        };
        // SAFETY: the caller's contract.
        unsafe { gradient(self.isa, &job, padded, dy, target.ptr()) }
    }

    /// The sum over tasks, in order, `[c, 1, kh, kw]`.
    pub fn finish(self, dw: &mut [f32]) {
        let c = self.program.groups;
        let taps = dw.len() / c;
        dw.fill(0.0);
        for sum in &self.sums {
            let grid = &self.program.grids[0];
            for (from, &tap) in sum.chunks_exact(pitch(c)).zip(&grid.taps) {
                for (channel, value) in from[..c].iter().enumerate() {
                    dw[channel * taps + tap] += value;
                }
            }
        }
    }
}

/// Taps whose sums stay in registers together.
const TAPS: usize = 9;

#[inline(always)]
unsafe fn gradient_taps<V: Simd, const T: usize>(
    job: &Job<'_>,
    taps: &[usize],
    x: *const f32,
    dy: *const f32,
    dw: *mut f32,
) {
    // SAFETY: the contract of `gradient`.
    unsafe {
        let mut acc = [V::zero(); T];
        let mut offsets = [0; T];
        offsets.copy_from_slice(&taps[..T]);
        for line in 0..job.rows {
            let mut p = x.add(line * job.in_row);
            let mut q = dy.add(line * job.out_row);
            for _ in 0..job.cols {
                let d = V::load(q);
                for t in 0..T {
                    acc[t] = V::fma(V::load(p.add(offsets[t])), d, acc[t]);
                }
                p = p.wrapping_add(job.in_col);
                q = q.wrapping_add(job.out_col);
            }
        }
        for t in 0..T {
            let to = dw.add(t * pitch(job.c));
            V::store(to, V::add(V::load(to), acc[t]));
        }
    }
}

#[inline(always)]
unsafe fn gradient_vector<V: Simd>(job: &Job<'_>, x: *const f32, dy: *const f32, dw: *mut f32) {
    // SAFETY: the contract of `gradient`.
    unsafe {
        let mut dw = dw;
        for taps in job.taps.chunks(TAPS) {
            match taps.len() {
                1 => gradient_taps::<V, 1>(job, taps, x, dy, dw),
                2 => gradient_taps::<V, 2>(job, taps, x, dy, dw),
                3 => gradient_taps::<V, 3>(job, taps, x, dy, dw),
                4 => gradient_taps::<V, 4>(job, taps, x, dy, dw),
                5 => gradient_taps::<V, 5>(job, taps, x, dy, dw),
                6 => gradient_taps::<V, 6>(job, taps, x, dy, dw),
                7 => gradient_taps::<V, 7>(job, taps, x, dy, dw),
                8 => gradient_taps::<V, 8>(job, taps, x, dy, dw),
                _ => gradient_taps::<V, TAPS>(job, taps, x, dy, dw),
            }
            dw = dw.wrapping_add(taps.len() * pitch(job.c));
        }
    }
}

#[inline(always)]
unsafe fn gradient_body<V: Simd>(job: &Job<'_>, x: *const f32, dy: *const f32, dw: *mut f32) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut c = 0;
        while c < job.c {
            let (x, dy, dw) = (x.add(c), dy.add(c), dw.add(c));
            if V::HAS_HALF && job.c - c <= V::Half::LANES {
                gradient_vector::<V::Half>(job, x, dy, dw);
            } else {
                gradient_vector::<V>(job, x, dy, dw);
            }
            c += V::LANES;
        }
    }
}
dispatch! {
    /// Adds the weight gradient of an image.
    ///
    /// # Safety
    /// The machine has `isa`; `x` is valid for all taps of all pixels, `dy` for all pixels,
    /// both for a vector past them; `dw` is padded.
    fn gradient / gradient_body(job: &Job<'_>, x: *const f32, dy: *const f32, dw: *mut f32)
}
