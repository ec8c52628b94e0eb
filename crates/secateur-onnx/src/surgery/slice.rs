//! Selecting and zeroing positions of a tensor's axes.

use crate::model::{Tensor, Values};

/// Offsets of the selected elements, in order.
fn offsets(shape: &[usize], axes: &[Option<Vec<usize>>]) -> (Vec<usize>, Vec<usize>) {
    let mut selected = vec![0usize];
    let mut new_shape = Vec::with_capacity(shape.len());
    for (axis, &extent) in shape.iter().enumerate() {
        let kept = axes.get(axis).and_then(Option::as_ref);
        let count = kept.map_or(extent, Vec::len);
        new_shape.push(count);
        let mut next = Vec::with_capacity(selected.len() * count);
        for base in selected {
            match kept {
                Some(kept) => next.extend(kept.iter().map(|p| base * extent + p)),
                None => next.extend((0..extent).map(|p| base * extent + p)),
            }
        }
        selected = next;
    }
    (new_shape, selected)
}

/// The tensor with only the kept positions of each axis.
pub(super) fn select(tensor: &Tensor, axes: &[Option<Vec<usize>>]) -> Tensor {
    let (shape, offsets) = offsets(&tensor.shape, axes);
    macro_rules! pick {
        ($values:expr) => {
            offsets.iter().map(|&offset| $values[offset]).collect()
        };
    }
    let values = match &tensor.values {
        Values::F32(v) => Values::F32(pick!(v)),
        Values::F64(v) => Values::F64(pick!(v)),
        Values::F16(v) => Values::F16(pick!(v)),
        Values::Bf16(v) => Values::Bf16(pick!(v)),
        Values::I64(v) => Values::I64(pick!(v)),
        Values::I32(v) => Values::I32(pick!(v)),
        Values::Bool(v) => Values::Bool(pick!(v)),
        Values::Opaque { data_type } => Values::Opaque {
            data_type: *data_type,
        },
        Values::Other {
            data_type,
            width,
            bytes,
        } => Values::Other {
            data_type: *data_type,
            width: *width,
            bytes: offsets
                .iter()
                .flat_map(|&offset| &bytes[offset * width..(offset + 1) * width])
                .copied()
                .collect(),
        },
    };
    Tensor { shape, values }
}

/// Sets the positions of one axis to zero.
pub(super) fn zero(tensor: &mut Tensor, axis: usize, positions: &[usize]) {
    let mut axes = vec![None; tensor.shape.len()];
    axes[axis] = Some(positions.to_vec());
    let (_, offsets) = offsets(&tensor.shape, &axes);
    macro_rules! clear {
        ($values:expr) => {
            offsets
                .iter()
                .for_each(|&offset| $values[offset] = Default::default())
        };
    }
    match &mut tensor.values {
        Values::F32(v) => clear!(v),
        Values::F64(v) => clear!(v),
        Values::F16(v) | Values::Bf16(v) => clear!(v),
        Values::I64(v) => clear!(v),
        Values::I32(v) => clear!(v),
        Values::Bool(v) => clear!(v),
        Values::Opaque { .. } => {}
        Values::Other { width, bytes, .. } => {
            for offset in offsets {
                bytes[offset * *width..(offset + 1) * *width].fill(0);
            }
        }
    }
}
