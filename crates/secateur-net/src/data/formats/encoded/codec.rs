//! JPEG, PNG and WebP files as bytes of grey or colour.

use std::io::Cursor;

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use crate::data::Cause;

/// Pixels that a file may hold; more is a mistake or an attack. PIL warns from 89 million
/// and refuses from 179 million on.
const MAX_PIXELS: usize = 179_000_000;

/// A decoded file.
#[derive(Debug)]
pub(super) struct Decoded {
    /// `[h, w]`.
    pub(super) size: [usize; 2],
    /// 1: grey, 2: grey and alpha, 3: colour, 4: colour and alpha.
    pub(super) channels: usize,
    /// `[h, w, channels]`.
    pub(super) pixels: Vec<u8>,
}

/// What a file's header says.
#[derive(Debug)]
pub(super) struct Header {
    /// `[h, w]`.
    pub(super) size: [usize; 2],
    pub(super) has_colour: bool,
}

enum Format {
    Jpeg,
    Png,
    WebP,
}

/// By content: files are often named wrongly.
fn format(file: &[u8]) -> Result<Format, Cause> {
    match file {
        [] => Err("it is empty".into()),
        [0xff, 0xd8, ..] => Ok(Format::Jpeg),
        [0x89, b'P', b'N', b'G', ..] => Ok(Format::Png),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Ok(Format::WebP),
        _ => Err("it is no JPEG, PNG or WebP image".into()),
    }
}

fn check_size(h: usize, w: usize) -> Result<[usize; 2], Cause> {
    match h.checked_mul(w) {
        Some(1..=MAX_PIXELS) => Ok([h, w]),
        _ => Err(format!("{h}x{w} pixels are none or too many").into()),
    }
}

/// Reads the header.
pub(super) fn header(file: &[u8]) -> Result<Header, Cause> {
    match format(file)? {
        Format::Jpeg => {
            let decoder = jpeg(file, false)?;
            let (w, h) = decoder.dimensions().unwrap_or_default();
            Ok(Header {
                size: check_size(h, w)?,
                has_colour: decoder.input_colorspace() != Some(ColorSpace::Luma),
            })
        }
        Format::Png => {
            let reader = png(file)?;
            let info = reader.info();
            Ok(Header {
                size: check_size(info.height as usize, info.width as usize)?,
                has_colour: !matches!(
                    info.color_type,
                    png::ColorType::Grayscale | png::ColorType::GrayscaleAlpha
                ),
            })
        }
        Format::WebP => {
            let decoder = webp(file)?;
            let (w, h) = decoder.dimensions();
            Ok(Header {
                size: check_size(h as usize, w as usize)?,
                has_colour: true,
            })
        }
    }
}

/// Decodes a whole file; one that breaks off is an error. Of an animation the first frame.
pub(super) fn decode(file: &[u8]) -> Result<Decoded, Cause> {
    match format(file)? {
        Format::Jpeg => match decode_jpeg(file, true) {
            // The standard allows them, and some files of ImageNet have them.
            Err(error) if error.to_string().contains("Extra bytes between headers") => {
                decode_jpeg(file, false)
            }
            result => result,
        },
        Format::Png => decode_png(file),
        Format::WebP => decode_webp(file),
    }
}

fn jpeg(file: &[u8], strict: bool) -> Result<zune_jpeg::JpegDecoder<ZCursor<&[u8]>>, Cause> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers()?;
    let colours = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => ColorSpace::Luma,
        // Colour is stored as YCbCr, in files for printing as CMYK; the decoder converts both.
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    Ok(decoder)
}

fn decode_jpeg(file: &[u8], strict: bool) -> Result<Decoded, Cause> {
    let mut decoder = jpeg(file, strict)?;
    let (w, h) = decoder.dimensions().unwrap_or_default();
    let size = check_size(h, w)?;
    let pixels = decoder.decode()?;
    let channels = match decoder.output_colorspace() {
        Some(ColorSpace::Luma) => 1,
        _ => 3,
    };
    finish(size, channels, pixels)
}

fn png(file: &[u8]) -> Result<png::Reader<Cursor<&[u8]>>, Cause> {
    let limits = png::Limits {
        bytes: 4 * MAX_PIXELS,
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), limits);
    // Palettes become colours, 16 bits become 8, transparency becomes alpha.
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    Ok(decoder.read_info()?)
}

fn decode_png(file: &[u8]) -> Result<Decoded, Cause> {
    let mut reader = png(file)?;
    let size = check_size(reader.info().height as usize, reader.info().width as usize)?;
    let n_bytes = reader.output_buffer_size().ok_or("it is too large")?;
    let mut pixels = vec![0; n_bytes];
    let info = reader.next_frame(&mut pixels)?;
    finish(size, info.color_type.samples(), pixels)
}

fn webp(file: &[u8]) -> Result<image_webp::WebPDecoder<Cursor<&[u8]>>, Cause> {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(file))?;
    decoder.set_memory_limit(4 * MAX_PIXELS);
    Ok(decoder)
}

fn decode_webp(file: &[u8]) -> Result<Decoded, Cause> {
    let mut decoder = webp(file)?;
    let (w, h) = decoder.dimensions();
    let size = check_size(h as usize, w as usize)?;
    let n_bytes = decoder.output_buffer_size().ok_or("it is too large")?;
    let mut pixels = vec![0; n_bytes];
    decoder.read_image(&mut pixels)?;
    finish(size, if decoder.has_alpha() { 4 } else { 3 }, pixels)
}

fn finish(size: [usize; 2], channels: usize, pixels: Vec<u8>) -> Result<Decoded, Cause> {
    let expected = size[0] * size[1] * channels;
    if pixels.len() == expected {
        Ok(Decoded {
            size,
            channels,
            pixels,
        })
    } else {
        Err(format!("{} bytes of pixels instead of {expected}", pixels.len()).into())
    }
}
