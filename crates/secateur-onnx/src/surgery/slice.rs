//! Selecting and zeroing positions of a tensor's axes.

use std::ops::Range;

use crate::model::{Tensor, Values};

/// Calls `visit` with start and length of every run of selected elements, in order.
fn runs(shape: &[usize], axes: &[Option<Vec<usize>>], visit: &mut impl FnMut(usize, usize)) {
    let cut = |axis: usize| axes.get(axis).and_then(Option::as_ref);
    // Everything behind the last axis that is cut is copied in one piece.
    let depth = (0..shape.len())
        .rev()
        .find(|&axis| cut(axis).is_some())
        .map_or(0, |axis| axis + 1);
    fn walk<'a>(
        shape: &[usize],
        cut: &dyn Fn(usize) -> Option<&'a Vec<usize>>,
        (axis, depth, start): (usize, usize, usize),
        visit: &mut impl FnMut(usize, usize),
    ) {
        let inner: usize = shape[axis..].iter().product();
        if axis == depth {
            visit(start, inner);
            return;
        }
        let step: usize = shape[axis + 1..].iter().product();
        match cut(axis) {
            Some(kept) => kept.iter().for_each(|position| {
                walk(
                    shape,
                    cut,
                    (axis + 1, depth, start + position * step),
                    visit,
                );
            }),
            None => (0..shape[axis]).for_each(|position| {
                walk(
                    shape,
                    cut,
                    (axis + 1, depth, start + position * step),
                    visit,
                );
            }),
        }
    }
    walk(shape, &cut, (0, depth, 0), visit);
}

/// Extents that are left.
pub(super) fn select_shape(shape: &[usize], axes: &[Option<Vec<usize>>]) -> Vec<usize> {
    let kept = |(axis, &extent): (usize, &usize)| {
        let cut = axes.get(axis).and_then(Option::as_ref);
        cut.map_or(extent, Vec::len)
    };
    shape.iter().enumerate().map(kept).collect()
}

/// The kept positions of each axis, out of elements of `width` bytes.
pub(super) fn select_bytes(
    shape: &[usize],
    width: usize,
    bytes: &[u8],
    axes: &[Option<Vec<usize>>],
) -> Vec<u8> {
    let count: usize = select_shape(shape, axes).iter().product();
    let mut picked = Vec::with_capacity(count * width);
    runs(shape, axes, &mut |start, len| {
        picked.extend_from_slice(&bytes[start * width..(start + len) * width]);
    });
    picked
}

/// The tensor with only the kept positions of each axis.
pub(super) fn select(tensor: &Tensor, axes: &[Option<Vec<usize>>]) -> Tensor {
    let shape = select_shape(&tensor.shape, axes);
    let count: usize = shape.iter().product();
    macro_rules! pick {
        ($values:expr, $width:expr) => {{
            let mut picked = Vec::with_capacity(count * $width);
            runs(&tensor.shape, axes, &mut |start, len| {
                picked.extend_from_slice(&$values[start * $width..(start + len) * $width]);
            });
            picked
        }};
    }
    let values = match &tensor.values {
        Values::F32(v) => Values::F32(pick!(v, 1)),
        Values::F64(v) => Values::F64(pick!(v, 1)),
        Values::F16(v) => Values::F16(pick!(v, 1)),
        Values::Bf16(v) => Values::Bf16(pick!(v, 1)),
        Values::I64(v) => Values::I64(pick!(v, 1)),
        Values::I32(v) => Values::I32(pick!(v, 1)),
        Values::Bool(v) => Values::Bool(pick!(v, 1)),
        Values::Opaque { .. } | Values::Unread { .. } => tensor.values.clone(),
        Values::Other {
            data_type,
            width,
            bytes,
        } => Values::Other {
            data_type: *data_type,
            width: *width,
            bytes: pick!(bytes, *width),
        },
    };
    Tensor { shape, values }
}

/// Keeps the elements of a list at these positions; a list of another kind is empty.
pub(super) fn keep<T: Copy>(list: &mut Vec<T>, positions: &[usize]) {
    if !list.is_empty() {
        *list = positions
            .iter()
            .filter_map(|&at| list.get(at).copied())
            .collect();
    }
}

/// Sets a run of elements to zero.
pub(super) fn clear(tensor: &mut Tensor, run: Range<usize>) {
    match &mut tensor.values {
        Values::F32(v) => v[run].fill(0.0),
        Values::F64(v) => v[run].fill(0.0),
        Values::F16(v) | Values::Bf16(v) => v[run].fill(0),
        Values::I64(v) => v[run].fill(0),
        Values::I32(v) => v[run].fill(0),
        Values::Bool(v) => v[run].fill(false),
        Values::Opaque { .. } | Values::Unread { .. } => {}
        Values::Other { width, bytes, .. } => bytes[run.start * *width..run.end * *width].fill(0),
    }
}
