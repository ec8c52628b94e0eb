//! Writing a model, with its large tensors beside it where need be.

use std::borrow::Cow;
use std::path::Path;

use tempfile::NamedTempFile;

use super::data_file::{DataFile, lies_beside};
use super::message::Model;
use super::proto::{Message, ModelProto};
use super::tensors;
use crate::error::{OnnxError, Result};

/// Messages of this size are written with their tensors beside them: protobuf ends at
/// 2 GiB, and readers set limits somewhat below.
const MAX_MESSAGE: u64 = (1 << 31) - (1 << 20);

pub(super) fn io_error(path: &Path, source: std::io::Error) -> OnnxError {
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
    /// Tensors with external data are copied to one file, `<name>.data` beside it, piece by
    /// piece, those that share their bytes once; so is every large tensor if the message would
    /// grow beyond what protobuf allows (2 GiB).
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
        let mut beside = DataFile::begin(path, folder, model.base_dir.as_deref())?;
        tensors::try_visit_mut(message.to_mut(), &mut |tensor| beside.put(tensor, spills))?;
        data = beside.finish()?;
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
