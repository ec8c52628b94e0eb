//! Where arrays lie: `.npy` files of a folder, members of an `.npz` file, or the caller's memory.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use rawzip::{CompressionMethod, FileReader, RECOMMENDED_BUFFER_SIZE, ZipArchive};

use super::array::Array;
use super::lent::LentArrays;
use crate::data::DataError;

/// Named arrays.
#[derive(Debug, Clone)]
pub(super) enum Store {
    /// `<name>.npy` each.
    Folder(PathBuf),
    /// One such file.
    Npy(PathBuf),
    /// A zip archive of them.
    Npz(PathBuf),
    /// Lent by the caller.
    Memory(LentArrays),
}

impl Store {
    /// The folder or file.
    pub(super) fn root(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Npy(path) | Self::Npz(path) => path,
            Self::Memory(arrays) => arrays.place(),
        }
    }

    /// Names of the arrays, sorted.
    pub(super) fn names(&self) -> Result<Vec<String>, DataError> {
        let files: Vec<String> = match self {
            Self::Folder(dir) => std::fs::read_dir(dir)
                .map_err(|error| DataError::io(dir, error))?
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect(),
            Self::Npy(path) => {
                let name = path.file_name().unwrap_or_default();
                vec![name.to_string_lossy().into_owned()]
            }
            Self::Npz(path) => members(path, &mut archive(path)?)?
                .into_iter()
                .map(|member| member.name)
                .collect(),
            Self::Memory(arrays) => return Ok(arrays.names()),
        };
        let names = files.iter().filter_map(|file| file.strip_suffix(".npy"));
        let mut names: Vec<String> = names.map(str::to_string).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The path of an array, for people.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder(dir) => dir.join(format!("{name}.npy")),
            Self::Npy(path) => path.clone(),
            Self::Npz(path) => path.join(format!("{name}.npy")),
            Self::Memory(arrays) => arrays.place().join(name),
        }
    }

    /// Calls `read` with an array.
    pub(super) fn with<T>(
        &self,
        name: &str,
        read: impl FnOnce(Array<'_>) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        let shown = self.path(name);
        let path = match self {
            Self::Npz(path) => path,
            Self::Memory(arrays) => return arrays.with(name, &shown, read),
            Self::Folder(_) | Self::Npy(_) => {
                let io = |error: std::io::Error| DataError::io(&shown, error);
                let file = File::open(&shown).map_err(io)?;
                let n_bytes = file.metadata().map_err(io)?.len();
                return read(Array::new(&shown, &mut BufReader::new(file), n_bytes)?);
            }
        };
        let mut archive = archive(path)?;
        let file = format!("{name}.npy");
        let mut members = members(path, &mut archive)?.into_iter();
        let Some(member) = members.find(|member| member.name == file) else {
            return Err(DataError::format(&shown, "an array", "none of that name"));
        };
        let entry = archive
            .get_entry(member.place)
            .map_err(|error| damaged(&shown, error))?;
        // The verifying readers notice a wrong size or checksum at the end.
        match member.method {
            CompressionMethod::STORE => {
                let mut stored = entry.verifying_reader(entry.reader());
                read(Array::new(&shown, &mut stored, member.n_bytes)?)
            }
            CompressionMethod::DEFLATE => {
                let inflated = flate2::read::DeflateDecoder::new(entry.reader());
                let mut inflated = entry.verifying_reader(inflated);
                read(Array::new(&shown, &mut inflated, member.n_bytes)?)
            }
            other => Err(DataError::unsupported(
                &shown,
                "an array stored or deflated, as NumPy writes them",
                format!("compression {other:?}"),
            )),
        }
    }
}

/// A file in an archive.
struct Member {
    name: String,
    method: CompressionMethod,
    place: rawzip::ZipArchiveEntryWayfinder,
    /// As the archive claims.
    n_bytes: u64,
}

fn archive(path: &Path) -> Result<ZipArchive<FileReader>, DataError> {
    let file = File::open(path).map_err(|error| DataError::io(path, error))?;
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    ZipArchive::from_file(file, &mut buffer).map_err(|error| damaged(path, error))
}

fn members(path: &Path, archive: &mut ZipArchive<FileReader>) -> Result<Vec<Member>, DataError> {
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let mut entries = archive.entries(&mut buffer);
    let mut members = Vec::new();
    while let Some(entry) = entries.next_entry().map_err(|error| damaged(path, error))? {
        members.push(Member {
            name: String::from_utf8_lossy(entry.file_path().as_ref()).into_owned(),
            method: entry.compression_method(),
            place: entry.wayfinder(),
            n_bytes: entry.uncompressed_size_hint(),
        });
    }
    Ok(members)
}

fn damaged(path: &Path, error: rawzip::Error) -> DataError {
    DataError::damaged(path, "a whole npz file", error)
}
