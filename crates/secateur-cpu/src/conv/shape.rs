//! Sizes of a convolution, and the checks that the routines rely on.

use thiserror::Error;

/// Sizes that cannot be computed with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// A size that must be at least one is zero.
    #[error("cannot set up a convolution: {what}: expected at least 1, got 0")]
    Zero {
        /// Which size.
        what: &'static str,
    },
    /// Channels do not divide into groups.
    #[error(
        "cannot set up a convolution: {what}: expected a multiple of {groups} groups, got {channels}"
    )]
    Groups {
        /// Which channels.
        what: &'static str,
        /// Number of channels.
        channels: usize,
        /// Number of groups.
        groups: usize,
    },
    /// The window is larger than the padded image.
    #[error(
        "cannot set up a convolution: {axis}: expected a window of at most {padded}, got {window}"
    )]
    Window {
        /// `height` or `width`.
        axis: &'static str,
        /// Size of the image with its padding.
        padded: usize,
        /// Size of the kernel with its dilation.
        window: usize,
    },
    /// The image leaves nothing to pool.
    #[error("cannot set up a block: 2x2 pooling: expected at least 2x2 pixels, got {h}x{w}")]
    Pool {
        /// Rows.
        h: usize,
        /// Columns.
        w: usize,
    },
    /// Sizes whose product leaves the address space.
    #[error("cannot set up a convolution: {what}: expected at most {limit} values, got more")]
    TooLarge {
        /// What would be too large.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// Values in one image, padded: offsets within it are kept in 32 bits.
const IMAGE_LIMIT: usize = u32::MAX as usize;
/// Values in a whole tensor: more bytes than this cannot be allocated.
const TENSOR_LIMIT: usize = isize::MAX as usize / size_of::<f32>();

const IMAGE_TOO_LARGE: ShapeError = ShapeError::TooLarge {
    what: "padded image",
    limit: IMAGE_LIMIT,
};

/// True if the product of the sizes is at most `limit`.
fn fits(sizes: &[usize], limit: usize) -> bool {
    sizes
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size))
        .is_some_and(|product| product <= limit)
}

/// Sizes of a 2-D convolution.
///
/// `x` is `[n, h, w, c_in]`, `w` is `[c_out, c_in / groups, kh, kw]`, `y` is
/// `[n, out_h, out_w, c_out]`. Fields are public for reading; the routines check the sizes
/// again and panic on those that [`ConvShape::new`] would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Images.
    pub n: usize,
    /// Rows of an image.
    pub h: usize,
    /// Columns of an image.
    pub w: usize,
    /// Input channels.
    pub c_in: usize,
    /// Output channels.
    pub c_out: usize,
    /// `[kh, kw]`
    pub kernel_size: [usize; 2],
    /// `[rows, columns]`
    pub stride: [usize; 2],
    /// `[top, left, bottom, right]`
    pub pads: [usize; 4],
    /// `[rows, columns]`
    pub dilation: [usize; 2],
    /// Groups of channels that do not mix.
    pub groups: usize,
}

impl ConvShape {
    /// Checked sizes: `image` is `[n, h, w]`, `channels` is `[c_in, c_out]`.
    ///
    /// # Errors
    /// [`ShapeError`] for zero sizes, channels that do not divide into groups, windows
    /// larger than the padded image, and sizes beyond the address space.
    pub fn new(
        image: [usize; 3],
        channels: [usize; 2],
        kernel_size: [usize; 2],
        stride: [usize; 2],
        pads: [usize; 4],
        dilation: [usize; 2],
        groups: usize,
    ) -> Result<Self, ShapeError> {
        let [n, h, w] = image;
        let [c_in, c_out] = channels;
        let shape = Self {
            n,
            h,
            w,
            c_in,
            c_out,
            kernel_size,
            stride,
            pads,
            dilation,
            groups,
        };
        shape.check()?;
        Ok(shape)
    }

