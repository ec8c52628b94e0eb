//! Direct convolution of one image or band: packed weights and the tiles that read them.

use super::across;
use super::gradient_tile::{self, GradientJob};
use super::pack::{self, Block, Strides};
use super::program::{Grid, Program};
use super::shape::ConvShape;
use super::tile::{self, Job, Tile};
use crate::activation::Limits;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::parallel::Shared;
use crate::simd::Simd;

/// Sizes of the tiles of a level: the longest strip, and the pixels of a tile that has two
/// vectors.
fn tile_sizes(isa: Isa) -> (usize, usize) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => (crate::simd::Avx512::MAX_RUN, crate::simd::Avx512::TILE),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => (crate::simd::Avx2::MAX_RUN, crate::simd::Avx2::TILE),
        _ => (crate::simd::Portable::MAX_RUN, crate::simd::Portable::TILE),
    }
}

/// A program with packed weights, and with its grids cut into tiles.
pub(crate) struct Prepared {
    pub isa: Isa,
    pub program: Program,
    blocks: Vec<Block>,
    tiles: Vec<[Vec<Tile>; 2]>,
    /// Offsets of the grids in the packed weights.
    offsets: Vec<usize>,
    /// Kernel positions.
    taps: usize,
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
        let (weights, offsets) = Self::pack(isa, &program, strides, w);
        let bias = bias.map(pack::with_slack);
        let blocks = pack::blocks(program.c_output, isa);
        let tiles = Self::tiles(isa, &program);
        Self {
            isa,
            program,
            blocks,
            tiles,
            offsets,
            taps: strides.taps,
            weights,
            bias,
            limits,
        }
    }

    /// The packed weights of all grids, and where those of each begin.
    fn pack(isa: Isa, program: &Program, strides: Strides, w: &[f32]) -> (Buffer, Vec<usize>) {
        if program.shares_weights {
            let taps: Vec<usize> = (0..strides.taps).collect();
            let mut weights = Buffer::get(pack::packed_len(program, &taps, isa));
            pack::pack(program, &taps, strides, isa, w, &mut weights);
            return (weights, vec![0; program.grids.len()]);
        }
        let mut offsets = Vec::with_capacity(program.grids.len());
        let mut total = 0;
        for grid in &program.grids {
            offsets.push(total);
            total += pack::packed_len(program, &grid.taps, isa);
        }
        let mut weights = Buffer::get(total);
        for (grid, &at) in program.grids.iter().zip(&offsets) {
            pack::pack(program, &grid.taps, strides, isa, w, &mut weights[at..]);
        }
        (weights, offsets)
    }

    /// The tiles of all grids, for blocks with one and with two vectors.
    pub(super) fn tiles(isa: Isa, program: &Program) -> Vec<[Vec<Tile>; 2]> {
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

    /// Computes `images` images side by side, with a program of [`super::across`].
    ///
    /// # Safety
    /// As [`Self::image`], for so many padded and output images behind each other.
    pub unsafe fn across(&self, images: usize, input: *const f32, output: *mut f32) {
        let program = across::of_images(&self.program, images);
        let tiles = Self::tiles(self.isa, &program);
        // SAFETY: the caller's contract.
        unsafe { self.image_with(&program, &tiles, input, output) }
    }

    /// As [`Self::image`], with a program (and its tiles) for another number of rows.
    ///
    /// # Safety
    /// As [`Self::image`].
    pub(super) unsafe fn image_with(
        &self,
        program: &Program,
        tiles: &[[Vec<Tile>; 2]],
        input: *const f32,
        output: *mut f32,
    ) {
        for (i, grid) in program.grids.iter().enumerate() {
            let job = Job {
                tiles: &tiles[i],
                blocks: &self.blocks,
                runs: &grid.runs,
                first_rows: &grid.first_rows,
                run_len: grid.run_len,
                rows: match program.shares_weights {
                    true => self.taps * program.c_source,
                    false => grid.runs.len() * grid.run_len,
                },
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
            unsafe { tile::image(self.isa, &job, input, output) }
        }
    }
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
        let len = pack::packed_len(&program, &program.grids[0].taps, isa);
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

    /// Adds the gradient of output rows of a grid, given as offsets in the padded image and in dy.
    ///
    /// # Safety
    /// As [`gradient_tile::gradient`], for a grid of this convolution, with `dw` one of
    /// [`Self::targets`] that no other thread uses.
    pub unsafe fn add(
        &self,
        grid: &Grid,
        rows: &[[usize; 2]],
        cols: usize,
        dy_col: usize,
        x: *const f32,
        dy: *const f32,
        dw: Shared,
    ) {
        let job = GradientJob {
            blocks: &self.blocks,
            runs: &grid.runs,
            run_len: grid.run_len,
            first_rows: &grid.first_rows,
            rows: self.strides.taps * self.program.c_source,
            groups: self.program.groups,
            c_source: self.program.c_source,
            c_output: self.program.c_output,
            cols,
            x_col: grid.in_col,
            dy_col,
        };
        // SAFETY: the caller's contract; `isa` came from `isa::active`.
        unsafe { gradient_tile::gradient(self.isa, &job, rows, x, dy, dw.ptr()) }
    }

    /// The sum over tasks, in order, in the ONNX layout.
    pub fn finish(self, dw: &mut [f32]) {
        let taps = &self.program.grids[0].taps;
        pack::unpack(&self.program, taps, self.strides, self.isa, &self.sums, dw);
    }
}
