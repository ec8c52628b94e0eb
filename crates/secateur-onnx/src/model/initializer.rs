//! Stored tensors: decoding from every storage, and writing back in the same.

use std::borrow::Cow;
use std::path::Path;

use protobuf::EnumOrUnknown;

use super::external_data;
use crate::error::{OnnxError, Result};
use crate::proto::tensor_proto::{DataLocation, DataType};
use crate::proto::{GraphProto, SparseTensorProto, TensorProto};

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

    /// As f32, converted where the type is another float; `None` if it is no float.
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
        };
        width * self.len()
    }
}

/// Bytes an element of a fixed-width type takes in `raw_data`.
fn element_width(data_type: DataType) -> Option<usize> {
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

/// Decodes a stored tensor. `name` stands in for a missing one (Constant nodes).
///
/// # Errors
/// [`OnnxError::Tensor`] for negative or overflowing extents, a size that does not
/// match the stored bytes, or a type that cannot be read.
pub fn decode(proto: &TensorProto, name: &str, base_dir: Option<&Path>) -> Result<Tensor> {
    let fail = |reason: String| OnnxError::Tensor {
        tensor: name.to_string(),
        reason,
    };
    let (shape, count) = extents(&proto.dims).map_err(fail)?;
    let opaque = || Tensor {
        shape: shape.clone(),
        values: Values::Opaque {
            data_type: proto.data_type(),
        },
    };
    let Some(data_type) = DataType::from_i32_checked(proto.data_type()) else {
        // A type newer than this program.
        return Ok(opaque());
    };
    if data_type == DataType::UNDEFINED {
        return Err(fail("it has no data type".to_string()));
    }
    let width = element_width(data_type);
    let external = proto.data_location() == DataLocation::EXTERNAL;
    if external || proto.has_raw_data() {
        let Some(width) = width else {
            return Ok(opaque());
        };
        let expected = count
            .checked_mul(width)
            .ok_or_else(|| fail(format!("its shape {shape:?} is too large")))?;
        let bytes: Cow<'_, [u8]> = if external {
            Cow::Owned(external_data::read(proto, base_dir, expected as u64)?)
        } else {
            Cow::Borrowed(proto.raw_data())
        };
        if bytes.len() != expected {
            return Err(fail(format!(
                "its shape {shape:?} of {data_type:?} takes {expected} bytes, it holds {}",
                bytes.len()
            )));
        }
        return Ok(Tensor {
            shape,
            values: from_raw(data_type, width, &bytes),
        });
    }
    let held = |n: usize| -> Result<()> {
        if n == count {
            Ok(())
        } else {
            Err(fail(format!(
                "its shape {shape:?} takes {count} values, it holds {n}"
            )))
        }
    };
    let values = match data_type {
        DataType::FLOAT => {
            held(proto.float_data.len())?;
            Values::F32(proto.float_data.clone())
        }
        DataType::DOUBLE => {
            held(proto.double_data.len())?;
            Values::F64(proto.double_data.clone())
        }
        DataType::INT64 => {
            held(proto.int64_data.len())?;
            Values::I64(proto.int64_data.clone())
        }
        DataType::INT32 => {
            held(proto.int32_data.len())?;
            Values::I32(proto.int32_data.clone())
        }
        DataType::BOOL => {
            held(proto.int32_data.len())?;
            Values::Bool(proto.int32_data.iter().map(|&v| v != 0).collect())
        }
        DataType::FLOAT16 | DataType::BFLOAT16 => {
            held(proto.int32_data.len())?;
            let bits = proto.int32_data.iter().map(|&v| v as u16).collect();
            if data_type == DataType::FLOAT16 {
                Values::F16(bits)
            } else {
                Values::Bf16(bits)
            }
        }
        DataType::UINT8 | DataType::INT8 | DataType::UINT16 | DataType::INT16 => {
            held(proto.int32_data.len())?;
            let width = width.unwrap_or(1);
            let bytes = proto
                .int32_data
                .iter()
                .flat_map(|v| v.to_le_bytes().into_iter().take(width))
                .collect();
            Values::Other {
                data_type: proto.data_type(),
                width,
                bytes,
            }
        }
        DataType::UINT32 | DataType::UINT64 => {
            held(proto.uint64_data.len())?;
            let width = width.unwrap_or(8);
            let bytes = proto
                .uint64_data
                .iter()
                .flat_map(|v| v.to_le_bytes().into_iter().take(width))
                .collect();
            Values::Other {
                data_type: proto.data_type(),
                width,
                bytes,
            }
        }
        _ => return Ok(opaque()),
    };
    Ok(Tensor { shape, values })
}

