//! The weight gradient of images, whichever method computes it.

use super::across;
use super::depthwise;
use super::direct;
use super::images::{Images, OutputGradients};
use super::method::Method;
use super::program::Program;
use super::shape::ConvShape;
use super::winograd;
use crate::ahead::Ahead;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::parallel::Shared;
use crate::simd::SLACK;

/// Sums a weight gradient over whole images.
pub(crate) enum WeightGradient {
    Direct(direct::GradientSums),
    Depthwise(depthwise::GradientSums),
    Winograd(winograd::GradientSums),
    /// The program is that of an image; see [`across::of_images`].
    Across {
        sums: direct::GradientSums,
        program: Program,
        bundle: usize,
    },
}

/// Memory of one task.
pub(crate) struct GradientScratch {
    /// Padded images of x: one, or with [`Method::Direct`] and [`Method::Across`] all of a bundle.
    windows: Buffer,
    /// With the direct method, offsets of the output rows in the padded images and in dy.
    rows: Vec<[usize; 2]>,
    winograd: Option<winograd::GradientScratch>,
}

/// Pixels whose windows and gradients are summed before the next rows of weights.
const PIXELS: usize = 196;

/// Floats that the sums of all tasks may take with Winograd (512 MB), which needs four times as
/// many as the direct method. With many threads and channels that is too much.
const MOST_SUMS: usize = 128 << 20;

impl WeightGradient {
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
        let sums = direct::GradientSums::new(isa, s, s.out_h(), tasks);
        match method {
            Method::Across => Self::Across {
                sums,
                program: across::forward(s),
                bundle: across::bundle(s.n, tasks),
            },
            _ => Self::Direct(sums),
        }
    }

    pub fn program(&self) -> &Program {
        match self {
            Self::Direct(sums) => &sums.program,
            Self::Depthwise(sums) => &sums.program,
            Self::Winograd(sums) => &sums.program,
            Self::Across { program, .. } => program,
        }
    }

    fn isa(&self) -> Isa {
        match self {
            Self::Direct(sums) | Self::Across { sums, .. } => sums.isa,
            Self::Depthwise(sums) => sums.isa,
            Self::Winograd(sums) => sums.isa,
        }
    }

    /// Images in a bundle: those that are best summed together.
    pub fn bundle(&self) -> usize {
        match self {
            Self::Direct(sums) => {
                let grid = &sums.program.grids[0];
                (PIXELS / (grid.rows * grid.cols)).clamp(1, 8)
            }
            Self::Depthwise(_) => 1,
            Self::Winograd(sums) => sums.bundle,
            Self::Across { bundle, .. } => *bundle,
        }
    }

    /// Where each task adds.
    pub fn targets(&mut self) -> Vec<Shared> {
        match self {
            Self::Direct(sums) | Self::Across { sums, .. } => sums.targets(),
            Self::Depthwise(sums) => sums.targets(),
            Self::Winograd(sums) => sums.targets(),
        }
    }

    /// Scratch for calls with up to `images` images, on which a batch norm may be pending.
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
            Self::Across { .. } => GradientScratch {
                windows: Buffer::get(images * padded),
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
    /// `x` and `dy` are valid for that many images; `target` is one of [`Self::targets`] that no
    /// other thread uses; `scratch` was made by [`Self::scratch`] and is used for this target
    /// alone.
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
        let windows = scratch.windows.as_mut_ptr();
        // SAFETY: the caller's contract; windows lie in the scratch just filled.
        unsafe {
            match (self, &mut scratch.winograd) {
                (Self::Winograd(sums), Some(scratch)) => {
                    for i in 0..images {
                        x.place(isa, p, i, windows);
                        let first = dy.first.add(i * dy.image);
                        sums.input(scratch, images, i, windows, first, dy.row);
                    }
                    sums.add(scratch, images, target, ahead);
                }
                (Self::Depthwise(sums), _) => {
                    for i in 0..images {
                        x.place(isa, p, i, windows);
                        sums.add(windows, dy.first.add(i * dy.image), dy.row, target);
                    }
                }
                (Self::Direct(sums), _) => add_direct(sums, scratch, images, x, dy, target),
                (Self::Across { sums, .. }, _) => {
                    for i in 0..images {
                        x.place(isa, p, i, windows.add(i * p.padded_len()));
                    }
                    add_across(sums, p, images, windows, dy, target);
                }
                (Self::Winograd(_), None) => unreachable!("scratch of another weight gradient"),
            }
        }
    }

    /// dw from the sums of all tasks, in order.
    pub fn finish(self, dw: &mut [f32]) {
        match self {
            Self::Direct(sums) | Self::Across { sums, .. } => sums.finish(dw),
            Self::Depthwise(sums) => sums.finish(dw),
            Self::Winograd(sums) => sums.finish(dw),
        }
    }
}

/// Adds the gradient of some images with the direct method: all their output rows, as many at a
/// time as stay in the cache.
///
/// # Safety
/// As [`WeightGradient::add`].
unsafe fn add_direct(
    sums: &direct::GradientSums,
    scratch: &mut GradientScratch,
    images: usize,
    x: Images,
    dy: OutputGradients,
    target: Shared,
) {
    let (p, grid) = (&sums.program, &sums.program.grids[0]);
    let in_place = p.in_place && x.pending.is_none();
    let padded = p.padded_len();
    let image = if in_place { p.source_len() } else { padded };
    let windows = scratch.windows.as_mut_ptr();
    // SAFETY: the caller's contract; rows and windows lie in the scratch just filled.
    unsafe {
        scratch.rows.clear();
        for i in 0..images {
            if !in_place {
                x.place(sums.isa, p, i, windows.add(i * padded));
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
        let step = if grid.rows * grid.cols > PIXELS {
            (PIXELS / grid.cols).max(1)
        } else {
            scratch.rows.len()
        };
        for part in scratch.rows.chunks(step) {
            let c = p.groups * p.c_output;
            sums.add(grid, part, grid.cols, c, windows, dy.first, target);
        }
    }
}

/// Adds the gradient of some images that lie side by side in `windows`.
///
/// # Safety
/// As [`WeightGradient::add`]; `windows` are padded images of the program.
unsafe fn add_across(
    sums: &direct::GradientSums,
    p: &Program,
    images: usize,
    windows: *const f32,
    dy: OutputGradients,
    target: Shared,
) {
    let (c, row) = (p.c_output, sums.program.grids[0].cols);
    for grid in &p.grids {
        let pixel = grid.out_base / c;
        let at = pixel / row * dy.row + pixel % row * c;
        // One pixel of every image or, of a pointwise layer, all pixels of all images.
        let (cols, dy_col) = (images * grid.cols, dy.image / grid.cols);
        // SAFETY: the caller's contract.
        unsafe { sums.add(grid, &[[0, at]], cols, dy_col, windows, dy.first, target) }
    }
}
