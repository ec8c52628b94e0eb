//! Values of an array as images, as labels, or as they are.

use std::fmt::Display;
use std::path::Path;

use npyz::TypeChar;

use super::array::Array;
use crate::data::arrays::ArrayValues;
use crate::data::formats::names::MAX_LABEL;
use crate::data::memory::Values;
use crate::data::{DataError, Layout};

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
        Some((TypeChar::Uint, 1)) => Values::Bytes(permuted(array.bytes()?, &extents, &strides)),
        Some((TypeChar::Float, _)) => Values::Floats(permuted(floats(array)?, &extents, &strides)),
        _ => Values::Bytes(permuted(whole_numbers(array)?, &extents, &strides)),
    };
    let [n, h, w, c] = extents;
    Ok(Images {
        n,
        shape: [h, w, c],
        values,
    })
}

/// Reads values of any rank in their own type, row-major: nothing is scaled.
pub(super) fn read_values(array: Array<'_>) -> Result<ArrayValues, DataError> {
    if array.shape.contains(&0) {
        let got = format!("an empty array {:?}", array.shape);
        return Err(DataError::unsupported(
            array.path,
            "at least one value",
            got,
        ));
    }
    let (extents, strides) = (array.shape.clone(), array.strides.clone());
    Ok(match array.number()? {
        (TypeChar::Float, _) => ArrayValues::Floats(permuted(floats(array)?, &extents, &strides)),
        (TypeChar::Uint, 1) => ArrayValues::Bytes(permuted(array.bytes()?, &extents, &strides)),
        (TypeChar::Bool, _) => {
            let values = array.collect(|_, value| Ok(value != 0.0))?;
            ArrayValues::Bools(permuted(values, &extents, &strides))
        }
        _ => {
            let values = array.collect(|_, value| Ok(value as i64))?;
            ArrayValues::Ints(permuted(values, &extents, &strides))
        }
    })
}

fn floats(array: Array<'_>) -> Result<Vec<f32>, DataError> {
    let (path, shape, strides) = (array.path, array.shape.clone(), array.strides.clone());
    array.collect(|index, value| match value as f32 {
        value if value.is_finite() => Ok(value),
        value => Err(DataError::NotFinite {
            path: path.to_path_buf(),
            value,
            place: place(index, &shape, &strides),
        }),
    })
}

/// The index along each axis of the value at a place in memory.
fn place(offset: usize, shape: &[usize], strides: &[usize]) -> Vec<usize> {
    let axis = |(&extent, &stride): (&usize, &usize)| offset / stride.max(1) % extent.max(1);
    shape.iter().zip(strides).map(axis).collect()
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
pub(super) fn axes(
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

/// The values in the order of `extents`, whose neighbours lie `strides` apart. An axis of one
/// value may have any stride.
fn permuted<T: Copy>(values: Vec<T>, extents: &[usize], strides: &[usize]) -> Vec<T> {
    let mut following = 1;
    let mut is_ordered = true;
    for (&extent, &stride) in extents.iter().zip(strides).rev() {
        is_ordered &= extent == 1 || stride == following;
        following *= extent;
    }
    if is_ordered {
        return values;
    }
    // The innermost axis in a loop of its own.
    let (Some((&n, outer)), Some((&step, outer_strides))) =
        (extents.split_last(), strides.split_last())
    else {
        return values;
    };
    let mut result = Vec::with_capacity(values.len());
    let mut index = vec![0; outer.len()];
    for _ in 0..outer.iter().product::<usize>() {
        let pairs = index.iter().zip(outer_strides);
        let start: usize = pairs.map(|(i, stride)| i * stride).sum();
        result.extend((0..n).map(|i| values[start + i * step]));
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            if index[axis] < outer[axis] {
                break;
            }
            index[axis] = 0;
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
        if (0.0..=f64::from(MAX_LABEL)).contains(&value) && value.fract() == 0.0 {
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