/// Tensors of more axes do not occur; walking them would take a deep stack.
const MAX_RANK: usize = 64;

/// Extents and number of elements.
fn extents(dims: &[i64]) -> std::result::Result<(Vec<usize>, usize), String> {
    if dims.len() > MAX_RANK {
        return Err(format!(
            "it has {} axes, expected at most {MAX_RANK}",
            dims.len()
        ));
    }
    let mut shape = Vec::with_capacity(dims.len());
    for &dim in dims {
        shape.push(usize::try_from(dim).map_err(|_| format!("its shape holds {dim}"))?);
    }
    // Not even a zero extent makes an overflow harmless: products of parts are taken later.
    let count = shape
        .iter()
        .try_fold(1usize, |product, &dim| product.checked_mul(dim.max(1)))
        .ok_or_else(|| format!("its shape {shape:?} is too large"))?;
    let count = if shape.contains(&0) { 0 } else { count };
    Ok((shape, count))
}

/// What stands for a sparse tensor: its shape.
///
/// # Errors
/// [`OnnxError::Tensor`] for extents that cannot be.
pub(crate) fn sparse_placeholder(proto: &SparseTensorProto, name: &str) -> Result<Tensor> {
    let (shape, _) = extents(&proto.dims).map_err(|reason| OnnxError::Tensor {
        tensor: name.to_string(),
        reason,
    })?;
    Ok(Tensor {
        shape,
        values: Values::Opaque {
            data_type: proto.values.data_type(),
        },
    })
}

trait CheckedEnum: Sized {
    fn from_i32_checked(value: i32) -> Option<Self>;
}

impl CheckedEnum for DataType {
    fn from_i32_checked(value: i32) -> Option<Self> {
        EnumOrUnknown::<Self>::from_i32(value).enum_value().ok()
    }
}

fn from_raw(data_type: DataType, width: usize, bytes: &[u8]) -> Values {
    macro_rules! read {
        ($type:ty) => {
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|chunk| <$type>::from_le_bytes(*chunk))
                .collect()
        };
    }
    match data_type {
        DataType::FLOAT => Values::F32(read!(f32)),
        DataType::DOUBLE => Values::F64(read!(f64)),
        DataType::FLOAT16 => Values::F16(read!(u16)),
        DataType::BFLOAT16 => Values::Bf16(read!(u16)),
        DataType::INT64 => Values::I64(read!(i64)),
        DataType::INT32 => Values::I32(read!(i32)),
        DataType::BOOL => Values::Bool(bytes.iter().map(|&b| b != 0).collect()),
        other => Values::Other {
            data_type: other as i32,
            width,
            bytes: bytes.to_vec(),
        },
    }
}

/// Stores `tensor` in `proto`, in the kind of storage that it has now. External
/// tensors move into the message.
pub(crate) fn store(proto: &mut TensorProto, tensor: &Tensor) {
    if tensor.is_opaque() {
        return;
    }
    let typed = !proto.has_raw_data() && proto.data_location() != DataLocation::EXTERNAL;
    proto.dims = tensor
        .shape
        .iter()
        .map(|&d| i64::try_from(d).unwrap_or(i64::MAX))
        .collect();
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
            Values::Opaque { .. } => {}
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
        Values::Opaque { .. } => {}
    }
    proto.set_raw_data(raw);
    if proto.data_location() == DataLocation::EXTERNAL {
        proto.external_data.clear();
        proto.clear_data_location();
    }
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
