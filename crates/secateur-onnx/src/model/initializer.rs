//! Stored tensors: what they are. Reading lies in `decode`, writing in `store`.

use std::borrow::Cow;

use protobuf::EnumOrUnknown;

pub use super::decode::decode;
use super::decode::extents;
pub(crate) use super::decode::{Raw, outline, raw, sparse_placeholder};
pub(crate) use super::store::{replace_floats, store, store_raw};
use crate::proto::tensor_proto::DataType;
use crate::proto::{AttributeProto, GraphProto, TensorProto};

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

/// Bytes that a tensor takes as raw data; `None` where type or shape do not tell.
pub(super) fn raw_bytes(proto: &TensorProto) -> Option<u64> {
    let (_, count) = extents(&proto.dims).ok()?;
    let width = element_width(DataType::from_i32_checked(proto.data_type())?)?;
    Some(count.checked_mul(width)? as u64)
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

/// A stored tensor of a graph with its name: initialisers and Constant nodes.
pub(crate) struct NamedTensor<'a> {
    pub name: String,
    pub proto: &'a mut TensorProto,
}

/// All stored tensors of a graph.
pub(crate) fn tensors_mut(graph: &mut GraphProto) -> Vec<NamedTensor<'_>> {
    let mut found = Vec::new();
    for node in &mut graph.node {
        if node.op_type() != "Constant" {
            continue;
        }
        let Some(name) = node.output.first().cloned() else {
            continue;
        };
        if let Some(attribute) = node.attribute.iter_mut().find(|a| a.name() == "value")
            && let Some(proto) = attribute.t.as_mut()
        {
            found.push(NamedTensor { name, proto });
        }
    }
    for proto in &mut graph.initializer {
        found.push(NamedTensor {
            name: proto.name().to_string(),
            proto,
        });
    }
    found
}

/// Numbers and lists of them that `Constant` nodes hold in place of a tensor, by the name of
/// their value.
pub(crate) fn lists_mut(graph: &mut GraphProto) -> Vec<(String, &mut AttributeProto)> {
    let constants = graph
        .node
        .iter_mut()
        .filter(|node| node.op_type() == "Constant");
    let lists = constants.filter_map(|node| {
        let name = node.output.first()?.clone();
        let mut attributes = node.attribute.iter_mut();
        let list = attributes
            .find(|a| matches!(a.name(), "value_float" | "value_floats" | "value_ints"))?;
        Some((name, list))
    });
    lists.collect()
}
