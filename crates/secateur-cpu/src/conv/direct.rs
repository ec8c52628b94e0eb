//! Direct convolution of whole batches: packing, padding, tiles, threads.

use super::Limits;
use super::engine::{Engine, Gradient as ImageGradient, Images, OutputGradients};
use super::method::{Method, method};
use super::pack::{self, Block, Strides};
use super::pad;
use super::program::Program;
use super::shape::ConvShape;
use super::tile::{self, Gradient, Layer, Tile};
use crate::ahead::Ahead;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::parallel::{self, Shared};
use crate::simd::Simd;

/// Floats read past the end of a pixel by full vectors: two of the widest.
pub(crate) const SLACK: usize = 32;
/// Floats of a padded band that stay in the second-level cache beside its outputs.
const BAND: usize = 64 * 1024;
/// Multiply-adds below which a band is not worth a thread.
const SMALL: u64 = 100_000;

/// Tile sizes of a level: longest strip, pixels of a tile with two vectors.
fn tile_sizes(isa: Isa) -> (usize, usize) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => (crate::simd::Avx512::MAX_RUN, crate::simd::Avx512::TILE),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => (crate::simd::Avx2::MAX_RUN, crate::simd::Avx2::TILE),
        _ => (crate::simd::Portable::MAX_RUN, crate::simd::Portable::TILE),
    }
}

/// A program with its weights packed and its tiles cut.
pub(crate) struct Prepared {
    pub isa: Isa,
    pub program: Program,
    blocks: Vec<Block>,
    tiles: Vec<[Vec<Tile>; 2]>,
    /// Offsets of the grids in the packed weights.
    offsets: Vec<usize>,
    weights: Buffer,
    bias: Option<Buffer>,
    limits: Limits,
}

impl Prepared {
    pub fn new(
        isa: Isa,
        program: Program,
        strides: Strides,
        w: &[f32],
        bias: Option<&[f32]>,
        limits: Limits,
    ) -> Self {
        let mut offsets = Vec::with_capacity(program.grids.len());
        let mut total = 0;
        for grid in &program.grids {
            offsets.push(total);
            total += pack::packed_len(&program, grid, isa);
        }
        let mut weights = Buffer::get(total);
        for (grid, &at) in program.grids.iter().zip(&offsets) {
            pack::pack(&program, grid, strides, isa, w, &mut weights[at..]);
        }
        let bias = bias.map(|bias| {
            let mut padded = Buffer::zeroed(bias.len() + SLACK);
            padded[..bias.len()].copy_from_slice(bias);
            padded
        });
        let blocks = pack::blocks(program.c_output, isa);
        let tiles = Self::tiles(isa, &program);
        Self {
            isa,
            program,
            blocks,
            tiles,
            offsets,
            weights,
            bias,
            limits,
        }
    }

    fn tiles(isa: Isa, program: &Program) -> Vec<[Vec<Tile>; 2]> {
        let (max_run, capacity) = tile_sizes(isa);
        program
            .grids
            .iter()
            .map(|grid| tile::tiles(grid, max_run, capacity))
            .collect()
    }

    /// Computes one image or band.
    ///
    /// # Safety
    /// `input` is valid for the program's padded image, or is the source itself if the
    /// program reads in place; `output` is valid for all pixels of its grids.
    pub unsafe fn image(&self, input: *const f32, output: *mut f32) {
        // SAFETY: `isa` came from `isa::active`; the rest is the caller's contract.
        unsafe { self.image_with(&self.program, &self.tiles, input, output) }
    }

