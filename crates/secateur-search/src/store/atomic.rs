//! Files that are whole or not there.

use std::io::Write;
use std::path::Path;

use super::StoreError;

/// The folder that a file lies in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Fails if [`write_atomically`] could not write a file, before there is anything to write.
///
/// # Errors
/// Why, without the path.
pub fn check_writable(path: &Path) -> std::io::Result<()> {
    secateur_onnx::model::new_beside(folder_of(path))?;
    match path.is_dir() {
        true => Err(std::io::Error::other("it is a folder")),
        false => Ok(()),
    }
}

/// Writes beside, syncs, renames.
///
/// # Errors
/// [`StoreError::Io`] naming the path.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = folder_of(path);
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
