//! Values of an array as images or as labels.

use std::io::Read;
use std::path::Path;

use super::header::{Dtype, Header, Kind};
use crate::data::memory::Values;
use crate::data::{DataError, Layout};

/// Values read at a time; memory grows with what is there, not with what a header claims.
const CHUNK: usize = 1 << 16;
/// Labels are classes, not numbers of any size.
const MAX_LABEL: u32 = 999_999;

/// Images `[n, h, w, c]`.
#[derive(Debug)]
pub(super) struct Images {
    pub(super) n: usize,
    pub(super) shape: [usize; 3],
    pub(super) values: Values,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(i64),
    Float(f64),
}

impl Dtype {
    fn number(self, bytes: &[u8]) -> Number {
        let mut wide = [0u8; 8];
        for (i, &byte) in bytes.iter().enumerate() {
            let place = if self.big_endian {
                self.size - 1 - i
            } else {
                i
            };
            wide[place] = byte;
        }
        let bits = u64::from_le_bytes(wide);
        match self.kind {
            Kind::Bool => Number::Whole(i64::from(bits != 0)),
            // Beyond i64 no label and no pixel is meant.
            Kind::Unsigned => Number::Whole(i64::try_from(bits).unwrap_or(i64::MAX)),
            Kind::Signed => {
                let unused = 64 - 8 * self.size as u32;
                Number::Whole((bits as i64) << unused >> unused)
            }
            Kind::Float => Number::Float(match self.size {
                2 => half::f16::from_bits(bits as u16).to_f64(),
                4 => f64::from(f32::from_bits(bits as u32)),
                _ => f64::from_bits(bits),
            }),
        }
    }
}

/// Calls `take` with all values, a chunk at a time.
fn for_each_chunk(
    path: &Path,
    header: &Header,
    reader: &mut impl Read,
    mut take: impl FnMut(usize, &[u8]) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let size = header.dtype.size;
    let mut chunk = vec![0u8; CHUNK * size];
    let mut done = 0;
    while done < header.n_values {
        let n = CHUNK.min(header.n_values - done);
        let bytes = &mut chunk[..n * size];
        let mut filled = 0;
        while filled < bytes.len() {
            match reader.read(&mut bytes[filled..]) {
                Ok(0) => {
                    return Err(DataError::format(
                        path,
                        format!("{} values as its header promises", header.n_values),
                        format!("{}", done + filled / size),
                    ));
                }
                Ok(n) => filled += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DataError::io(path, &error)),
            }
        }
        take(done, bytes)?;
        done += n;
    }
    match reader.read(&mut [0]) {
        Ok(0) => Ok(()),
        Ok(_) => Err(DataError::format(
            path,
            format!("{} values as its header promises", header.n_values),
            "more bytes after them",
        )),
        Err(error) => Err(DataError::io(path, &error)),
    }
}

/// Reads images: bytes stay bytes, whole numbers from 0 to 255 become bytes, floats stay as
/// they are.
pub(super) fn read_images(
    path: &Path,
    header: &Header,
    layout: Option<Layout>,
    reader: &mut impl Read,
) -> Result<Images, DataError> {
    let axes = axes(path, &header.shape, layout)?;
    let dtype = header.dtype;
    let values = match dtype.kind {
        Kind::Float => {
            let mut values: Vec<f32> = Vec::new();
            for_each_chunk(path, header, reader, |done, bytes| {
                for (i, bytes) in bytes.chunks_exact(dtype.size).enumerate() {
                    let Number::Float(value) = dtype.number(bytes) else {
                        continue;
                    };
                    let value = value as f32;
                    if !value.is_finite() {
                        return Err(DataError::unsupported(
                            path,
                            "finite values",
                            format!("{value} at index {}", done + i),
                        ));
                    }
                    values.push(value);
                }
                Ok(())
            })?;
            Values::Floats(values)
        }
        Kind::Unsigned | Kind::Signed => {
            let mut values: Vec<u8> = Vec::new();
            for_each_chunk(path, header, reader, |done, bytes| {
                if dtype.kind == Kind::Unsigned && dtype.size == 1 {
                    values.extend_from_slice(bytes);
                    return Ok(());
                }
                for (i, bytes) in bytes.chunks_exact(dtype.size).enumerate() {
                    let Number::Whole(value) = dtype.number(bytes) else {
                        continue;
                    };
                    let byte = u8::try_from(value).map_err(|_| {
                        DataError::unsupported(
                            path,
                            "whole numbers from 0 to 255",
                            format!("{value} at index {}", done + i),
                        )
                    })?;
                    values.push(byte);
                }
                Ok(())
            })?;
            Values::Bytes(values)
        }
        Kind::Bool => {
            return Err(DataError::unsupported(
                path,
                "images of numbers",
                "truth values",
            ));
        }
    };
    let strides = axes.map(|axis| stride(header, axis));
    let extents = axes.map(|axis| axis.map_or(1, |axis| header.shape[axis]));
    let values = match values {
        Values::Bytes(values) => Values::Bytes(permuted(values, extents, strides)),
        Values::Floats(values) => Values::Floats(permuted(values, extents, strides)),
    };
    let [n, h, w, c] = extents;
    Ok(Images {
        n,
        shape: [h, w, c],
        values,
    })
}

