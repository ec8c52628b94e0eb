//! Max, average and global average pooling on channels-last images.
//!
//! Sizes follow ONNX `MaxPool` and `AveragePool`; in ceil mode a last window that would
//! start in the padding behind the image is dropped, as ONNX (from opset 19) and PyTorch do.

use crate::checks::assert_len;
use crate::conv::{ConvShape, ShapeError};
use crate::isa;
use crate::memory::Buffer;
use crate::parallel::{self, Shared};
use crate::simd::{Simd, dispatch};

/// Index of a window without any pixel in the image.
pub const NO_PIXEL: u32 = u32::MAX;

/// Sizes of a pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolShape {
    /// Images.
    pub n: usize,
    /// Rows of an image.
    pub h: usize,
    /// Columns of an image.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// `[kh, kw]`
    pub kernel_size: [usize; 2],
    /// `[rows, columns]`
    pub stride: [usize; 2],
    /// `[top, left, bottom, right]`
    pub pads: [usize; 4],
    /// `[rows, columns]`
    pub dilation: [usize; 2],
    /// Round the output size up instead of down.
    pub ceil_mode: bool,
}

impl PoolShape {
    /// Checked sizes: `image` is `[n, h, w, c]`.
    ///
    /// # Errors
    /// [`ShapeError`] for zero sizes, windows larger than the padded image, and sizes
    /// beyond the address space.
    pub fn new(
        image: [usize; 4],
        kernel_size: [usize; 2],
        stride: [usize; 2],
        pads: [usize; 4],
        dilation: [usize; 2],
        ceil_mode: bool,
    ) -> Result<Self, ShapeError> {
        let [n, h, w, c] = image;
        let shape = Self {
            n,
            h,
            w,
            c,
            kernel_size,
            stride,
            pads,
            dilation,
            ceil_mode,
        };
        shape.check()?;
        Ok(shape)
    }

    /// Checks the sizes as [`PoolShape::new`] does.
    ///
    /// # Errors
    /// [`ShapeError`] names what is wrong.
    pub fn check(&self) -> Result<(), ShapeError> {
        // Windows obey the same rules as those of a depthwise convolution.
        ConvShape::new(
            [self.n, self.h, self.w],
            [self.c, self.c],
            self.kernel_size,
            self.stride,
            self.pads,
            self.dilation,
            self.c.max(1),
        )?;
        Ok(())
    }

    fn out_size(&self, axis: usize) -> usize {
        let size = [self.h, self.w][axis];
        let (before, after) = (self.pads[axis], self.pads[axis + 2]);
        let stride = self.stride[axis];
        let window = (self.kernel_size[axis] - 1) * self.dilation[axis] + 1;
        let room = size + before + after - window;
        if !self.ceil_mode {
            return room / stride + 1;
        }
        let out = room.div_ceil(stride) + 1;
        if (out - 1) * stride >= size + before {
            out - 1
        } else {
            out
        }
    }

    /// Rows of the output.
    pub fn out_h(&self) -> usize {
        self.out_size(0)
    }

    /// Columns of the output.
    pub fn out_w(&self) -> usize {
        self.out_size(1)
    }

    /// Values of the input.
    pub fn x_len(&self) -> usize {
        self.n * self.h * self.w * self.c
    }

    /// Values of the output.
    pub fn y_len(&self) -> usize {
        self.n * self.out_h() * self.out_w() * self.c
    }

    /// Pixels of the image in the window of output `o` along an axis, and the number of taps
    /// that lie in the image or its padding.
    fn taps(&self, axis: usize, o: usize) -> (impl Iterator<Item = usize> + Clone, usize) {
        let size = [self.h, self.w][axis];
        let (before, after) = (self.pads[axis], self.pads[axis + 2]);
        let (stride, dilation) = (self.stride[axis], self.dilation[axis]);
        // Positions in the padded image.
        let positions = (0..self.kernel_size[axis]).map(move |k| o * stride + k * dilation);
        let counted = positions
            .clone()
            .filter(|&p| p < size + before + after)
            .count();
        let inside = positions
            .filter(move |&p| p >= before && p < size + before)
            .map(move |p| p - before);
        (inside, counted)
    }

    fn assert_valid(&self) {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
    }
}