    /// As [`Self::image`] for a program that differs in its rows only.
    unsafe fn image_with(
        &self,
        program: &Program,
        tiles: &[[Vec<Tile>; 2]],
        input: *const f32,
        output: *mut f32,
    ) {
        for (i, grid) in program.grids.iter().enumerate() {
            let layer = Layer {
                tiles: &tiles[i],
                blocks: &self.blocks,
                runs: &grid.runs,
                run_len: grid.run_len,
                in_col: grid.in_col,
                out_col: grid.out_col,
                groups: program.groups,
                c_source: program.c_source,
                c_output: program.c_output,
                weights: self.weights[self.offsets[i]..].as_ptr(),
                bias: self.bias.as_ref().map_or(std::ptr::null(), Buffer::as_ptr),
                limits: self.limits,
            };
            // SAFETY: as above; weights and bias were packed for this program.
            unsafe { tile::image(self.isa, &layer, input, output) }
        }
    }
}

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

/// A pointwise convolution sees one long column of pixels.
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

/// Threads that one image must be divided over before bands pay: what Winograd gains.
const THREADS_PER_IMAGE: usize = 3;

/// True for methods that compute whole images; the others can cut them into bands.
fn works_on_images(method: Method) -> bool {
    matches!(method, Method::Winograd4 | Method::Depthwise)
}

/// y = limit( conv(x, w) + bias). Lengths have been checked.
pub(crate) fn forward(
    isa: Isa,
    s: &ConvShape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    limits: Limits,
    y: &mut [f32],
) {
    let method = method(s);
    // Bands keep more threads busy than images do, which outweighs the multiplications.
    let few = s.n * THREADS_PER_IMAGE < parallel::threads() && method == Method::Winograd4;
    if works_on_images(method) && !few {
        let engine = Engine::forward(isa, method, s, parallel::threads(), w, bias, limits);
        run_images(&engine, s.n, x, y);
        return;
    }
    let s = &flattened(s);
    let rows = band_rows(s);
    let program = Program::forward(s, rows);
    let strides = Strides::forward(&program, s.kernel_size[0] * s.kernel_size[1]);
    run_bands(isa, s, rows, strides, x, w, bias, limits, y);
}

fn run_bands(
    isa: Isa,
    s: &ConvShape,
    rows: usize,
    strides: Strides,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    limits: Limits,
    y: &mut [f32],
) {
    let oh = s.out_h();
    let bands = oh.div_ceil(rows);
    let last_rows = oh - (bands - 1) * rows;
    let prepared = Prepared::new(isa, Program::forward(s, rows), strides, w, bias, limits);
    let last = Program::forward(s, last_rows);
    let last_tiles = Prepared::tiles(isa, &last);
    let in_place = prepared.program.in_place;
    let (x, y) = (Shared::read(x), Shared::write(y));
    parallel::dynamic(s.n * bands, |queue| {
        let mut padded = (!in_place).then(|| Buffer::get(prepared.program.padded_len()));
        for unit in queue {
            let (image, band) = (unit / bands, unit % bands);
            let (program, tiles) = if band + 1 == bands {
                (&last, &last_tiles)
            } else {
                (&prepared.program, &prepared.tiles)
            };
            let y0 = band * rows;
            // SAFETY: image and band are inside the checked slices; bands write different
            // rows. Padded scratch has the size of the larger program.
            unsafe {
                let image_x = x.ptr().add(image * s.h * s.w * s.c_in);
                let to = y.ptr().add((image * oh + y0) * s.out_w() * s.c_out);
                let from = match &mut padded {
                    None => image_x.add(y0 * s.stride[0] * s.w * s.c_in).cast_const(),
                    Some(scratch) => {
                        let mut p = program.padding;
                        p.top -= (y0 * s.stride[0]) as isize;
                        pad::pad_image(image_x, program.source, p, scratch.as_mut_ptr());
                        scratch.as_ptr()
                    }
                };
                prepared.image_with(program, tiles, from, to);
            }
        }
    });
}

/// dx of a convolution. Lengths have been checked.
pub(crate) fn input_gradient(isa: Isa, s: &ConvShape, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    if s.is_pointwise() {
        // The transposed map, forwards.
        let back = flattened(&ConvShape {
            c_in: s.c_out,
            c_out: s.c_in,
            ..*s
        });
        let rows = band_rows(&back);
        let program = Program::forward(&back, rows);
        let strides = Strides::transposed(&program, 1);
        run_bands(isa, &back, rows, strides, dy, w, None, Limits::NONE, dx);
        return;
    }
    let engine = Engine::back(isa, method(s), s, parallel::threads(), w);
    run_images(&engine, s.n, dy, dx);
}