    /// Checks the sizes as [`ConvShape::new`] does.
    ///
    /// # Errors
    /// [`ShapeError`] names what is wrong.
    pub fn check(&self) -> Result<(), ShapeError> {
        let sizes = [
            ("batch", self.n),
            ("height", self.h),
            ("width", self.w),
            ("input channels", self.c_in),
            ("output channels", self.c_out),
            ("kernel height", self.kernel_size[0]),
            ("kernel width", self.kernel_size[1]),
            ("row stride", self.stride[0]),
            ("column stride", self.stride[1]),
            ("row dilation", self.dilation[0]),
            ("column dilation", self.dilation[1]),
            ("groups", self.groups),
        ];
        if let Some(&(what, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(ShapeError::Zero { what });
        }
        for (what, channels) in [
            ("input channels", self.c_in),
            ("output channels", self.c_out),
        ] {
            if !channels.is_multiple_of(self.groups) {
                return Err(ShapeError::Groups {
                    what,
                    channels,
                    groups: self.groups,
                });
            }
        }
        let padded = [self.padded_side(0)?, self.padded_side(1)?];
        let c = self.c_in.max(self.c_out);
        if !fits(&[padded[0], padded[1], c], IMAGE_LIMIT) {
            return Err(IMAGE_TOO_LARGE);
        }
        let too_large = |what| ShapeError::TooLarge {
            what,
            limit: TENSOR_LIMIT,
        };
        if !fits(&[self.n, padded[0], padded[1], c], TENSOR_LIMIT) {
            return Err(too_large("tensor"));
        }
        // Packed weights are padded to whole vectors.
        let [kh, kw] = self.kernel_size;
        let (ci, co) = (self.c_in.checked_add(64), self.c_out.checked_add(64));
        match (ci, co) {
            (Some(ci), Some(co)) if fits(&[ci, co, kh, kw, 64], TENSOR_LIMIT) => Ok(()),
            _ => Err(too_large("weights")),
        }
    }

    /// Most pixels along an axis of an image padded for a forward pass or a gradient, which pads
    /// by up to a window on either side.
    fn padded_side(&self, axis: usize) -> Result<usize, ShapeError> {
        let window = (self.kernel_size[axis] - 1)
            .checked_mul(self.dilation[axis])
            .and_then(|window| window.checked_add(1))
            .ok_or(IMAGE_TOO_LARGE)?;
        let padded = [self.h, self.w][axis]
            .checked_add(self.pads[axis])
            .and_then(|size| size.checked_add(self.pads[axis + 2]))
            .ok_or(IMAGE_TOO_LARGE)?;
        if window > padded {
            let axis = ["height", "width"][axis];
            return Err(ShapeError::Window {
                axis,
                padded,
                window,
            });
        }
        window
            .checked_mul(2)
            .and_then(|both| padded.checked_add(both))
            .ok_or(IMAGE_TOO_LARGE)
    }

    fn out_size(&self, axis: usize) -> usize {
        let size = [self.h, self.w][axis];
        let window = (self.kernel_size[axis] - 1) * self.dilation[axis] + 1;
        (size + self.pads[axis] + self.pads[axis + 2] - window) / self.stride[axis] + 1
    }

    /// Rows of the output.
    pub fn out_h(&self) -> usize {
        self.out_size(0)
    }

    /// Columns of the output.
    pub fn out_w(&self) -> usize {
        self.out_size(1)
    }

    /// Multiply-adds of one forward pass, taps in the padding included.
    pub fn macs(&self) -> u64 {
        let per_output = self.c_in / self.groups * self.kernel_size[0] * self.kernel_size[1];
        self.y_len() as u64 * per_output as u64
    }

    /// Values of the input.
    pub fn x_len(&self) -> usize {
        self.n * self.h * self.w * self.c_in
    }

    /// Values of the output.
    pub fn y_len(&self) -> usize {
        self.n * self.out_h() * self.out_w() * self.c_out
    }

    /// Values of the weights.
    pub fn w_len(&self) -> usize {
        self.c_out * (self.c_in / self.groups) * self.kernel_size[0] * self.kernel_size[1]
    }

    /// True if every output pixel is a linear map of the input pixel at its place.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel_size == [1, 1] && self.stride == [1, 1] && self.pads == [0; 4]
    }

    /// Panics with the reason if the sizes are wrong.
    pub(crate) fn assert_valid(&self) {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_sizes() {
        let shape =
            ConvShape::new([2, 7, 9], [4, 6], [3, 5], [2, 1], [1, 2, 0, 2], [1, 1], 2).unwrap();
        assert_eq!((shape.out_h(), shape.out_w()), (3, 9));
        assert_eq!(shape.macs(), 2 * 3 * 9 * 6 * 2 * 15);
        assert_eq!(shape.w_len(), 6 * 2 * 15);
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let new = |image, channels, k, groups| {
            ConvShape::new(image, channels, k, [1, 1], [0; 4], [1, 1], groups)
        };
        assert!(matches!(
            new([1, 4, 4], [0, 2], [1, 1], 1),
            Err(ShapeError::Zero {
                what: "input channels"
            })
        ));
        assert!(matches!(
            new([1, 4, 4], [4, 3], [1, 1], 2),
            Err(ShapeError::Groups {
                what: "output channels",
                channels: 3,
                groups: 2
            })
        ));
        assert!(matches!(
            new([1, 4, 4], [4, 3], [3, 5], 1),
            Err(ShapeError::Window {
                axis: "width",
                padded: 4,
                window: 5
            })
        ));
        assert!(matches!(
            new([1, 1 << 20, 1 << 20], [4, 3], [1, 1], 1),
            Err(ShapeError::TooLarge { .. })
        ));
        assert!(matches!(
            new([usize::MAX, 4, 4], [4, 3], [1, 1], 1),
            Err(ShapeError::TooLarge { .. })
        ));
        let huge = ConvShape::new(
            [1, 4, 4],
            [1, 1],
            [2, 2],
            [1, 1],
            [usize::MAX; 4],
            [1, 1],
            1,
        );
        assert!(matches!(huge, Err(ShapeError::TooLarge { .. })));
    }
}
