//! From an encoded image to `[h, w, c]` bytes: decoding, grey or colour, size.

use std::panic::{UnwindSafe, catch_unwind};
use std::path::PathBuf;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::Encoded;
use super::codec::{self, Decoded};
use crate::data::{Cause, DataError, Resize};

/// Decodes an image and gives it a size.
///
/// JPEG, PNG or WebP by content. Colour becomes grey as PIL does it; grey fills all three
/// channels; alpha is dropped; 16 bits become 8. Scaling filters as PIL's bilinear does:
/// over the whole area that a pixel covers.
pub(super) fn decode(
    images: &dyn Encoded,
    index: usize,
    shape: [usize; 3],
    resize: Resize,
) -> Result<Vec<u8>, DataError> {
    let file = images.bytes(index);
    file.and_then(|file| decode_file(&file, shape, resize))
        .map_err(|source| damaged(images.place(index), source))
}

fn damaged(path: PathBuf, source: Cause) -> DataError {
    DataError::Image { path, source }
}

fn decode_file(file: &[u8], [h, w, c]: [usize; 3], resize: Resize) -> Result<Vec<u8>, Cause> {
    let decoded = guarded(|| codec::decode(file))?;
    let size = decoded.size;
    let pixels = to_channels(decoded, c);
    if size == [h, w] {
        return Ok(pixels);
    }
    scale(&pixels, size, [h, w, c], resize)
}

/// Files come from anywhere, and a panic in a decoder must not end hours of training.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Cause> + UnwindSafe) -> Result<T, Cause> {
    catch_unwind(decode).unwrap_or_else(|_| Err("the decoder failed".into()))
}

/// Grey (1) or colour (3).
fn to_channels(image: Decoded, channels: usize) -> Vec<u8> {
    let Decoded {
        channels: from,
        pixels,
        ..
    } = image;
    let chunks = pixels.chunks_exact(from);
    match (from, channels) {
        (from, to) if from == to => pixels,
        (1 | 2, 1) => chunks.map(|pixel| pixel[0]).collect(),
        (1 | 2, _) => chunks.flat_map(|pixel| [pixel[0]; 3]).collect(),
        (_, 1) => chunks.map(|p| luma([p[0], p[1], p[2]])).collect(),
        (_, _) => chunks.flat_map(|p| [p[0], p[1], p[2]]).collect(),
    }
}

/// ITU-R BT.601 luma in fixed point, as PIL's conversion to `L` (`libImaging/Convert.c`).
fn luma([r, g, b]: [u8; 3]) -> u8 {
    let sum = u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471 + 0x8000;
    (sum >> 16) as u8
}

fn scale(
    pixels: &[u8],
    [from_h, from_w]: [usize; 2],
    [h, w, c]: [usize; 3],
    resize: Resize,
) -> Result<Vec<u8>, Cause> {
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let to = |[h, w]: [usize; 2], options: &ResizeOptions| -> Result<Vec<u8>, Cause> {
        let side = |n: usize| u32::try_from(n).map_err(|_| "it is too large");
        let (from, to) = ([side(from_h)?, side(from_w)?], [side(h)?, side(w)?]);
        match c {
            1 => scale_typed::<U8>(pixels, from, to, options),
            _ => scale_typed::<U8x3>(pixels, from, to, options),
        }
    };
    match resize {
        Resize::Stretch => to([h, w], &options),
        Resize::Crop(share) => {
            let [left, top, width, height] = window([from_h, from_w], [h, w], share);
            to([h, w], &options.crop(left, top, width, height))
        }
        Resize::Letterbox(value) => {
            let inner = Inner::new([from_h, from_w], [h, w]);
            let scaled = match inner.size == [from_h, from_w] {
                true => pixels.to_vec(),
                false => to(inner.size, &options)?,
            };
            Ok(inner.framed(&scaled, [h, w, c], value))
        }
    }
}

/// Where an image lies in a letterbox.
struct Inner {
    size: [usize; 2],
    top: usize,
    left: usize,
}

impl Inner {
    /// The largest size of the image's shape that fits, in the middle; of an odd number of rows or
    /// columns the larger half comes behind, as in YOLO's `LetterBox`.
    fn new([from_h, from_w]: [usize; 2], [h, w]: [usize; 2]) -> Self {
        let scale = (h as f64 / from_h as f64).min(w as f64 / from_w as f64);
        let side = |from: usize, most: usize| {
            let scaled = (from as f64 * scale).round() as usize;
            scaled.clamp(1, most)
        };
        let size = [side(from_h, h), side(from_w, w)];
        Self {
            top: (h - size[0]) / 2,
            left: (w - size[1]) / 2,
            size,
        }
    }

    fn framed(&self, pixels: &[u8], [h, w, c]: [usize; 3], value: u8) -> Vec<u8> {
        let mut framed = vec![value; h * w * c];
        for (y, row) in pixels.chunks_exact(self.size[1] * c).enumerate() {
            let start = ((self.top + y) * w + self.left) * c;
            framed[start..start + row.len()].copy_from_slice(row);
        }
        framed
    }
}

