//! Tensors that lie in the fields of the message that belong to their types.
//!
//! Small types share the field of 32-bit integers, one element each.

use super::initializer::{CheckedEnum, Values, element_width};
use super::proto::TensorProto;
use super::proto::tensor_proto::DataType;

/// Number of elements in the field of that type; `None` for types that are not decoded from a
/// field.
pub(super) fn count(proto: &TensorProto, data_type: DataType) -> Option<usize> {
    Some(match data_type {
        DataType::FLOAT => proto.float_data.len(),
        DataType::DOUBLE => proto.double_data.len(),
        DataType::INT64 => proto.int64_data.len(),
        DataType::UINT32 | DataType::UINT64 => proto.uint64_data.len(),
        DataType::INT32
        | DataType::BOOL
        | DataType::FLOAT16
        | DataType::BFLOAT16
        | DataType::UINT8
        | DataType::INT8
        | DataType::UINT16
        | DataType::INT16
        | DataType::FLOAT8E4M3FN
        | DataType::FLOAT8E4M3FNUZ
        | DataType::FLOAT8E5M2
        | DataType::FLOAT8E5M2FNUZ => proto.int32_data.len(),
        _ => return None,
    })
}

/// Little-endian bytes of the low parts of wide integers.
macro_rules! narrow {
    ($values:expr, $width:expr) => {
        $values
            .iter()
            .flat_map(|v| v.to_le_bytes().into_iter().take($width))
            .collect()
    };
}

/// The elements of a tensor of that type; `None` for types that are not decoded from a field.
pub(super) fn read(proto: &TensorProto, data_type: DataType) -> Option<Values> {
    count(proto, data_type)?;
    let bits = || proto.int32_data.iter().map(|&v| v as u16).collect();
    Some(match data_type {
        DataType::FLOAT => Values::F32(proto.float_data.clone()),
        DataType::DOUBLE => Values::F64(proto.double_data.clone()),
        DataType::INT64 => Values::I64(proto.int64_data.clone()),
        DataType::INT32 => Values::I32(proto.int32_data.clone()),
        DataType::BOOL => Values::Bool(proto.int32_data.iter().map(|&v| v != 0).collect()),
        DataType::FLOAT16 => Values::F16(bits()),
        DataType::BFLOAT16 => Values::Bf16(bits()),
        _ => {
            let width = element_width(data_type)?;
            let wide = matches!(data_type, DataType::UINT32 | DataType::UINT64);
            Values::Other {
                data_type: proto.data_type(),
                width,
                bytes: if wide {
                    narrow!(proto.uint64_data, width)
                } else {
                    narrow!(proto.int32_data, width)
                },
            }
        }
    })
}

/// Stores elements in the field of their type.
pub(super) fn write(proto: &mut TensorProto, values: &Values) {
    match values {
        Values::F32(v) => proto.float_data.clone_from(v),
        Values::F64(v) => proto.double_data.clone_from(v),
        Values::I64(v) => proto.int64_data.clone_from(v),
        Values::I32(v) => proto.int32_data.clone_from(v),
        Values::Bool(v) => proto.int32_data = v.iter().map(|&b| i32::from(b)).collect(),
        Values::F16(v) | Values::Bf16(v) => {
            proto.int32_data = v.iter().map(|&b| i32::from(b)).collect();
        }
        Values::Other { width, bytes, .. } => write_bytes(proto, *width, bytes),
        Values::Opaque { .. } | Values::Unread { .. } => {}
    }
}

/// Stores elements of `width` bytes as wider integers.
fn write_bytes(proto: &mut TensorProto, width: usize, bytes: &[u8]) {
    let wide = bytes.chunks_exact(width).map(|chunk| {
        let bytes = chunk.iter().rev();
        bytes.fold(0u64, |value, &byte| value << 8 | u64::from(byte))
    });
    if !proto.uint64_data.is_empty() {
        proto.uint64_data = wide.collect();
        return;
    }
    let data_type = DataType::from_i32_checked(proto.data_type());
    let signed = matches!(data_type, Some(DataType::INT8 | DataType::INT16));
    let shift = 64 - 8 * (width as u32).min(4);
    let sign_extended = |v: u64| ((v << shift) as i64 >> shift) as i32;
    proto.int32_data = wide
        .map(|v| if signed { sign_extended(v) } else { v as i32 })
        .collect();
}
