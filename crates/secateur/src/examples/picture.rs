//! Pictures as PNG files.

use fast_image_resize::images::Image;
use fast_image_resize::{PixelType, Resizer};
use png::{BitDepth, ColorType, Compression, Encoder};
use secateur_net::data::Pixels;
use serde::{Deserialize, Serialize};

/// A picture in a file of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Its name, without a folder.
    pub file: String,
    /// Width and height of what it shows; the file may have fewer pixels.
    pub size: [usize; 2],
    /// The file.
    #[serde(skip)]
    pub png: Vec<u8>,
}

/// Values with fewer rows or columns are no pictures.
const LEAST_SIDE: usize = 8;
/// What values that are no numbers look like.
pub(super) const NO_NUMBER: [u8; 4] = [230, 0, 230, 255];

/// A grey or coloured image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Raster {
    pub width: usize,
    pub height: usize,
    /// 1 or 3.
    channels: usize,
    bytes: Vec<u8>,
}

impl Raster {
    /// An image `[h, w, c]` of 1 or 3 channels.
    pub fn of_pixels(pixels: &Pixels<'_>, [height, width, channels]: [usize; 3]) -> Option<Self> {
        let bytes = match pixels {
            Pixels::Bytes(bytes) => bytes.to_vec(),
            Pixels::Floats(values) => {
                let (low, high) = brightness(values);
                values.iter().map(|&v| byte(v, low, high)).collect()
            }
        };
        let fits = matches!(channels, 1 | 3) && bytes.len() == height * width * channels;
        (fits && !bytes.is_empty()).then_some(Self {
            width,
            height,
            channels,
            bytes,
        })
    }

    /// Values over `[h, w]`, or three colours of that, `[3, h, w]`; dark to bright from `low` to
    /// `high`.
    pub fn of_values(values: &[f32], [height, width]: [usize; 2], (low, high): (f32, f32)) -> Self {
        let positions = height * width;
        let is_coloured = values.len() == 3 * positions;
        let has_nan = values.iter().any(|value| value.is_nan());
        let at = |position: usize| {
            let colours =
                [0, 1, 2].map(|c| values[usize::from(is_coloured) * c * positions + position]);
            match colours.iter().any(|value| value.is_nan()) {
                true => [NO_NUMBER[0], NO_NUMBER[1], NO_NUMBER[2]],
                false => colours.map(|value| byte(value, low, high)),
            }
        };
        let (channels, bytes) = match is_coloured || has_nan {
            true => (3, (0..positions).flat_map(at).collect()),
            false => (1, values.iter().map(|&v| byte(v, low, high)).collect()),
        };
        Self {
            width,
            height,
            channels,
            bytes,
        }
    }

    /// At most `side` pixels wide and high.
    pub fn shrunk(&self, side: usize) -> Result<Self, String> {
        let [width, height] = within([self.width, self.height], side);
        if [width, height] == [self.width, self.height] {
            return Ok(self.clone());
        }
        let pixel = match self.channels {
            1 => PixelType::U8,
            _ => PixelType::U8x3,
        };
        let size = |extent: usize| u32::try_from(extent).map_err(|error| error.to_string());
        let bytes = self.bytes.clone();
        let from = Image::from_vec_u8(size(self.width)?, size(self.height)?, bytes, pixel);
        let from = from.map_err(|error| error.to_string())?;
        let mut to = Image::new(size(width)?, size(height)?, pixel);
        let resized = Resizer::new().resize(&from, &mut to, None);
        resized.map_err(|error| error.to_string())?;
        Ok(Self {
            width,
            height,
            channels: self.channels,
            bytes: to.into_vec(),
        })
    }

    /// As a file.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        let colour = match self.channels {
            1 => ColorType::Grayscale,
            _ => ColorType::Rgb,
        };
        encode([self.width, self.height], colour, None, &self.bytes)
    }
}

/// Colours that lie over another picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Overlay {
    pub width: usize,
    pub height: usize,
    /// Which colour of the palette.
    pub places: Vec<u8>,
    /// Red, green, blue, opacity; at most 256.
    pub palette: Vec<[u8; 4]>,
}

impl Overlay {
    /// At most `side` pixels wide and high; each takes the colour at its middle.
    pub fn shrunk(&self, side: usize) -> Self {
        let [width, height] = within([self.width, self.height], side);
        let rows = (0..height).map(|y| (2 * y + 1) * self.height / (2 * height) * self.width);
        let places = rows.flat_map(|row| {
            (0..width).map(move |x| self.places[row + (2 * x + 1) * self.width / (2 * width)])
        });
        Self {
            width,
            height,
            places: places.collect(),
            palette: self.palette.clone(),
        }
    }

    /// As a file.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        let palette = Some(self.palette.as_slice());
        let size = [self.width, self.height];
        encode(size, ColorType::Indexed, palette, &self.places)
    }
}

fn encode(
    [width, height]: [usize; 2],
    colour: ColorType,
    palette: Option<&[[u8; 4]]>,
    bytes: &[u8],
) -> Result<Vec<u8>, String> {
    let size = |extent: usize| u32::try_from(extent).map_err(|error| error.to_string());
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, size(width)?, size(height)?);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::High);
    if let Some(palette) = palette {
        encoder.set_palette(
            palette
                .iter()
                .flat_map(|c| [c[0], c[1], c[2]])
                .collect::<Vec<u8>>(),
        );
        encoder.set_trns(palette.iter().map(|c| c[3]).collect::<Vec<u8>>());
    }
    let mut writer = encoder.write_header().map_err(|error| error.to_string())?;
    let written = writer.write_image_data(bytes);
    written.map_err(|error| error.to_string())?;
    writer.finish().map_err(|error| error.to_string())?;
    Ok(file)
}