/// Calls `body(image of a, image of b)` for every image, in parallel. `a` is read only.
fn each_image(n: usize, a: &[f32], b: &mut [f32], body: impl Fn(usize, &[f32], &mut [f32]) + Sync) {
    let (a_len, b_len) = (a.len() / n, b.len() / n);
    let out = Shared::write(b);
    parallel::dynamic(n, |queue| {
        for i in queue {
            // SAFETY: `b` has n images of `b_len`, and each index is handed out once.
            let to = unsafe { std::slice::from_raw_parts_mut(out.ptr().add(i * b_len), b_len) };
            body(i, &a[i * a_len..(i + 1) * a_len], to);
        }
    });
}

/// Maximum over windows; returns y and, for [`max_backward`], the pixel `row * w + column`
/// that gave it (the first of equal ones; [`NO_PIXEL`] and -inf for a window without pixels).
///
/// # Shapes
/// `x` `[n, h, w, c]`; returns two of `[n, out_h, out_w, c]`
/// # Panics
/// If the shape is not valid, or `x` does not have its length.
pub fn max_forward(shape: &PoolShape, x: &[f32]) -> (Buffer, Vec<u32>) {
    shape.assert_valid();
    assert_len("x", x.len(), shape.x_len());
    let mut y = Buffer::get(shape.y_len());
    let mut indices = vec![NO_PIXEL; shape.y_len()];
    let (per_image, isa) = (indices.len() / shape.n, isa::active());
    let slots: Vec<_> = indices
        .chunks_mut(per_image)
        .map(std::sync::Mutex::new)
        .collect();
    each_image(shape.n, x, &mut y, |i, x, y| {
        let mut slot = slots[i]
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // SAFETY: `isa` came from `isa::active`.
        unsafe { max_image(isa, shape, x, y, &mut slot) };
    });
    drop(slots);
    (y, indices)
}

/// The loops over channels become vectors of the level.
#[inline(always)]
unsafe fn max_image_body<V: Simd>(s: &PoolShape, x: &[f32], y: &mut [f32], indices: &mut [u32]) {
    let c = s.c;
    let pixels = y.chunks_exact_mut(c).zip(indices.chunks_exact_mut(c));
    for (o, (y, indices)) in pixels.enumerate() {
        let mut is_first = true;
        let (rows, _) = s.taps(0, o / s.out_w());
        for row in rows {
            let (cols, _) = s.taps(1, o % s.out_w());
            for col in cols {
                let pixel = row * s.w + col;
                let x = &x[pixel * c..(pixel + 1) * c];
                // The first pixel wins even if it is -inf.
                if std::mem::take(&mut is_first) {
                    y.copy_from_slice(x);
                    indices.fill(pixel as u32);
                    continue;
                }
                for ((y, index), &x) in y.iter_mut().zip(indices.iter_mut()).zip(x) {
                    // NaN wins over any number.
                    let wins = (x > *y) | (x.is_nan() & !y.is_nan());
                    *y = if wins { x } else { *y };
                    *index = if wins { pixel as u32 } else { *index };
                }
            }
        }
        if is_first {
            y.fill(f32::NEG_INFINITY);
        }
    }
}
dispatch! {
    /// The maxima of an image, and the pixels that gave them; `indices` hold [`NO_PIXEL`].
    ///
    /// # Safety
    /// The machine has `isa`.
    fn max_image / max_image_body(s: &PoolShape, x: &[f32], y: &mut [f32], indices: &mut [u32])
}

/// The input gradient of [`max_forward`].
///
/// # Shapes
/// `dy`, `indices` as returned there, `dx` as its x (overwritten)
/// # Panics
/// As [`max_forward`], and if an index is no pixel of the image.
pub fn max_backward(shape: &PoolShape, dy: &[f32], indices: &[u32], dx: &mut [f32]) {
    shape.assert_valid();
    assert_len("dy", dy.len(), shape.y_len());
    assert_len("indices", indices.len(), shape.y_len());
    assert_len("dx", dx.len(), shape.x_len());
    let per_image = dy.len() / shape.n;
    each_image(shape.n, dy, dx, |i, dy, dx| {
        dx.fill(0.0);
        let indices = &indices[i * per_image..(i + 1) * per_image];
        for (dy, indices) in dy.chunks_exact(shape.c).zip(indices.chunks_exact(shape.c)) {
            for (channel, (&dy, &index)) in dy.iter().zip(indices).enumerate() {
                if index != NO_PIXEL {
                    dx[index as usize * shape.c + channel] += dy;
                }
            }
        }
    });
}

