//! Stored tensors back into the message, in the storage that they have.

use std::path::Path;

use super::decode::{self, decode};
use super::initializer::{Tensor, Values};
use super::proto::TensorProto;
use super::proto::tensor_proto::DataLocation;
use super::{external_data, typed};
use crate::error::{OnnxError, Result};

fn set_dims(proto: &mut TensorProto, shape: &[usize]) {
    proto.dims = shape
        .iter()
        .map(|&d| i64::try_from(d).unwrap_or(i64::MAX))
        .collect();
}

/// Stores elements in one run of bytes. Those of an external tensor lie in the message
/// until it is written; its entries of where they lay stay, as a sign that they belong beside
/// it, and by which tensors that lay in one place are known.
pub(crate) fn store_raw(proto: &mut TensorProto, shape: &[usize], bytes: Vec<u8>) {
    set_dims(proto, shape);
    proto.set_raw_data(bytes.into());
    if proto.data_location() == DataLocation::EXTERNAL {
        proto.clear_data_location();
        proto
            .external_data
            .retain(|entry| matches!(entry.key(), "location" | "offset"));
    }
}

/// Brings the bytes of an external tensor into the message, for good.
///
/// # Errors
/// As [`external_data::locate`].
pub(super) fn bring_in(proto: &mut TensorProto, base_dir: Option<&Path>) -> Result<()> {
    if proto.data_location() == DataLocation::EXTERNAL {
        let bytes = external_data::read(proto, base_dir, decode::raw_bytes(proto))?;
        proto.set_raw_data(bytes.into());
        proto.clear_data_location();
    }
    // Those that surgery has cut lie in the message already.
    proto.external_data.clear();
    Ok(())
}

/// Stores `tensor` in `proto`, in the kind of storage that it has now.
pub(crate) fn store(proto: &mut TensorProto, tensor: &Tensor) {
    if matches!(tensor.values, Values::Opaque { .. } | Values::Unread { .. }) {
        return;
    }
    if !proto.has_raw_data() && proto.data_location() != DataLocation::EXTERNAL {
        set_dims(proto, &tensor.shape);
        typed::write(proto, &tensor.values);
        return;
    }
    store_raw(proto, &tensor.shape, raw_bytes(tensor));
}

/// Elements in one run, little-endian.
fn raw_bytes(tensor: &Tensor) -> Vec<u8> {
    let mut raw = Vec::with_capacity(tensor.n_bytes());
    macro_rules! extend {
        ($values:expr) => {
            $values
                .iter()
                .for_each(|v| raw.extend_from_slice(&v.to_le_bytes()))
        };
    }
    match &tensor.values {
        Values::F32(v) => extend!(v),
        Values::F64(v) => extend!(v),
        Values::I64(v) => extend!(v),
        Values::I32(v) => extend!(v),
        Values::F16(v) | Values::Bf16(v) => extend!(v),
        Values::Bool(v) => raw.extend(v.iter().map(|&b| u8::from(b))),
        Values::Other { bytes, .. } => raw.extend_from_slice(bytes),
        Values::Opaque { .. } | Values::Unread { .. } => {}
    }
    raw
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