/// Computes `n` images on all threads.
fn run_images(engine: &Engine, n: usize, x: &[f32], y: &mut [f32]) {
    let group = engine.group();
    let (source, target) = (x.len() / n, y.len() / n);
    let (x, y) = (Shared::read(x), Shared::write(y));
    parallel::dynamic(n.div_ceil(group), |queue| {
        let mut scratch = engine.scratch(group);
        for unit in queue {
            let first = unit * group;
            let images = group.min(n - first);
            // SAFETY: images are inside the checked slices and each is written once.
            unsafe {
                let (x, y) = (x.ptr().add(first * source), y.ptr().add(first * target));
                engine.images(&mut scratch, images, Images::new(x), y, &Ahead::OUTPUT);
            }
        }
    });
}

/// Sums of a weight gradient, one per task, in packed layout.
pub(crate) struct GradientSums {
    pub isa: Isa,
    /// The forward program whose windows the gradient sums over.
    pub program: Program,
    blocks: Vec<Block>,
    strides: Strides,
    sums: Vec<Buffer>,
}

impl GradientSums {
    /// Zero sums for `tasks` tasks over bands of `rows` output rows.
    pub fn new(isa: Isa, s: &ConvShape, rows: usize, tasks: usize) -> Self {
        let program = Program::forward(s, rows);
        let strides = Strides::forward(&program, s.kernel_size[0] * s.kernel_size[1]);
        let len = pack::packed_len(&program, &program.grids[0], isa);
        let blocks = pack::blocks(program.c_output, isa);
        let sums = (0..tasks).map(|_| Buffer::zeroed(len)).collect();
        Self {
            isa,
            program,
            blocks,
            strides,
            sums,
        }
    }

    /// Where each task adds.
    pub fn targets(&mut self) -> Vec<Shared> {
        self.sums.iter_mut().map(|sum| Shared::write(sum)).collect()
    }

    /// Adds the gradient of output rows, given as offsets in the padded image and in dy.
    ///
    /// # Safety
    /// As [`tile::gradient`], with `dw` one of [`Self::targets`] that no other thread uses.
    pub unsafe fn add(
        &self,
        rows: &[[usize; 2]],
        cols: usize,
        dy_col: usize,
        x: *const f32,
        dy: *const f32,
        dw: Shared,
    ) {
        let grid = &self.program.grids[0];
        let gradient = Gradient {
            blocks: &self.blocks,
            runs: &grid.runs,
            run_len: grid.run_len,
            groups: self.program.groups,
            c_source: self.program.c_source,
            c_output: self.program.c_output,
            cols,
            x_col: grid.in_col,
            dy_col,
        };
        // SAFETY: the caller's contract; `isa` came from `isa::active`.
        unsafe { tile::gradient(self.isa, &gradient, rows, x, dy, dw.ptr()) }
    }

    /// The sum over tasks, in order, in the ONNX layout.
    pub fn finish(self, dw: &mut [f32]) {
        dw.fill(0.0);
        let grid = &self.program.grids[0];
        for sum in &self.sums {
            pack::unpack_add(&self.program, grid, self.strides, self.isa, sum, dw);
        }
    }
}

/// Pixels whose windows and gradients are summed before the next rows of weights.
const GRADIENT_PIXELS: usize = 256;

