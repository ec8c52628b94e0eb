//! The formats that are read, and recognising which one lies at a path.

mod cifar;
mod encoded;
mod folder;
mod idx;
mod names;
mod npy;
mod parquet;
mod shards;
mod tar;

use std::fs::ReadDir;
use std::io::ErrorKind;
use std::path::Path;

use super::{DataConfig, DataError, Format, Source};
pub use npy::{LentArray, LentValues, open_arrays};

/// In the order in which they are asked.
const FORMATS: [&dyn Format; 6] = [
    &idx::Idx,
    &cifar::CifarBinary,
    &npy::Arrays,
    &parquet::ParquetFiles,
    &folder::ImageFolders,
    // Behind folders: archives often lie beside what was taken out of them.
    &tar::TarShards,
];

/// Opens data: a folder or a file in one of the layouts of docs/data.md.
///
/// # Errors
/// [`DataError::Io`] if there is nothing, [`DataError::NotRecognised`] if nothing there is
/// recognised, and whatever the format's reader finds.
pub fn open(path: &Path, config: &DataConfig) -> Result<Source, DataError> {
    open_with(path, config, &[])
}

/// Opens data that may be in a format of the caller's `own`; those are asked first.
///
/// # Errors
/// As [`open`].
pub fn open_with(
    path: &Path,
    config: &DataConfig,
    own: &[&dyn Format],
) -> Result<Source, DataError> {
    // Looked at first: a format would only say that it does not recognise what is missing.
    let entries = match path.is_file() {
        true => None,
        false => Some(entries(path)?),
    };
    let formats = own.iter().chain(&FORMATS);
    for format in formats.clone() {
        if let Some(parts) = format.open(path, config)? {
            return Source::new(path, parts, config);
        }
    }
    let expected: Vec<&str> = formats.map(|format| format.expects()).collect();
    let found = entries.map_or("found a file".to_string(), listing);
    Err(DataError::NotRecognised {
        path: path.to_path_buf(),
        found: format!("expected {}; {found}", expected.join(", or ")),
    })
}

fn entries(folder: &Path) -> Result<ReadDir, DataError> {
    std::fs::read_dir(folder).map_err(|error| {
        let error = match error.kind() {
            kind @ ErrorKind::NotFound => std::io::Error::new(kind, "no such file or folder"),
            _ => error,
        };
        DataError::io(folder, error)
    })
}

/// The first few names of a folder.
fn listing(entries: ReadDir) -> String {
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names.truncate(5);
    if names.is_empty() {
        "it is empty".to_string()
    } else {
        format!("found {names:?}")
    }
}
