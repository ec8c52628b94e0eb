//! Stored tensors back into the message, in the storage that they have.

use std::path::Path;

use super::decode::decode;
use super::initializer::{CheckedEnum, Tensor, Values};
use crate::error::{OnnxError, Result};
use crate::proto::TensorProto;
use crate::proto::tensor_proto::{DataLocation, DataType};

fn set_dims(proto: &mut TensorProto, shape: &[usize]) {
    proto.dims = shape
        .iter()
        .map(|&d| i64::try_from(d).unwrap_or(i64::MAX))
        .collect();
}

/// Stores elements in one run of bytes. Those of an external tensor lie in the message
/// until it is written; its entry `location` stays, as a sign that they belong beside it.
pub(crate) fn store_raw(proto: &mut TensorProto, shape: &[usize], bytes: Vec<u8>) {
    set_dims(proto, shape);
    proto.set_raw_data(bytes.into());
    if proto.data_location() == DataLocation::EXTERNAL {
        proto.clear_data_location();
        proto
            .external_data
            .retain(|entry| entry.key() == "location");
    }
}

/// Stores `tensor` in `proto`, in the kind of storage that it has now.
pub(crate) fn store(proto: &mut TensorProto, tensor: &Tensor) {
    if matches!(tensor.values, Values::Opaque { .. } | Values::Unread { .. }) {
        return;
    }
    let typed = !proto.has_raw_data() && proto.data_location() != DataLocation::EXTERNAL;
    set_dims(proto, &tensor.shape);
    if typed {
        match &tensor.values {
            Values::F32(v) => proto.float_data.clone_from(v),
            Values::F64(v) => proto.double_data.clone_from(v),
            Values::I64(v) => proto.int64_data.clone_from(v),
            Values::I32(v) => proto.int32_data.clone_from(v),
            Values::Bool(v) => proto.int32_data = v.iter().map(|&b| i32::from(b)).collect(),
            Values::F16(v) | Values::Bf16(v) => {
                proto.int32_data = v.iter().map(|&b| i32::from(b)).collect();
            }
            Values::Opaque { .. } | Values::Unread { .. } => {}
            Values::Other { width, bytes, .. } => {
                let wide: Vec<u64> = bytes
                    .chunks_exact(*width)
                    .map(|chunk| {
                        chunk
                            .iter()
                            .rev()
                            .fold(0u64, |value, &b| value << 8 | u64::from(b))
                    })
                    .collect();
                if proto.uint64_data.is_empty() {
                    let shift = 64 - 8 * (*width as u32).min(4);
                    let signed = matches!(
                        DataType::from_i32_checked(proto.data_type()),
                        Some(DataType::INT8 | DataType::INT16)
                    );
                    proto.int32_data = wide
                        .iter()
                        .map(|&v| {
                            if signed {
                                ((v << shift) as i64 >> shift) as i32
                            } else {
                                v as i32
                            }
                        })
                        .collect();
                } else {
                    proto.uint64_data = wide;
                }
            }
        }
        return;
    }
    let mut raw = Vec::with_capacity(tensor.n_bytes());
    match &tensor.values {
        Values::F32(v) => v
            .iter()
            .for_each(|x| raw.extend_from_slice(&x.to_le_bytes())),
        Values::F64(v) => v
            .iter()
            .for_each(|x| raw.extend_from_slice(&x.to_le_bytes())),
        Values::I64(v) => v
            .iter()
            .for_each(|x| raw.extend_from_slice(&x.to_le_bytes())),
        Values::I32(v) => v
            .iter()
            .for_each(|x| raw.extend_from_slice(&x.to_le_bytes())),
        Values::F16(v) | Values::Bf16(v) => {
            v.iter()
                .for_each(|x| raw.extend_from_slice(&x.to_le_bytes()));
        }
        Values::Bool(v) => raw.extend(v.iter().map(|&b| u8::from(b))),
        Values::Other { bytes, .. } => raw.extend_from_slice(bytes),
        Values::Opaque { .. } | Values::Unread { .. } => {}
    }
    store_raw(proto, &tensor.shape, raw);
}

/// Replaces the values of a float tensor, keeping type and storage.
pub(crate) fn replace_floats(
    proto: &mut TensorProto,
    name: &str,
    values: &[f32],
    base_dir: Option<&Path>,
) -> Result<()> {
    let mut tensor = decode(proto, name, base_dir)?;
    if tensor.len() != values.len() {
        return Err(OnnxError::Tensor {
            tensor: name.to_string(),
            reason: format!("expected {} values, got {}", tensor.len(), values.len()),
        });
    }
    tensor.values = match tensor.values {
        Values::F32(_) => Values::F32(values.to_vec()),
        Values::F64(_) => Values::F64(values.iter().map(|&v| f64::from(v)).collect()),
        Values::F16(_) => Values::F16(
            values
                .iter()
                .map(|&v| half::f16::from_f32(v).to_bits())
                .collect(),
        ),
        Values::Bf16(_) => Values::Bf16(
            values
                .iter()
                .map(|&v| half::bf16::from_f32(v).to_bits())
                .collect(),
        ),
        other => {
            tensor.values = other;
            return Err(OnnxError::Tensor {
                tensor: name.to_string(),
                reason: "expected a float tensor".to_string(),
            });
        }
    };
    store(proto, &tensor);
    Ok(())
}