/// A size, made smaller in proportion where a side is longer than `side`.
fn within([width, height]: [usize; 2], side: usize) -> [usize; 2] {
    let longest = width.max(height);
    if longest <= side {
        return [width, height];
    }
    [width, height].map(|extent| (extent * side).div_ceil(longest).max(1))
}

/// Height and width of values that can be drawn: over two axes, or three colours of that.
pub(super) fn image_size(shape: &[usize]) -> Option<[usize; 2]> {
    let size = match flat(shape).as_slice() {
        &[height, width] | &[3, height, width] => [height, width],
        _ => return None,
    };
    size.iter().all(|&side| side >= LEAST_SIDE).then_some(size)
}

/// Extents without those of 1.
pub(super) fn flat(shape: &[usize]) -> Vec<usize> {
    let extents = shape.iter().copied();
    extents.filter(|&extent| extent != 1).collect()
}

/// Least and largest of the finite values.
pub(super) fn range(values: impl IntoIterator<Item = f32>) -> (f32, f32) {
    let finite = values.into_iter().filter(|value| value.is_finite());
    let range = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if range.0 > range.1 { (0.0, 1.0) } else { range }
}

/// What values of images are black and white: 0 and 1, or 0 and 255, where all lie between.
fn brightness(values: &[f32]) -> (f32, f32) {
    match range(values.iter().copied()) {
        (low, high) if low >= 0.0 && high <= 1.0 => (0.0, 1.0),
        (low, high) if low >= 0.0 && high <= 255.0 => (0.0, 255.0),
        other => other,
    }
}

fn byte(value: f32, low: f32, high: f32) -> u8 {
    let width = high - low;
    let share = if width > 0.0 {
        (value - low) / width
    } else {
        0.0
    };
    // Casts saturate; NaN becomes 0.
    (share * 255.0).round() as u8
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Width, height and the values of a PNG file.
    pub(in crate::examples) fn decoded(file: &[u8]) -> ([u32; 2], Vec<u8>) {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        bytes.truncate(info.buffer_size());
        ([info.width, info.height], bytes)
    }

    #[test]
    fn images_come_back_from_their_files() {
        let bytes: Vec<u8> = (0..24).map(|i| i * 10).collect();
        let pixels = Pixels::Bytes(bytes.as_slice().into());
        let colour = Raster::of_pixels(&pixels, [2, 4, 3]).unwrap();
        assert_eq!(decoded(&colour.png().unwrap()), ([4, 2], bytes.clone()));
        let grey = Raster::of_pixels(&pixels, [4, 6, 1]).unwrap();
        assert_eq!(decoded(&grey.png().unwrap()), ([6, 4], bytes.clone()));
        assert!(Raster::of_pixels(&pixels, [3, 4, 2]).is_none());
        assert!(Raster::of_pixels(&pixels, [3, 4, 3]).is_none());
    }

    #[test]
    fn values_are_dark_to_bright_and_no_numbers_stand_out() {
        let check = |values: &[f32], expected: &[u8]| {
            let pixels = Pixels::Floats(values.into());
            let raster = Raster::of_pixels(&pixels, [1, values.len(), 1]).unwrap();
            assert_eq!(raster.bytes, expected, "{values:?}");
        };
        check(&[0.0, 0.2, 1.0], &[0, 51, 255]);
        check(&[0.0, 51.0, 204.0], &[0, 51, 204]);
        check(&[-1.0, 0.0, 1.0], &[0, 128, 255]);
        check(&[5e9, 5e9], &[0, 0]);
        check(&[f32::NAN, f32::INFINITY, 1.0], &[0, 255, 255]);
        let drawn = Raster::of_values(&[f32::NAN, 2.0], [1, 2], (0.0, 2.0));
        assert_eq!(drawn.bytes, [230, 0, 230, 255, 255, 255]);
        let colours = [0.0, 1.0, 2.0, 0.0, 1.0, f32::NAN];
        let drawn = Raster::of_values(&colours, [1, 2], (0.0, 2.0));
        assert_eq!(drawn.bytes, [0, 255, 128, 230, 0, 230]);
    }

    #[test]
    fn what_has_two_axes_or_three_colours_is_an_image() {
        assert_eq!(image_size(&[1, 8, 9]), Some([8, 9]));
        assert_eq!(image_size(&[3, 8, 9]), Some([8, 9]));
        assert_eq!(image_size(&[8, 9]), Some([8, 9]));
        for shape in [&[4, 8, 9][..], &[7, 9], &[90], &[]] {
            assert_eq!(image_size(shape), None, "{shape:?}");
        }
    }

    #[test]
    fn large_pictures_are_made_smaller_in_proportion() {
        let white = Raster::of_values(&[1.0; 200], [2, 100], (0.0, 1.0));
        let small = white.shrunk(10).unwrap();
        assert_eq!((small.width, small.height), (10, 1));
        assert_eq!(small.bytes, [255; 10]);
        assert_eq!(white.shrunk(100).unwrap(), white);
        let overlay = Overlay {
            width: 4,
            height: 2,
            places: vec![0, 0, 1, 1, 1, 1, 0, 0],
            palette: vec![[0; 4], [9, 8, 7, 128]],
        };
        let half = overlay.shrunk(2);
        assert_eq!((half.width, half.height), (2, 1));
        assert_eq!(half.places, [1, 0]);
        let (size, bytes) = decoded(&half.png().unwrap());
        assert_eq!((size, bytes), ([2, 1], vec![9, 8, 7, 128, 0, 0, 0, 0]));
    }
}
