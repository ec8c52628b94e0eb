//! A convolution prepared for images, whichever method computes it.

use super::across;
use super::depthwise;
use super::direct;
use super::images::Images;
use super::method::Method;
use super::pack::Strides;
use super::program::Program;
use super::shape::ConvShape;
use super::winograd::{self, Direction};
use crate::activation::Limits;
use crate::ahead::Ahead;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::simd::SLACK;

/// Computes output images from input images, or input gradients from output gradients.
pub(crate) enum PreparedConv {
    Direct(direct::Prepared),
    Depthwise(depthwise::Prepared),
    Winograd(winograd::Prepared),
    Across {
        prepared: direct::Prepared,
        /// Images in a bundle.
        bundle: usize,
    },
}

/// Memory of one task.
pub(crate) struct Scratch {
    /// A padded image, or with [`Method::Across`] all of a bundle, with slack.
    padded: Buffer,
    winograd: Option<winograd::Scratch>,
}

impl PreparedConv {
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
        let program = match method {
            Method::Across => across::forward(s),
            _ => Program::forward(s, s.out_h()),
        };
        let direction = Direction::Forward;
        Self::new(isa, method, s, program, direction, threads, w, bias, limits)
    }

    /// The input gradient of whole images.
    pub fn back(isa: Isa, method: Method, s: &ConvShape, threads: usize, w: &[f32]) -> Self {
        let program = match method {
            Method::Across => across::back(s),
            _ => Program::input_gradient(s),
        };
        let (direction, limits) = (Direction::Back, Limits::NONE);
        Self::new(isa, method, s, program, direction, threads, w, None, limits)
    }

    fn new(
        isa: Isa,
        method: Method,
        s: &ConvShape,
        program: Program,
        direction: Direction,
        threads: usize,
        w: &[f32],
        bias: Option<&[f32]>,
        limits: Limits,
    ) -> Self {
        if method == Method::Depthwise {
            return Self::Depthwise(depthwise::Prepared::new(isa, program, w, bias, limits));
        }
        if method == Method::Winograd4 {
            let p = program.clone();
            let made = winograd::Prepared::new(isa, p, direction, s.n, threads, w, bias, limits);
            if let Some(prepared) = made {
                return Self::Winograd(prepared);
            }
        }
        let taps = s.kernel_size[0] * s.kernel_size[1];
        let strides = match direction {
            Direction::Forward => Strides::forward(&program, taps),
            Direction::Back => Strides::transposed(&program, taps),
        };
        let prepared = direct::Prepared::new(isa, program, strides, w, bias, limits);
        match method {
            Method::Across => Self::Across {
                prepared,
                bundle: across::bundle(s.n, threads),
            },
            _ => Self::Direct(prepared),
        }
    }

    pub fn program(&self) -> &Program {
        match self {
            Self::Direct(prepared) | Self::Across { prepared, .. } => &prepared.program,
            Self::Depthwise(prepared) => &prepared.program,
            Self::Winograd(prepared) => &prepared.program,
        }
    }

    fn isa(&self) -> Isa {
        match self {
            Self::Direct(prepared) | Self::Across { prepared, .. } => prepared.isa,
            Self::Depthwise(prepared) => prepared.isa,
            Self::Winograd(prepared) => prepared.isa,
        }
    }

    /// Images in a bundle: those that are best computed together.
    pub fn bundle(&self) -> usize {
        match self {
            Self::Direct(_) | Self::Depthwise(_) => 1,
            Self::Winograd(prepared) => prepared.bundle,
            Self::Across { bundle, .. } => *bundle,
        }
    }

    /// Scratch for calls with up to `images` images.
    pub fn scratch(&self, images: usize) -> Scratch {
        let (padded, winograd) = match self {
            Self::Direct(_) | Self::Depthwise(_) => (1, None),
            Self::Winograd(prepared) => (1, Some(prepared.scratch(images))),
            Self::Across { .. } => (images, None),
        };
        Scratch {
            padded: Buffer::zeroed(padded * self.program().padded_len() + SLACK),
            winograd,
        }
    }

    /// Computes `images` images that lie behind each other, and fetches what the caller needs
    /// next.
    ///
    /// # Safety
    /// `x` and `y` are valid for that many images; `scratch` is this convolution's.
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
                (Self::Winograd(prepared), Some(scratch)) => {
                    for i in 0..images {
                        x.place(isa, p, i, padded);
                        prepared.input(scratch, images, i, padded);
                    }
                    prepared.output(scratch, images, y, ahead);
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
                (Self::Across { prepared, .. }, _) => {
                    for i in 0..images {
                        x.place(isa, p, i, padded.add(i * p.padded_len()));
                    }
                    prepared.across(images, padded, y);
                }
                (Self::Winograd(_), None) => unreachable!("scratch of another convolution"),
            }
        }
    }

    /// As [`Self::images`], from images that are padded already and lie `stride` floats apart.
    ///
    /// # Safety
    /// As [`Self::images`]; the padded images are valid for [`SLACK`] floats past the last, and
    /// `stride` is that of the program.
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
                (Self::Winograd(prepared), Some(scratch)) => {
                    for i in 0..images {
                        prepared.input(scratch, images, i, padded.add(i * stride));
                    }
                    prepared.output(scratch, images, y, ahead);
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
                (Self::Across { prepared, .. }, _) => prepared.across(images, padded, y),
                (Self::Winograd(_), None) => unreachable!("scratch of another convolution"),
            }
        }
    }
}
