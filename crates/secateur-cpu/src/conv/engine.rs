//! A convolution prepared for images, whichever method computes it.

use super::Limits;
use super::depthwise;
use super::direct::{self, SLACK};
use super::method::Method;
use super::pack::Strides;
use super::pad;
use super::program::Program;
use super::shape::ConvShape;
use super::winograd::{self, Direction};
use crate::ahead::Ahead;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::norm::passes::Affine;
use crate::parallel::Shared;

/// Computes output images from input images, or input gradients from output gradients.
pub(crate) enum Engine {
    Direct(direct::Prepared),
    Depthwise(depthwise::Prepared),
    Winograd(winograd::Prepared),
}

/// Memory of one task.
pub(crate) struct Scratch {
    padded: Buffer,
    winograd: Option<winograd::Scratch>,
}

/// Source images that lie behind each other.
#[derive(Clone, Copy)]
pub(crate) struct Images {
    first: *const f32,
    /// A batch norm and activation that are still to be applied to them.
    pending: Option<Affine>,
}

impl Images {
    pub fn new(first: *const f32) -> Self {
        Self {
            first,
            pending: None,
        }
    }

    pub fn pending(first: *const f32, pending: Option<Affine>) -> Self {
        Self { first, pending }
    }

    /// Lays image `i` into padded scratch, whose border is zero.
    ///
    /// # Safety
    /// As [`pad::place_image`] and [`pad::place_normalised`]; valid up to that image.
    #[inline]
    unsafe fn place(&self, isa: Isa, p: &Program, i: usize, to: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            let image = self.first.add(i * p.source_len());
            match &self.pending {
                None => pad::place_image(isa, image, p.source, p.padding, to),
                Some(affine) => {
                    pad::place_normalised(isa, image, p.source, p.padding, affine, to);
                }
            }
        }
    }
}

impl Engine {
    /// The forward pass of whole images.
    pub fn forward(
        isa: Isa,
        method: Method,
        s: &ConvShape,
        threads: usize,
        w: &[f32],
        bias: Option<&[f32]>,
        limits: Limits,
    ) -> Self {
        let program = Program::forward(s, s.out_h());
        if method == Method::Depthwise {
            return Self::Depthwise(depthwise::Prepared::new(isa, program, w, bias, limits));
        }
        if method == Method::Winograd4 {
            let direction = Direction::Forward;
            let p = program.clone();
            let made = winograd::Prepared::new(isa, p, direction, s.n, threads, w, bias, limits);
            if let Some(prepared) = made {
                return Self::Winograd(prepared);
            }
        }
        let strides = Strides::forward(&program, s.kernel_size[0] * s.kernel_size[1]);
        Self::Direct(direct::Prepared::new(
            isa, program, strides, w, bias, limits,
        ))
    }

    /// The input gradient of whole images.
    pub fn back(isa: Isa, method: Method, s: &ConvShape, threads: usize, w: &[f32]) -> Self {
        let (program, limits) = (Program::input_gradient(s), Limits::NONE);
        if method == Method::Depthwise {
            return Self::Depthwise(depthwise::Prepared::new(isa, program, w, None, limits));
        }
        if method == Method::Winograd4 {
            let direction = Direction::Back;
            let p = program.clone();
            let made = winograd::Prepared::new(isa, p, direction, s.n, threads, w, None, limits);
            if let Some(prepared) = made {
                return Self::Winograd(prepared);
            }
        }
        let strides = Strides::transposed(&program, s.kernel_size[0] * s.kernel_size[1]);
        Self::Direct(direct::Prepared::new(
            isa, program, strides, w, None, limits,
        ))
    }

    pub fn program(&self) -> &Program {
        match self {
            Self::Direct(prepared) => &prepared.program,
            Self::Depthwise(prepared) => &prepared.program,
            Self::Winograd(prepared) => &prepared.program,
        }
    }

    fn isa(&self) -> Isa {
        match self {
            Self::Direct(prepared) => prepared.isa,
            Self::Depthwise(prepared) => prepared.isa,
            Self::Winograd(prepared) => prepared.isa,
        }
    }

    /// Images that are best computed together.
    pub fn group(&self) -> usize {
        match self {
            Self::Direct(_) | Self::Depthwise(_) => 1,
            Self::Winograd(prepared) => prepared.group,
        }
    }

    /// Scratch for calls with up to `images` images.
    pub fn scratch(&self, images: usize) -> Scratch {
        Scratch {
            padded: Buffer::zeroed(self.program().padded_len() + SLACK),
            winograd: match self {
                Self::Direct(_) | Self::Depthwise(_) => None,
                Self::Winograd(prepared) => Some(prepared.scratch(images)),
            },
        }
    }

