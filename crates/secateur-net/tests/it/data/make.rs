//! Small files in every format.

use std::io::Write;
use std::path::Path;

/// Colour of each pixel.
pub type Picture<'a> = &'a dyn Fn(usize, usize) -> [u8; 3];

fn rgb([h, w]: [usize; 2], picture: Picture<'_>) -> Vec<u8> {
    (0..h)
        .flat_map(|y| (0..w).flat_map(move |x| picture(y, x)))
        .collect()
}

pub fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

pub fn jpeg(size: [usize; 2], picture: Picture<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, 95);
    let (h, w) = (size[0] as u16, size[1] as u16);
    encoder
        .encode(&rgb(size, picture), w, h, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    bytes
}

/// A PNG of any kind; `data` is as the format stores it.
pub fn png_of(
    size: [usize; 2],
    color: png::ColorType,
    depth: png::BitDepth,
    palette: Option<&[u8]>,
    data: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size[1] as u32, size[0] as u32);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if let Some(palette) = palette {
        encoder.set_palette(palette);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    bytes
}

pub fn png(size: [usize; 2], picture: Picture<'_>) -> Vec<u8> {
    let (color, depth) = (png::ColorType::Rgb, png::BitDepth::Eight);
    png_of(size, color, depth, None, &rgb(size, picture))
}

pub fn webp(size: [usize; 2], picture: Picture<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (h, w) = (size[0] as u32, size[1] as u32);
    image_webp::WebPEncoder::new(&mut bytes)
        .encode(&rgb(size, picture), w, h, image_webp::ColorType::Rgb8)
        .unwrap();
    bytes
}

/// An image of one colour.
pub fn plain(colour: [u8; 3]) -> impl Fn(usize, usize) -> [u8; 3] {
    move |_, _| colour
}

/// `n` PNG images of `size` in each of `classes`, all different.
pub fn class_folders(dir: &Path, classes: &[&str], n: usize, size: [usize; 2]) {
    for (class, name) in classes.iter().enumerate() {
        for i in 0..n {
            let picture = move |y: usize, x: usize| {
                let seed = class * 1009 + i * 101 + y * 13 + x * 7;
                [seed as u8, (seed * 3) as u8, (seed * 5 + 1) as u8]
            };
            write(
                &dir.join(name).join(format!("{i:03}.png")),
                &png(size, &picture),
            );
        }
    }
}

/// An `.npy` file.
pub fn npy(descr: &str, fortran_order: bool, shape: &[usize], values: &[u8]) -> Vec<u8> {
    let order = if fortran_order { "True" } else { "False" };
    let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({extents}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values);
    bytes
}

/// An `.npz` file of named `.npy` files.
pub fn npz(arrays: &[(&str, Vec<u8>)], deflated: bool) -> Vec<u8> {
    let mut output = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut output);
    for (name, bytes) in arrays {
        let name = format!("{name}.npy");
        let file = archive.new_file(&name);
        if deflated {
            let (mut entry, config) = file
                .compression_method(rawzip::CompressionMethod::DEFLATE)
                .start()
                .unwrap();
            let level = flate2::Compression::default();
            let mut writer = config.wrap(flate2::write::DeflateEncoder::new(&mut entry, level));
            writer.write_all(bytes).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            entry.finish(descriptor).unwrap();
        } else {
            let (mut entry, config) = file.start().unwrap();
            let mut writer = config.wrap(&mut entry);
            writer.write_all(bytes).unwrap();
            let (_, descriptor) = writer.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
    }
    archive.finish().unwrap();
    output
}
