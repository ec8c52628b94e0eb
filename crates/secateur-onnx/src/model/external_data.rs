//! Tensors whose bytes lie in a file beside the model.
//!
//! Spec: <https://onnx.ai/onnx/repo-docs/ExternalData.html>. The location is
//! relative to the model and may not leave its folder.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use crate::error::{OnnxError, Result};
use crate::proto::TensorProto;

/// Reads the bytes of an external tensor.
///
/// # Errors
/// [`OnnxError::Tensor`] for a location outside the folder, a missing file, or
/// bytes past its end.
pub(super) fn read(tensor: &TensorProto, base_dir: Option<&Path>, n_bytes: u64) -> Result<Vec<u8>> {
    let fail = |reason: String| OnnxError::Tensor {
        tensor: tensor.name().to_string(),
        reason,
    };
    let entry = |key: &str| {
        tensor
            .external_data
            .iter()
            .find(|entry| entry.key() == key)
            .map(|entry| entry.value())
    };
    let location =
        entry("location").ok_or_else(|| fail("external data without a location".to_string()))?;
    let relative = Path::new(location);
    let stays_inside = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !stays_inside {
        return Err(fail(format!(
            "its external data `{location}` lie outside the model's folder"
        )));
    }
    let number = |key: &str| -> Result<Option<u64>> {
        entry(key)
            .map(|text| {
                text.parse()
                    .map_err(|_| fail(format!("external {key} `{text}` is no number")))
            })
            .transpose()
    };
    let offset = number("offset")?.unwrap_or(0);
    let length = number("length")?.unwrap_or(n_bytes);
    if length != n_bytes {
        return Err(fail(format!(
            "its shape takes {n_bytes} bytes, external data hold {length}"
        )));
    }
    let Some(base_dir) = base_dir else {
        return Err(fail(
            "external data, but the model was not read from a file".to_string(),
        ));
    };
    let path = base_dir.join(relative);
    let real = path
        .canonicalize()
        .and_then(|real| base_dir.canonicalize().map(|base| (real, base)))
        .map_err(|error| fail(format!("cannot open `{}`: {error}", path.display())))?;
    // A symbolic link may still lead out of the folder.
    if !real.0.starts_with(&real.1) {
        return Err(fail(format!(
            "its external data `{location}` lead outside the model's folder"
        )));
    }
    let mut file = fs_err::File::open(&path).map_err(|error| fail(error.to_string()))?;
    let size = file
        .metadata()
        .map_err(|error| fail(error.to_string()))?
        .len();
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(fail(format!(
            "its bytes {offset}..{offset}+{length} lie past the end of `{}` ({size} bytes)",
            path.display()
        )));
    }
    let length = usize::try_from(length).map_err(|_| fail("too large for memory".to_string()))?;
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(|error| fail(error.to_string()))?;
    Ok(bytes)
}