    /// Computes `images` images that lie behind each other. `ahead` is what the caller needs
    /// next.
    ///
    /// # Safety
    /// `x` and `y` are valid for that many images; `scratch` is this engine's.
    pub unsafe fn images(
        &self,
        scratch: &mut Scratch,
        images: usize,
        x: Images,
        y: *mut f32,
        ahead: &Ahead,
    ) {
        let (isa, p) = (self.isa(), self.program());
        let padded = scratch.padded.as_mut_ptr();
        // SAFETY: the caller's contract; scratch holds a padded image and slack.
        unsafe {
            match (self, &mut scratch.winograd) {
                (Self::Winograd(prepared), Some(blocks)) => {
                    for i in 0..images {
                        x.place(isa, p, i, padded);
                        prepared.input(blocks, images, i, padded);
                    }
                    prepared.output(blocks, images, y, ahead);
                }
                (Self::Direct(prepared), _) => {
                    for i in 0..images {
                        let mut from = x.first.add(i * p.source_len());
                        if !p.in_place || x.pending.is_some() {
                            x.place(isa, p, i, padded);
                            from = padded;
                        }
                        prepared.image(from, y.add(i * p.output_len));
                    }
                }
                (Self::Depthwise(prepared), _) => {
                    for i in 0..images {
                        x.place(isa, p, i, padded);
                        prepared.image(padded, y.add(i * p.output_len));
                    }
                }
                (Self::Winograd(_), None) => unreachable!("scratch of another engine"),
            }
        }
    }

    /// As [`Self::images`], from images that are padded already and lie `stride` floats apart.
    ///
    /// # Safety
    /// As [`Self::images`]; the padded images are valid for [`SLACK`] floats past the last.
    pub unsafe fn padded_images(
        &self,
        scratch: &mut Scratch,
        images: usize,
        padded: *const f32,
        stride: usize,
        y: *mut f32,
        ahead: &Ahead,
    ) {
        // SAFETY: the caller's contract.
        unsafe {
            match (self, &mut scratch.winograd) {
                (Self::Winograd(prepared), Some(blocks)) => {
                    for i in 0..images {
                        prepared.input(blocks, images, i, padded.add(i * stride));
                    }
                    prepared.output(blocks, images, y, ahead);
                }
                (Self::Direct(prepared), _) => {
                    let len = self.program().output_len;
                    for i in 0..images {
                        prepared.image(padded.add(i * stride), y.add(i * len));
                    }
                }
                (Self::Depthwise(prepared), _) => {
                    let len = self.program().output_len;
                    for i in 0..images {
                        prepared.image(padded.add(i * stride), y.add(i * len));
                    }
                }
                (Self::Winograd(_), None) => unreachable!("scratch of another engine"),
            }
        }
    }
}

/// Sums a weight gradient over whole images.
pub(crate) enum Gradient {
    Direct(direct::GradientSums),
    Depthwise(depthwise::GradientSums),
    Winograd(winograd::GradientSums),
}

/// Memory of one task.
pub(crate) struct GradientScratch {
    windows: Buffer,
    rows: Vec<[usize; 2]>,
    winograd: Option<winograd::GradientScratch>,
}

/// Pixels whose windows and gradients are summed before the next rows of weights.
const PIXELS: usize = 196;

/// Output gradients of some images in padded scratch.
#[derive(Clone, Copy)]
pub(crate) struct OutputGradients {
    /// First pixel of the first image; valid for two vectors past the last.
    pub first: *const f32,
    /// Floats between rows and between images.
    pub row: usize,
    pub image: usize,
}

/// Floats that the sums of all tasks may take with Winograd (512 MB), which needs four times
/// as many as the direct method: with many threads and channels that matters.
const MOST_SUMS: usize = 128 << 20;

impl Gradient {
    /// Sums for `tasks` tasks, each of which must add to its own.
    pub fn new(isa: Isa, method: Method, s: &ConvShape, tasks: usize) -> Self {
        if method == Method::Depthwise {
            return Self::Depthwise(depthwise::GradientSums::new(isa, s, tasks));
        }
        if method == Method::Winograd4
            && tasks * winograd::POINTS * s.c_in * s.c_out <= MOST_SUMS
            && let Some(sums) = winograd::GradientSums::new(isa, s, tasks)
        {
            return Self::Winograd(sums);
        }
        Self::Direct(direct::GradientSums::new(isa, s, s.out_h(), tasks))
    }