/// dw of a convolution. Lengths have been checked.
pub(crate) fn weight_gradient(isa: Isa, s: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    if works_on_images(method(s)) {
        weight_gradient_of_images(isa, s, x, dy, dw);
        return;
    }
    let s = &flattened(s);
    let (oh, ow) = (s.out_h(), s.out_w());
    let rows = band_rows(s);
    let bands = oh.div_ceil(rows);
    let units = s.n * bands;
    let mut sums = GradientSums::new(isa, s, rows, parallel::n_tasks(units));
    let targets = sums.targets();
    let sums_ref = &sums;
    let program = &sums.program;
    let in_place = program.in_place;
    let (x, dy) = (Shared::read(x), Shared::read(dy));
    parallel::fixed(units, |task, range| {
        let mut padded = (!in_place).then(|| Buffer::get(program.padded_len()));
        let mut gradient = Buffer::zeroed(rows * ow * s.c_out + SLACK);
        for unit in range {
            let (image, band) = (unit / bands, unit % bands);
            let y0 = band * rows;
            let n_rows = rows.min(oh - y0);
            // SAFETY: image and band are inside the checked slices; scratch holds a band of
            // `rows` rows and the slack that full vectors read.
            unsafe {
                let image_x = x.ptr().add(image * s.h * s.w * s.c_in);
                let from = dy.ptr().add((image * oh + y0) * ow * s.c_out);
                gradient
                    .as_mut_ptr()
                    .copy_from_nonoverlapping(from, n_rows * ow * s.c_out);
                let window = match &mut padded {
                    None => image_x.add(y0 * s.stride[0] * s.w * s.c_in).cast_const(),
                    Some(scratch) => {
                        let mut p = program.padding;
                        p.top -= (y0 * s.stride[0]) as isize;
                        pad::pad_image(image_x, program.source, p, scratch.as_mut_ptr());
                        scratch.as_ptr()
                    }
                };
                let grid = &program.grids[0];
                let dy_col = s.c_out;
                if grid.in_row == ow * grid.in_col {
                    // Rows without gaps are one long row.
                    let pixels = n_rows * ow;
                    for p in (0..pixels).step_by(GRADIENT_PIXELS) {
                        let cols = GRADIENT_PIXELS.min(pixels - p);
                        let row = [[p * grid.in_col, p * dy_col]];
                        let dy = gradient.as_ptr();
                        sums_ref.add(&row, cols, dy_col, window, dy, targets[task]);
                    }
                } else {
                    let list: Vec<[usize; 2]> = (0..n_rows)
                        .map(|y| [y * grid.in_row, y * ow * dy_col])
                        .collect();
                    for part in list.chunks((GRADIENT_PIXELS / ow).max(1)) {
                        let dy = gradient.as_ptr();
                        sums_ref.add(part, ow, dy_col, window, dy, targets[task]);
                    }
                }
            }
        }
    });
    sums.finish(dw);
}

fn weight_gradient_of_images(isa: Isa, s: &ConvShape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let mut sums = ImageGradient::new(isa, method(s), s, parallel::n_tasks(s.n));
    let targets = sums.targets();
    let sums_ref = &sums;
    let (x_len, dy_len) = (x.len() / s.n, dy.len() / s.n);
    let row = s.out_w() * s.c_out;
    let (x, dy) = (Shared::read(x), Shared::read(dy));
    parallel::fixed(s.n, |task, range| {
        let group = sums_ref.group();
        let mut scratch = sums_ref.scratch(group, false);
        // With slack, which dy itself does not have.
        let mut gradient = Buffer::zeroed(group * dy_len + SLACK);
        for first in range.clone().step_by(group) {
            let images = group.min(range.end - first);
            // SAFETY: images are inside the checked slices; the target is this task's.
            unsafe {
                let from = dy.ptr().add(first * dy_len);
                gradient
                    .as_mut_ptr()
                    .copy_from_nonoverlapping(from, images * dy_len);
                let dy = OutputGradients {
                    first: gradient.as_ptr(),
                    row,
                    image: dy_len,
                };
                let x = x.ptr().add(first * x_len);
                sums_ref.add(
                    &mut scratch,
                    images,
                    Images::new(x),
                    dy,
                    targets[task],
                    &Ahead::NONE,
                );
            }
        }
    });
    sums.finish(dw);
}