/// One pixel type at a time: the resizer's call for images of any type compiles its SIMD code
/// for all of them, which was half of this crate's build.
fn scale_typed<P: PixelTrait>(
    pixels: &[u8],
    [from_h, from_w]: [u32; 2],
    [h, w]: [u32; 2],
    options: &ResizeOptions,
) -> Result<Vec<u8>, Cause> {
    let source = TypedImageRef::<P>::from_buffer(from_w, from_h, pixels)?;
    let mut bytes = vec![0u8; h as usize * w as usize * P::size()];
    let mut target = TypedImage::<P>::from_buffer(w, h, &mut bytes)?;
    Resizer::new().resize_typed(&source, &mut target, options)?;
    Ok(bytes)
}

/// The middle `[left, top, width, height]` of an image, shaped as the target, that covers a
/// share of the largest such window by its sides.
fn window([from_h, from_w]: [usize; 2], [h, w]: [usize; 2], share: f32) -> [f64; 4] {
    let (from_h, from_w) = (from_h as f64, from_w as f64);
    let scale = (from_h / h as f64).min(from_w / w as f64) * f64::from(share);
    let (height, width) = (
        (h as f64 * scale).min(from_h),
        (w as f64 * scale).min(from_w),
    );
    [
        (from_w - width) / 2.0,
        (from_h - height) / 2.0,
        width,
        height,
    ]
}

/// What the first images look like.
#[derive(Debug)]
pub(super) struct Look {
    /// `[h, w]` of the first.
    pub(super) size: [usize; 2],
    /// `[h, w]` of one that differs.
    pub(super) other_size: Option<[usize; 2]>,
    /// True if none has colour.
    pub(super) is_grey: bool,
}

/// Images that are looked at, spread over all.
const LOOKED_AT: usize = 64;

/// Reads the headers of some images.
///
/// # Errors
/// [`DataError::Image`] of the first if none can be read.
pub(super) fn look(images: &dyn Encoded) -> Result<Look, DataError> {
    let mut result: Option<Look> = None;
    let mut first_error = None;
    let step = images.len().div_ceil(LOOKED_AT).max(1);
    for index in (0..images.len()).step_by(step) {
        let header = images
            .bytes(index)
            .and_then(|file| guarded(|| codec::header(&file)));
        match (header, &mut result) {
            (Err(source), _) => {
                first_error.get_or_insert_with(|| damaged(images.place(index), source));
            }
            (Ok(header), None) => {
                result = Some(Look {
                    size: header.size,
                    other_size: None,
                    is_grey: !header.has_colour,
                });
            }
            (Ok(header), Some(look)) => {
                look.is_grey &= !header.has_colour;
                if header.size != look.size {
                    look.other_size.get_or_insert(header.size);
                }
            }
        }
    }
    match (result, first_error) {
        (Some(look), _) => Ok(look),
        (None, Some(error)) => Err(error),
        (None, None) => Err(DataError::Empty {
            path: PathBuf::new(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_keep_the_shape_and_the_middle() {
        let check = |from, to, share, expected: [f64; 4]| {
            let found = window(from, to, share);
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 1e-4, "{from:?} {to:?} {share}: {found:?}");
            }
        };
        check([100, 200], [50, 50], 1.0, [50.0, 0.0, 100.0, 100.0]);
        check([200, 100], [50, 50], 1.0, [0.0, 50.0, 100.0, 100.0]);
        check([256, 256], [224, 224], 0.875, [16.0, 16.0, 224.0, 224.0]);
        check([100, 100], [50, 100], 1.0, [0.0, 25.0, 100.0, 50.0]);
        check([10, 10], [20, 20], 1.0, [0.0, 0.0, 10.0, 10.0]);
    }

    #[test]
    fn letterboxes_hold_the_whole_image_in_the_middle() {
        let check = |from, to, size: [usize; 2], top, left| {
            let inner = Inner::new(from, to);
            assert_eq!(
                (inner.size, inner.top, inner.left),
                (size, top, left),
                "{from:?} {to:?}"
            );
        };
        check([100, 200], [50, 50], [25, 50], 12, 0);
        check([200, 100], [50, 50], [50, 25], 0, 12);
        check([10, 20], [40, 40], [20, 40], 10, 0);
        check([1, 1000], [20, 20], [1, 20], 9, 0);
        let framed = Inner::new([1, 2], [3, 4]).framed(&[1; 8], [3, 4, 1], 9);
        assert_eq!(framed, [1, 1, 1, 1, 1, 1, 1, 1, 9, 9, 9, 9]);
    }

    #[test]
    fn grey_is_as_pil_makes_it() {
        // PIL.Image.new("RGB", (1, 1), colour).convert("L")
        for (colour, grey) in [
            ([255, 0, 0], 76),
            ([0, 255, 0], 150),
            ([0, 0, 255], 29),
            ([10, 20, 30], 18),
            ([255, 255, 255], 255),
        ] {
            assert_eq!(luma(colour), grey, "{colour:?}");
        }
    }
}
