//! Stored tensors: what they are. Reading lies in `decode`, writing in `store`.

use std::borrow::Cow;

use protobuf::EnumOrUnknown;

use super::proto::tensor_proto::DataType;

/// Values of a stored tensor.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Values {
    /// 32-bit float.
    F32(Vec<f32>),
    /// 64-bit float.
    F64(Vec<f64>),
    /// 16-bit float, as bits.
    F16(Vec<u16>),
    /// bfloat16, as bits.
    Bf16(Vec<u16>),
    /// 64-bit integer.
    I64(Vec<i64>),
    /// 32-bit integer.
    I32(Vec<i32>),
    /// Boolean.
    Bool(Vec<bool>),
    /// Any other type: raw bytes of elements of that width, little-endian.
    Other {
        /// ONNX data type number.
        data_type: i32,
        /// Bytes an element.
        width: usize,
        /// Elements.
        bytes: Vec<u8>,
    },
    /// A type that is carried along and not decoded: texts, numbers of less than a byte,
    /// sparse tensors.
    Opaque {
        /// ONNX data type number.
        data_type: i32,
    },
    /// Elements that were left where they are: large tensors of an outline
    /// ([`crate::graph::Graph::outline`]).
    Unread {
        /// ONNX data type number.
        data_type: i32,
    },
}

/// A stored tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Extents; empty for a scalar.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub values: Values,
}

impl Tensor {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True for a type whose elements are not decoded (texts, sub-byte numbers).
    pub fn is_opaque(&self) -> bool {
        matches!(self.values, Values::Opaque { .. })
    }

    /// True for numbers of less than a byte.
    pub fn shares_bytes(&self) -> bool {
        let Values::Opaque { data_type } = self.values else {
            return false;
        };
        matches!(
            DataType::from_i32_checked(data_type),
            Some(DataType::INT4 | DataType::UINT4 | DataType::FLOAT4E2M1)
        )
    }

    /// True without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True for floats of 16 to 64 bits, read or not.
    pub fn is_float(&self) -> bool {
        match &self.values {
            Values::F32(_) | Values::F64(_) | Values::F16(_) | Values::Bf16(_) => true,
            Values::Unread { data_type } => matches!(
                DataType::from_i32_checked(*data_type),
                Some(DataType::FLOAT | DataType::DOUBLE | DataType::FLOAT16 | DataType::BFLOAT16)
            ),
            _ => false,
        }
    }

    /// As f32, converted where the type is another float; `None` if it is no
    /// float, or was not read.
    pub fn as_f32(&self) -> Option<Cow<'_, [f32]>> {
        Some(match &self.values {
            Values::F32(values) => Cow::Borrowed(values),
            Values::F64(values) => Cow::Owned(values.iter().map(|&v| v as f32).collect()),
            Values::F16(bits) => Cow::Owned(
                bits.iter()
                    .map(|&b| half::f16::from_bits(b).to_f32())
                    .collect(),
            ),
            Values::Bf16(bits) => Cow::Owned(
                bits.iter()
                    .map(|&b| half::bf16::from_bits(b).to_f32())
                    .collect(),
            ),
            _ => return None,
        })
    }

    /// As i64; `None` if it is no integer.
    pub fn as_i64(&self) -> Option<Cow<'_, [i64]>> {
        Some(match &self.values {
            Values::I64(values) => Cow::Borrowed(values),
            Values::I32(values) => Cow::Owned(values.iter().map(|&v| i64::from(v)).collect()),
            _ => return None,
        })
    }

    /// Numbers of the types that quantisation uses: integers of 8, 16 and 32 bits, floats of 8.
    /// `None` for other types, or where they were not read.
    pub(crate) fn numbers(&self) -> Option<Vec<f32>> {
        let (data_type, width, bytes) = match &self.values {
            Values::I32(values) => return Some(values.iter().map(|&v| v as f32).collect()),
            Values::Other {
                data_type,
                width,
                bytes,
            } => (*data_type, *width, bytes),
            _ => return None,
        };
        let number: fn(&[u8]) -> f32 = match DataType::from_i32_checked(data_type)? {
            DataType::INT8 => |b| f32::from(b[0] as i8),
            DataType::UINT8 => |b| f32::from(b[0]),
            DataType::INT16 => |b| f32::from(i16::from_le_bytes([b[0], b[1]])),
            DataType::UINT16 => |b| f32::from(u16::from_le_bytes([b[0], b[1]])),
            DataType::FLOAT8E4M3FN => |b| float8_e4m3(b[0]),
            // The upper byte of a float of 16 bits.
            DataType::FLOAT8E5M2 => |b| half::f16::from_bits(u16::from(b[0]) << 8).to_f32(),
            _ => return None,
        };
        Some(bytes.chunks_exact(width).map(number).collect())
    }

    /// Bytes that the values take.
    pub fn n_bytes(&self) -> usize {
        let width = match &self.values {
            Values::F32(_) | Values::I32(_) => 4,
            Values::F64(_) | Values::I64(_) => 8,
            Values::F16(_) | Values::Bf16(_) => 2,
            Values::Bool(_) => 1,
            Values::Other { width, .. } => *width,
            Values::Opaque { .. } => 0,
            Values::Unread { data_type } => DataType::from_i32_checked(*data_type)
                .and_then(element_width)
                .unwrap_or(0),
        };
        width * self.len()
    }
}

/// A sign, four bits of exponent with bias 7, three of mantissa.
fn float8_e4m3(bits: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(bits >> 3 & 15), f32::from(bits & 7));
    let magnitude = match exponent {
        0 => mantissa / 8.0 * 2f32.powi(-6),
        _ => (1.0 + mantissa / 8.0) * 2f32.powi(exponent - 7),
    };
    if bits & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// A stored tensor with its name.
pub(crate) struct StoredTensor {
    /// Name of the value.
    pub name: String,
    /// The tensor.
    pub tensor: Tensor,
    /// False for what surgery cannot cut where it lies: sparse tensors, and single numbers in
    /// attributes.
    pub can_be_cut: bool,
}

/// Bytes an element of a fixed-width type takes in `raw_data`.
pub(super) fn element_width(data_type: DataType) -> Option<usize> {
    Some(match data_type {
        DataType::FLOAT | DataType::INT32 | DataType::UINT32 => 4,
        DataType::DOUBLE | DataType::INT64 | DataType::UINT64 | DataType::COMPLEX64 => 8,
        DataType::COMPLEX128 => 16,
        DataType::FLOAT16 | DataType::BFLOAT16 | DataType::INT16 | DataType::UINT16 => 2,
        DataType::UINT8
        | DataType::INT8
        | DataType::BOOL
        | DataType::FLOAT8E4M3FN
        | DataType::FLOAT8E4M3FNUZ
        | DataType::FLOAT8E5M2
        | DataType::FLOAT8E5M2FNUZ => 1,
        _ => return None,
    })
}

/// Numbers of enumerations that may be newer than this program.
pub(super) trait CheckedEnum: Sized {
    fn from_i32_checked(value: i32) -> Option<Self>;
}

impl CheckedEnum for DataType {
    fn from_i32_checked(value: i32) -> Option<Self> {
        EnumOrUnknown::<Self>::from_i32(value).enum_value().ok()
    }
}