/// Mean over windows. The padding counts as zeros if `count_include_pad`, otherwise only
/// pixels of the image are counted.
///
/// # Shapes
/// `x` `[n, h, w, c]`, `y` `[n, out_h, out_w, c]` (overwritten; 0 for a window without pixels)
/// # Panics
/// If the shape is not valid, or a slice does not have its length.
pub fn average_forward(shape: &PoolShape, count_include_pad: bool, x: &[f32], y: &mut [f32]) {
    shape.assert_valid();
    assert_len("x", x.len(), shape.x_len());
    assert_len("y", y.len(), shape.y_len());
    each_image(shape.n, x, y, |_, x, y| {
        for (o, y) in y.chunks_exact_mut(shape.c).enumerate() {
            y.fill(0.0);
            let share = each_tap(shape, count_include_pad, o, |pixel| {
                let x = &x[pixel * shape.c..(pixel + 1) * shape.c];
                for (y, &x) in y.iter_mut().zip(x) {
                    *y += x;
                }
            });
            y.iter_mut().for_each(|y| *y *= share);
        }
    });
}

/// The input gradient of [`average_forward`].
///
/// # Shapes
/// `dy` as its y, `dx` as its x (overwritten)
/// # Panics
/// As [`average_forward`].
pub fn average_backward(shape: &PoolShape, count_include_pad: bool, dy: &[f32], dx: &mut [f32]) {
    shape.assert_valid();
    assert_len("dy", dy.len(), shape.y_len());
    assert_len("dx", dx.len(), shape.x_len());
    each_image(shape.n, dy, dx, |_, dy, dx| {
        dx.fill(0.0);
        for (o, dy) in dy.chunks_exact(shape.c).enumerate() {
            let share = each_tap(shape, count_include_pad, o, |_| ());
            each_tap(shape, count_include_pad, o, |pixel| {
                let dx = &mut dx[pixel * shape.c..(pixel + 1) * shape.c];
                for (dx, &dy) in dx.iter_mut().zip(dy) {
                    *dx += dy * share;
                }
            });
        }
    });
}

/// Visits the image's pixels in the window of output pixel `o`; returns 1 / the divisor.
fn each_tap(s: &PoolShape, count_include_pad: bool, o: usize, mut visit: impl FnMut(usize)) -> f32 {
    let (rows, n_rows) = s.taps(0, o / s.out_w());
    let (cols, n_cols) = s.taps(1, o % s.out_w());
    let mut inside = 0usize;
    for row in rows {
        for col in cols.clone() {
            visit(row * s.w + col);
            inside += 1;
        }
    }
    let count = if count_include_pad {
        n_rows * n_cols
    } else {
        inside
    };
    1.0 / count.max(1) as f32
}

/// Mean over all pixels of each image.
///
/// # Shapes
/// `x` `[n, pixels, c]`, `y` `[n, c]` (overwritten)
/// # Panics
/// If a size is zero or a slice does not have its length.
pub fn global_average_forward(n: usize, pixels: usize, c: usize, x: &[f32], y: &mut [f32]) {
    assert!(
        n > 0 && pixels > 0 && c > 0,
        "cannot compute: sizes: expected at least 1, got 0"
    );
    assert_len("x", x.len(), n * pixels * c);
    assert_len("y", y.len(), n * c);
    each_image(n, x, y, |_, x, y| {
        y.fill(0.0);
        for x in x.chunks_exact(c) {
            for (y, &x) in y.iter_mut().zip(x) {
                *y += x;
            }
        }
        y.iter_mut().for_each(|y| *y /= pixels as f32);
    });
}

/// The input gradient of [`global_average_forward`].
///
/// # Shapes
/// `dy` `[n, c]`, `dx` `[n, pixels, c]` (overwritten)
/// # Panics
/// As [`global_average_forward`].
pub fn global_average_backward(n: usize, pixels: usize, c: usize, dy: &[f32], dx: &mut [f32]) {
    assert!(
        n > 0 && pixels > 0 && c > 0,
        "cannot compute: sizes: expected at least 1, got 0"
    );
    assert_len("dy", dy.len(), n * c);
    assert_len("dx", dx.len(), n * pixels * c);
    each_image(n, dy, dx, |_, dy, dx| {
        for dx in dx.chunks_exact_mut(c) {
            for (dx, &dy) in dx.iter_mut().zip(dy) {
                *dx = dy / pixels as f32;
            }
        }
    });
}
