//! One file a command; each is thin over the library.

pub mod bench;
pub mod demo;
pub mod eval;
pub mod inspect;
pub mod prune;
pub mod report;
pub mod train;
pub mod verify;

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

/// Prints a result for programs.
fn print_json<T: Serialize>(value: &T) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Fails early, before hours of work, if `path` cannot be written.
fn check_writable(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if let Err(error) = tempfile::NamedTempFile::new_in(folder) {
        anyhow::bail!("cannot write `{}`: {error}", path.display());
    }
    if path.is_dir() {
        anyhow::bail!("cannot write `{}`: it is a folder", path.display());
    }
    Ok(())
}
