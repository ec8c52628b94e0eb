//! Files that are whole or not there.

use std::io::Write;
use std::path::Path;

use super::StoreError;

/// Writes beside, syncs, renames.
///
/// # Errors
/// [`StoreError::Io`] naming the path.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let io = |error: std::io::Error| {
        StoreError::Io(std::io::Error::new(
            error.kind(),
            format!("cannot write `{}`: {error}", path.display()),
        ))
    };
    let mut file = secateur_onnx::model::new_beside(folder).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}
