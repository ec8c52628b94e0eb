//! Stored tensors out of the message: from every storage, checked before use.

use std::borrow::Cow;
use std::path::Path;

use super::initializer::{CheckedEnum, Tensor, Values, element_width};
use super::proto::tensor_proto::{DataLocation, DataType};
use super::proto::{SparseTensorProto, TensorProto};
use super::{external_data, typed};
use crate::error::{OnnxError, Result};

/// Tensors of up to so many elements are read even where only shapes are asked for: sizes
/// and indices are among them.
pub(crate) const ALWAYS_READ: usize = 4096;

/// A tensor whose elements lie in one run of bytes, in the message or beside it.
pub(crate) struct Raw<'a> {
    /// Extents.
    pub shape: Vec<usize>,
    /// Bytes an element.
    pub width: usize,
    /// Elements, row-major, little-endian.
    pub bytes: Cow<'a, [u8]>,
}

/// How much of stored tensors is read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reading {
    /// All elements.
    Whole,
    /// The elements of large tensors are left where they are ([`Values::Unread`]).
    Outline,
}

impl Reading {
    /// Reads a stored tensor; `name` stands in for a missing one.
    ///
    /// # Errors
    /// As [`decode`].
    pub(super) fn decode(
        self,
        proto: &TensorProto,
        name: &str,
        base_dir: Option<&Path>,
    ) -> Result<Tensor> {
        match self {
            Self::Whole => decode(proto, name, base_dir),
            Self::Outline => outline(proto, name, base_dir),
        }
    }
}

/// Type, shape and number of elements of a tensor.
struct Header {
    shape: Vec<usize>,
    count: usize,
    /// `None` for one newer than this program.
    data_type: Option<DataType>,
}

fn fail(name: &str, reason: String) -> OnnxError {
    OnnxError::Tensor {
        tensor: name.to_string(),
        reason,
    }
}

fn header(proto: &TensorProto, name: &str) -> Result<Header> {
    let (shape, count) = extents(&proto.dims).map_err(|reason| fail(name, reason))?;
    let data_type = DataType::from_i32_checked(proto.data_type());
    if data_type == Some(DataType::UNDEFINED) {
        return Err(fail(name, "it has no data type".to_string()));
    }
    Ok(Header {
        shape,
        count,
        data_type,
    })
}

fn is_external(proto: &TensorProto) -> bool {
    proto.data_location() == DataLocation::EXTERNAL
}

/// True for a tensor whose elements lie in one run of bytes.
fn lies_in_run(proto: &TensorProto) -> bool {
    is_external(proto) || proto.has_raw_data()
}

/// Bytes that the shape takes at `width` each.
fn expected_bytes(header: &Header, width: usize, name: &str) -> Result<usize> {
    let bytes = header.count.checked_mul(width);
    bytes.ok_or_else(|| fail(name, format!("its shape {:?} is too large", header.shape)))
}

fn check_length(header: &Header, expected: usize, held: usize, name: &str) -> Result<()> {
    if held == expected {
        return Ok(());
    }
    let (shape, data_type) = (&header.shape, header.data_type.unwrap_or_default());
    Err(fail(
        name,
        format!("its shape {shape:?} of {data_type:?} takes {expected} bytes, it holds {held}"),
    ))
}

/// The bytes of a tensor that lies in one run; `None` for typed fields, and for types that
/// are not decoded.
///
/// # Errors
/// As [`decode`].
pub(super) fn raw<'a>(
    proto: &'a TensorProto,
    name: &str,
    base_dir: Option<&Path>,
) -> Result<Option<Raw<'a>>> {
    if !lies_in_run(proto) {
        return Ok(None);
    }
    let header = header(proto, name)?;
    let Some(width) = header.data_type.and_then(element_width) else {
        return Ok(None);
    };
    let expected = expected_bytes(&header, width, name)?;
    let bytes: Cow<'_, [u8]> = if is_external(proto) {
        Cow::Owned(external_data::read(proto, base_dir, Some(expected as u64))?)
    } else {
        Cow::Borrowed(proto.raw_data())
    };
    check_length(&header, expected, bytes.len(), name)?;
    Ok(Some(Raw {
        shape: header.shape,
        width,
        bytes,
    }))
}

/// Decodes a stored tensor. `name` stands in for a missing one (Constant nodes).
///
/// # Errors
/// [`OnnxError::Tensor`] for negative or overflowing extents, a size that does not
/// match the stored bytes, or a type that cannot be read.
pub(super) fn decode(proto: &TensorProto, name: &str, base_dir: Option<&Path>) -> Result<Tensor> {
    let header = header(proto, name)?;
    if let Some(Raw { width, bytes, .. }) = raw(proto, name, base_dir)? {
        let data_type = header.data_type.unwrap_or_default();
        return Ok(Tensor {
            shape: header.shape,
            values: from_raw(data_type, width, &bytes),
        });
    }
    let opaque = Values::Opaque {
        data_type: proto.data_type(),
    };
    let data_type = header.data_type.filter(|_| !lies_in_run(proto));
    let values = match data_type.and_then(|of| Some((of, typed::count(proto, of)?))) {
        Some((data_type, held)) => {
            check_count(&header, held, name)?;
            typed::read(proto, data_type).unwrap_or(opaque)
        }
        None => opaque,
    };
    Ok(Tensor {
        shape: header.shape,
        values,
    })
}

/// As [`decode`], with the elements of large tensors left where they are
/// ([`Values::Unread`]); that they are there is checked.
///
/// # Errors
/// As [`decode`].
fn outline(proto: &TensorProto, name: &str, base_dir: Option<&Path>) -> Result<Tensor> {
    let header = header(proto, name)?;
    let known = header
        .data_type
        .zip(header.data_type.and_then(element_width));
    let can_stay = |data_type| lies_in_run(proto) || typed::count(proto, data_type).is_some();
    let Some((data_type, width)) =
        known.filter(|&(data_type, _)| header.count > ALWAYS_READ && can_stay(data_type))
    else {
        return decode(proto, name, base_dir);
    };
    let expected = expected_bytes(&header, width, name)?;
    if is_external(proto) {
        external_data::locate(proto, base_dir, Some(expected as u64))?;
    } else if proto.has_raw_data() {
        check_length(&header, expected, proto.raw_data().len(), name)?;
    } else if let Some(held) = typed::count(proto, data_type) {
        check_count(&header, held, name)?;
    }
    Ok(Tensor {
        shape: header.shape,
        values: Values::Unread {
            data_type: proto.data_type(),
        },
    })
}

fn check_count(header: &Header, held: usize, name: &str) -> Result<()> {
    if held == header.count {
        return Ok(());
    }
    let (shape, count) = (&header.shape, header.count);
    Err(fail(
        name,
        format!("its shape {shape:?} takes {count} values, it holds {held}"),
    ))
}

/// Tensors of more axes do not occur; walking them would take a deep stack.
const MAX_RANK: usize = 64;

/// Extents and number of elements.
pub(super) fn extents(dims: &[i64]) -> std::result::Result<(Vec<usize>, usize), String> {
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
    // Checked even where an extent is zero: others take products of some of the extents.
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
pub(super) fn sparse_placeholder(proto: &SparseTensorProto, name: &str) -> Result<Tensor> {
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

/// Bytes that a tensor takes as raw data; `None` where type or shape do not tell.
pub(super) fn raw_bytes(proto: &TensorProto) -> Option<u64> {
    let (_, count) = extents(&proto.dims).ok()?;
    let width = element_width(DataType::from_i32_checked(proto.data_type())?)?;
    Some(count.checked_mul(width)? as u64)
}
