//! Tensors whose bytes lie in a file beside the model.
//!
//! Spec: <https://onnx.ai/onnx/repo-docs/ExternalData.html>. The location is
//! relative to the model and may not leave its folder.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use crate::error::{OnnxError, Result};
use crate::proto::TensorProto;

/// Where the bytes of an external tensor lie.
pub(super) struct Place {
    path: PathBuf,
    file: fs_err::File,
    offset: u64,
    /// Number of bytes.
    pub length: u64,
}

fn fail(tensor: &TensorProto, reason: String) -> OnnxError {
    OnnxError::Tensor {
        tensor: tensor.name().to_string(),
        reason,
    }
}

/// Opens the file of an external tensor, checked to hold it.
///
/// # Errors
/// [`OnnxError::Tensor`] for a location outside the folder, a missing file, what is no
/// regular file, or bytes past its end.
pub(super) fn locate(
    tensor: &TensorProto,
    base_dir: Option<&Path>,
    n_bytes: Option<u64>,
) -> Result<Place> {
    let fail = |reason: String| fail(tensor, reason);
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
    let length = number("length")?
        .or(n_bytes)
        .ok_or_else(|| fail("external data without a length".to_string()))?;
    if let Some(n_bytes) = n_bytes.filter(|&n_bytes| n_bytes != length) {
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
    let (real, base) = path
        .canonicalize()
        .and_then(|real| base_dir.canonicalize().map(|base| (real, base)))
        .map_err(|error| fail(format!("cannot open `{}`: {error}", path.display())))?;
    // A symbolic link may still lead out of the folder.
    if !real.starts_with(&base) {
        return Err(fail(format!(
            "its external data `{location}` lead outside the model's folder"
        )));
    }
    // Asked before opening: a pipe without a writer would be waited for, for ever.
    let refuse_others = |metadata: std::fs::Metadata| {
        if metadata.is_file() {
            return Ok(metadata.len());
        }
        Err(fail(format!(
            "its external data `{location}` are no regular file"
        )))
    };
    refuse_others(fs_err::metadata(&real).map_err(|error| fail(error.to_string()))?)?;
    let file = fs_err::File::open(&path).map_err(|error| fail(error.to_string()))?;
    let size = refuse_others(file.metadata().map_err(|error| fail(error.to_string()))?)?;
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(fail(format!(
            "its bytes {offset}..{offset}+{length} lie past the end of `{}` ({size} bytes)",
            path.display()
        )));
    }
    Ok(Place {
        path,
        file,
        offset,
        length,
    })
}

/// Reads the bytes of an external tensor.
///
/// # Errors
/// As [`locate`].
pub(super) fn read(tensor: &TensorProto, base_dir: Option<&Path>, n_bytes: u64) -> Result<Vec<u8>> {
    let mut place = locate(tensor, base_dir, Some(n_bytes))?;
    let length = usize::try_from(place.length)
        .map_err(|_| fail(tensor, "too large for memory".to_string()))?;
    let mut bytes = vec![0; length];
    place
        .file
        .seek(SeekFrom::Start(place.offset))
        .and_then(|_| place.file.read_exact(&mut bytes))
        .map_err(|error| fail(tensor, error.to_string()))?;
    Ok(bytes)
}

/// Copies the bytes of an external tensor, piece by piece.
///
/// # Errors
/// What reading or writing says.
pub(super) fn copy(mut place: Place, to: &mut impl Write) -> std::io::Result<()> {
    place.file.seek(SeekFrom::Start(place.offset))?;
    let copied = std::io::copy(&mut place.file.take(place.length), to)?;
    if copied == place.length {
        return Ok(());
    }
    let reason = format!(
        "`{}` became shorter while it was read",
        place.path.display()
    );
    Err(std::io::Error::other(reason))
}