    pub fn program(&self) -> &Program {
        match self {
            Self::Direct(sums) => &sums.program,
            Self::Depthwise(sums) => &sums.program,
            Self::Winograd(sums) => &sums.program,
        }
    }

    fn isa(&self) -> Isa {
        match self {
            Self::Direct(sums) => sums.isa,
            Self::Depthwise(sums) => sums.isa,
            Self::Winograd(sums) => sums.isa,
        }
    }

    /// Images that are best summed together.
    pub fn group(&self) -> usize {
        match self {
            Self::Direct(sums) => {
                let grid = &sums.program.grids[0];
                (PIXELS / (grid.rows * grid.cols)).clamp(1, 8)
            }
            Self::Depthwise(_) => 1,
            Self::Winograd(sums) => sums.group,
        }
    }

    /// Where each task adds.
    pub fn targets(&mut self) -> Vec<Shared> {
        match self {
            Self::Direct(sums) => sums.targets(),
            Self::Depthwise(sums) => sums.targets(),
            Self::Winograd(sums) => sums.targets(),
        }
    }

    /// Scratch for calls with up to `images` images, with a batch norm pending or not.
    pub fn scratch(&self, images: usize, is_pending: bool) -> GradientScratch {
        let padded = self.program().padded_len();
        match self {
            Self::Direct(_) => GradientScratch {
                windows: Buffer::zeroed(if self.program().in_place && !is_pending {
                    0
                } else {
                    images * padded
                }),
                rows: Vec::new(),
                winograd: None,
            },
            Self::Depthwise(_) => GradientScratch {
                windows: Buffer::zeroed(padded + SLACK),
                rows: Vec::new(),
                winograd: None,
            },
            Self::Winograd(sums) => GradientScratch {
                windows: Buffer::zeroed(padded + SLACK),
                rows: Vec::new(),
                winograd: Some(sums.scratch(images)),
            },
        }
    }

    /// Adds the gradient of some images that lie behind each other.
    ///
    /// # Safety
    /// `x` is valid for that many images, `dy` as it says; `target` is one of
    /// [`Self::targets`] that no other thread uses; `scratch` is this one's, and used for this
    /// target alone.
    pub unsafe fn add(
        &self,
        scratch: &mut GradientScratch,
        images: usize,
        x: Images,
        dy: OutputGradients,
        target: Shared,
        ahead: &Ahead,
    ) {
        let (isa, p) = (self.isa(), self.program());
        let (grid, padded) = (&p.grids[0], p.padded_len());
        let windows = scratch.windows.as_mut_ptr();
        // SAFETY: the caller's contract; rows and windows lie in the scratch just filled.
        unsafe {
            match (self, &mut scratch.winograd) {
                (Self::Winograd(sums), Some(blocks)) => {
                    for i in 0..images {
                        x.place(isa, p, i, windows);
                        let first = dy.first.add(i * dy.image);
                        sums.input(blocks, images, i, windows, first, dy.row);
                    }
                    sums.add(blocks, images, target, ahead);
                }
                (Self::Depthwise(sums), _) => {
                    for i in 0..images {
                        x.place(isa, p, i, windows);
                        sums.add(windows, dy.first.add(i * dy.image), dy.row, target);
                    }
                }
                (Self::Direct(sums), _) => {
                    let in_place = p.in_place && x.pending.is_none();
                    let image = if in_place { p.source_len() } else { padded };
                    scratch.rows.clear();
                    for i in 0..images {
                        if !in_place {
                            x.place(isa, p, i, windows.add(i * padded));
                        }
                        for y in 0..grid.rows {
                            let at = [i * image + y * grid.in_row, i * dy.image + y * dy.row];
                            scratch.rows.push(at);
                        }
                    }
                    let windows = if in_place {
                        x.first
                    } else {
                        windows.cast_const()
                    };
                    let pixels = grid.rows * grid.cols;
                    let step = if pixels > PIXELS {
                        (PIXELS / grid.cols).max(1)
                    } else {
                        scratch.rows.len()
                    };
                    for part in scratch.rows.chunks(step) {
                        let c = p.groups * p.c_output;
                        sums.add(part, grid.cols, c, windows, dy.first, target);
                    }
                }
                (Self::Winograd(_), None) => unreachable!("scratch of another engine"),
            }
        }
    }

    /// dw from the sums of all tasks, in order.
    pub fn finish(self, dw: &mut [f32]) {
        match self {
            Self::Direct(sums) => sums.finish(dw),
            Self::Depthwise(sums) => sums.finish(dw),
            Self::Winograd(sums) => sums.finish(dw),
        }
    }
}