/// Channels that an image may have, so that their axis can be told from height and width.
const CHANNELS: std::ops::RangeInclusive<usize> = 1..=4;

/// Which axes of the array are n, h, w and c; without channels the last is `None`.
fn axes(
    path: &Path,
    shape: &[usize],
    layout: Option<Layout>,
) -> Result<[Option<usize>; 4], DataError> {
    if shape.contains(&0) {
        return Err(DataError::Empty {
            path: path.to_path_buf(),
        });
    }
    let layout = match (shape.len(), layout) {
        (3, _) => return Ok([Some(0), Some(1), Some(2), None]),
        (4, Some(layout)) => layout,
        (4, None) => match (CHANNELS.contains(&shape[1]), CHANNELS.contains(&shape[3])) {
            (true, false) => Layout::Nchw,
            (false, true) => Layout::Nhwc,
            (first, _) => {
                let which = if first { "both" } else { "neither" };
                return Err(DataError::UnclearLayout {
                    path: path.to_path_buf(),
                    reason: format!(
                        "{which} of axis 1 and axis 3 of {shape:?} can be 1 to 4 channels"
                    ),
                });
            }
        },
        _ => {
            return Err(DataError::unsupported(
                path,
                "images [n, h, w], [n, h, w, c] or [n, c, h, w]",
                format!("{shape:?}"),
            ));
        }
    };
    Ok(match layout {
        Layout::Nhwc => [Some(0), Some(1), Some(2), Some(3)],
        Layout::Nchw => [Some(0), Some(2), Some(3), Some(1)],
    })
}

/// Values between neighbours along an axis.
fn stride(header: &Header, axis: Option<usize>) -> usize {
    let Some(axis) = axis else { return 0 };
    let faster = if header.fortran_order {
        &header.shape[..axis]
    } else {
        &header.shape[axis + 1..]
    };
    faster.iter().product()
}

/// The values in the order of `extents`, which lie `strides` apart.
fn permuted<T: Copy>(values: Vec<T>, extents: [usize; 4], strides: [usize; 4]) -> Vec<T> {
    let [n, h, w, c] = extents;
    if strides == [h * w * c, w * c, c, 1] || (c == 1 && strides[..3] == [h * w, w, 1]) {
        return values;
    }
    let mut result = Vec::with_capacity(values.len());
    for i in 0..n {
        for y in 0..h {
            for x in 0..w {
                let start = i * strides[0] + y * strides[1] + x * strides[2];
                result.extend((0..c).map(|channel| values[start + channel * strides[3]]));
            }
        }
    }
    result
}

/// Reads labels: `[n]` or `[n, 1]` whole numbers (also as floats), or `[n, classes]` with a
/// single one in each row.
pub(super) fn read_labels(
    path: &Path,
    header: &Header,
    reader: &mut impl Read,
) -> Result<Vec<u32>, DataError> {
    let classes = match header.shape.as_slice() {
        [0, ..] => {
            return Err(DataError::Empty {
                path: path.to_path_buf(),
            });
        }
        [_] | [_, 1] => None,
        [_, classes] if *classes > 1 => Some(*classes),
        shape => {
            return Err(DataError::unsupported(
                path,
                "labels [n], [n, 1] or [n, classes]",
                format!("{shape:?}"),
            ));
        }
    };
    let dtype = header.dtype;
    let mut values: Vec<u32> = Vec::new();
    for_each_chunk(path, header, reader, |done, bytes| {
        for (i, bytes) in bytes.chunks_exact(dtype.size).enumerate() {
            let (value, text) = match dtype.number(bytes) {
                Number::Whole(value) => (u32::try_from(value).ok(), value.to_string()),
                Number::Float(value) => {
                    let whole =
                        value >= 0.0 && value <= f64::from(MAX_LABEL) && value.fract() == 0.0;
                    (whole.then_some(value as u32), value.to_string())
                }
            };
            match value.filter(|&value| value <= MAX_LABEL) {
                Some(value) => values.push(value),
                None => {
                    return Err(DataError::unsupported(
                        path,
                        format!("labels that are whole numbers from 0 to {MAX_LABEL}"),
                        format!("{text} at index {}", done + i),
                    ));
                }
            }
        }
        Ok(())
    })?;
    let Some(classes) = classes else {
        return Ok(values);
    };
    // Row by row, whichever axis is the faster.
    let n = header.shape[0];
    let (row, column) = (stride(header, Some(0)), stride(header, Some(1)));
    (0..n)
        .map(|i| {
            let mut ones = (0..classes).filter(|&k| values[i * row + k * column] == 1);
            let zeros = (0..classes)
                .filter(|&k| values[i * row + k * column] == 0)
                .count();
            match (ones.next(), zeros + 1 == classes) {
                (Some(label), true) => Ok(u32::try_from(label).unwrap_or(u32::MAX)),
                _ => Err(DataError::unsupported(
                    path,
                    "a single 1 among zeros in each row of labels",
                    format!("another row {i}"),
                )),
            }
        })
        .collect()
}
