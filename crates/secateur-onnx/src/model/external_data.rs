//! Tensors whose bytes lie in a file beside the model.
//!
//! Spec: <https://onnx.ai/onnx/repo-docs/ExternalData.html>. The location is
//! relative to the model and may not leave its folder.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use super::proto::TensorProto;
use crate::error::{OnnxError, Result};

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
    let location = entry(tensor, "location");
    let location = location.ok_or_else(|| fail("external data without a location".to_string()))?;
    let offset = number(tensor, "offset")?.unwrap_or(0);
    let length = number(tensor, "length")?
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
    let (path, file, size) = open_inside(base_dir, location).map_err(fail)?;
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

/// What the message says of a tensor's external data.
pub(super) fn entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    let mut entries = tensor.external_data.iter();
    Some(entries.find(|entry| entry.key() == key)?.value())
}

fn number(tensor: &TensorProto, key: &str) -> Result<Option<u64>> {
    let parse = |text: &str| {
        text.parse()
            .map_err(|_| fail(tensor, format!("external {key} `{text}` is no number")))
    };
    entry(tensor, key).map(parse).transpose()
}

/// Opens a file by its place relative to a folder, which it may not leave, and tells its size.
///
/// # Errors
/// Why not, as a text.
fn open_inside(
    folder: &Path,
    location: &str,
) -> std::result::Result<(PathBuf, fs_err::File, u64), String> {
    let relative = Path::new(location);
    let stays_inside = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !stays_inside {
        return Err(format!(
            "its external data `{location}` lie outside the model's folder"
        ));
    }
    let path = folder.join(relative);
    let (real, base) = path
        .canonicalize()
        .and_then(|real| folder.canonicalize().map(|base| (real, base)))
        .map_err(|error| format!("cannot open `{}`: {error}", path.display()))?;
    // A symbolic link may still lead out of the folder.
    if !real.starts_with(&base) {
        return Err(format!(
            "its external data `{location}` lead outside the model's folder"
        ));
    }
    let size_of_file = |metadata: std::io::Result<std::fs::Metadata>| {
        let metadata = metadata.map_err(|error| error.to_string())?;
        if metadata.is_file() {
            return Ok(metadata.len());
        }
        Err(format!(
            "its external data `{location}` are no regular file"
        ))
    };
    // Asked before opening: opening a pipe waits until somebody writes to it.
    size_of_file(fs_err::metadata(&real))?;
    let file = fs_err::File::open(&path).map_err(|error| error.to_string())?;
    let size = size_of_file(file.metadata())?;
    Ok((path, file, size))
}

/// Reads the bytes of an external tensor.
///
/// # Errors
/// As [`locate`].
pub(super) fn read(
    tensor: &TensorProto,
    base_dir: Option<&Path>,
    n_bytes: Option<u64>,
) -> Result<Vec<u8>> {
    let mut place = locate(tensor, base_dir, n_bytes)?;
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
