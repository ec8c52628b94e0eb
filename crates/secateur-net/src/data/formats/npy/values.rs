//! Values of an array as images or as labels.

use std::fmt::Display;
use std::path::Path;

use npyz::TypeChar;

use super::array::Array;
use crate::data::memory::Values;
use crate::data::{DataError, Layout};

/// Labels are classes, not numbers of any size.
const MAX_LABEL: f64 = 999_999.0;

/// Images `[n, h, w, c]`.
#[derive(Debug)]
pub(super) struct Images {
    pub(super) n: usize,
    pub(super) shape: [usize; 3],
    pub(super) values: Values,
}

/// Reads images: bytes stay bytes, whole numbers from 0 to 255 become bytes, floats stay as
/// they are.
pub(super) fn read_images(array: Array<'_>, layout: Option<Layout>) -> Result<Images, DataError> {
    let axes = axes(array.path, &array.shape, layout)?;
    let strides = axes.map(|axis| axis.map_or(0, |axis| array.strides[axis]));
    let extents = axes.map(|axis| axis.map_or(1, |axis| array.shape[axis]));
    let values = match array.kind() {
        Some((TypeChar::Bool, _)) => {
            let expected = "images of numbers";
            return Err(DataError::unsupported(array.path, expected, "truth values"));
        }
        Some((TypeChar::Uint, 1)) => Values::Bytes(permuted(array.bytes()?, extents, strides)),
        Some((TypeChar::Float, _)) => Values::Floats(permuted(floats(array)?, extents, strides)),
        _ => Values::Bytes(permuted(whole_numbers(array)?, extents, strides)),
    };
    let [n, h, w, c] = extents;
    Ok(Images {
        n,
        shape: [h, w, c],
        values,
    })
}

fn floats(array: Array<'_>) -> Result<Vec<f32>, DataError> {
    let path = array.path;
    array.collect(|index, value| match value as f32 {
        value if value.is_finite() => Ok(value),
        value => Err(unusable(path, "finite values", value, index)),
    })
}

fn whole_numbers(array: Array<'_>) -> Result<Vec<u8>, DataError> {
    let path = array.path;
    array.collect(|index, value| match value {
        0.0..=255.0 => Ok(value as u8),
        _ => Err(unusable(path, "whole numbers from 0 to 255", value, index)),
    })
}

fn unusable(path: &Path, expected: &str, value: impl Display, index: usize) -> DataError {
    DataError::unsupported(path, expected, format!("{value} at index {index}"))
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
pub(super) fn read_labels(array: Array<'_>) -> Result<Vec<u32>, DataError> {
    match array.shape.as_slice() {
        [0, ..] => Err(DataError::Empty {
            path: array.path.to_path_buf(),
        }),
        [_] | [_, 1] => small_numbers(array),
        [n, classes] if *classes > 1 => {
            let (path, shape) = (array.path, [*n, *classes]);
            let strides = [array.strides[0], array.strides[1]];
            rows(path, shape, strides, &small_numbers(array)?)
        }
        shape => Err(DataError::unsupported(
            array.path,
            "labels [n], [n, 1] or [n, classes]",
            format!("{shape:?}"),
        )),
    }
}

fn small_numbers(array: Array<'_>) -> Result<Vec<u32>, DataError> {
    let path = array.path;
    array.collect(|index, value| {
        if (0.0..=MAX_LABEL).contains(&value) && value.fract() == 0.0 {
            return Ok(value as u32);
        }
        let expected = format!("labels that are whole numbers from 0 to {MAX_LABEL}");
        Err(unusable(path, &expected, value, index))
    })
}

/// The place of the 1 in each row, whichever axis is the faster.
fn rows(
    path: &Path,
    [n, classes]: [usize; 2],
    [row, column]: [usize; 2],
    values: &[u32],
) -> Result<Vec<u32>, DataError> {
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
