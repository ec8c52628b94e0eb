//! Writing a model, with its large tensors beside it where need be.

use std::borrow::Cow;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use protobuf::EnumOrUnknown;
use tempfile::NamedTempFile;

use super::message::Model;
use super::proto::tensor_proto::DataLocation;
use super::proto::{Message, ModelProto, StringStringEntryProto, TensorProto};
use super::{external_data, tensors};
use crate::error::{OnnxError, Result};

/// Messages of this size are written with their tensors beside them: protobuf ends at
/// 2 GiB, and readers set limits somewhat below.
const MAX_MESSAGE: u64 = (1 << 31) - (1 << 20);

/// Tensors of fewer bytes stay in the message.
const SMALL_TENSOR: usize = 1024;

/// Tensors begin at multiples of this, so that they can be mapped into memory.
const ALIGNMENT: u64 = 4096;

fn io_error(path: &Path, source: std::io::Error) -> OnnxError {
    OnnxError::Io {
        action: "write",
        path: path.to_path_buf(),
        source,
    }
}

/// A file to be renamed into place later, in the same folder, with the rights that a new
/// file of this user gets (`tempfile` alone would keep it from everybody else).
///
/// # Errors
/// Whatever the file system says.
pub fn new_beside(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The system still removes the rights that the user's umask forbids.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

impl Model {
    /// Writes a file: beside, synced, then renamed, so that it is never half there.
    ///
    /// Tensors with external data are copied to a file of their own, `<name>.data` beside
    /// it, piece by piece; so is every large tensor if the message would grow beyond
    /// what protobuf allows (2 GiB).
    ///
    /// # Errors
    /// [`OnnxError::Io`] naming the file; [`OnnxError::Tensor`] for external data that
    /// cannot be read.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        write(self, path.as_ref())
    }
}

fn write(model: &Model, path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut has_external = false;
    tensors::visit(&model.proto, &mut |tensor| {
        has_external |= lies_beside(tensor)
    });
    let spills = model.proto.compute_size() > MAX_MESSAGE;
    let mut message: Cow<'_, ModelProto> = Cow::Borrowed(&model.proto);
    let mut data = None;
    if has_external || spills {
        let (proto, file) = externalise(model, path, folder, spills)?;
        message = Cow::Owned(proto);
        data = Some(file);
    }
    let io = |error: std::io::Error| io_error(path, error);
    let mut file = new_beside(folder).map_err(io)?;
    message
        .write_to_writer(&mut file)
        .map_err(|error| io_error(path, error.into()))?;
    file.as_file().sync_all().map_err(io)?;
    // The data come first: if this is cut off, no model is left without its data.
    if let Some((data, data_path)) = data {
        data.persist(&data_path)
            .map_err(|error| io_error(&data_path, error.error))?;
    }
    file.persist(path)
        .map_err(|error| io_error(path, error.error))?;
    Ok(())
}

/// True for a tensor whose bytes lie beside the model, or did until surgery cut them.
fn lies_beside(tensor: &TensorProto) -> bool {
    tensor.data_location() == DataLocation::EXTERNAL || !tensor.external_data.is_empty()
}

/// The message with its tensors in a file beside it, and that file with its name.
fn externalise(
    model: &Model,
    path: &Path,
    folder: &Path,
    spills: bool,
) -> Result<(ModelProto, (NamedTempFile, PathBuf))> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let location = format!("{}.data", name.unwrap_or_else(|| "model".to_string()));
    let io = |error: std::io::Error| io_error(path, error);
    let mut data = new_beside(folder).map_err(io)?;
    let mut proto = model.proto.clone();
    let mut offset = 0;
    {
        let mut out = BufWriter::new(data.as_file_mut());
        tensors::try_visit_mut(&mut proto, &mut |tensor| -> Result<()> {
            let external = tensor.data_location() == DataLocation::EXTERNAL;
            let moves_out = spills && tensor.raw_data().len() >= SMALL_TENSOR;
            if !(lies_beside(tensor) || moves_out) {
                return Ok(());
            }
            let padding = offset % ALIGNMENT;
            if padding > 0 {
                let zeros = vec![0u8; (ALIGNMENT - padding) as usize];
                out.write_all(&zeros).map_err(io)?;
                offset += ALIGNMENT - padding;
            }
            let length = if external {
                let base_dir = model.base_dir.as_deref();
                let n_bytes = super::decode::raw_bytes(tensor);
                let place = external_data::locate(tensor, base_dir, n_bytes)?;
                let length = place.length;
                external_data::copy(place, &mut out).map_err(io)?;
                length
            } else {
                let bytes = tensor.take_raw_data();
                out.write_all(&bytes).map_err(io)?;
                bytes.len() as u64
            };
            set_place(tensor, &location, offset, length);
            offset += length;
            Ok(())
        })?;
        out.flush().map_err(io)?;
    }
    data.as_file().sync_all().map_err(io)?;
    Ok((proto, (data, folder.join(location))))
}

fn set_place(tensor: &mut TensorProto, location: &str, offset: u64, length: u64) {
    tensor.raw_data = None;
    tensor.data_location = Some(EnumOrUnknown::new(DataLocation::EXTERNAL));
    let entries = [
        ("location", location.to_string()),
        ("offset", offset.to_string()),
        ("length", length.to_string()),
    ];
    // Other entries are dropped: a checksum of the old file would be wrong.
    tensor.external_data = entries
        .into_iter()
        .map(|(key, value)| {
            let mut entry = StringStringEntryProto::new();
            entry.set_key(key.to_string());
            entry.set_value(value);
            entry
        })
        .collect();
}
