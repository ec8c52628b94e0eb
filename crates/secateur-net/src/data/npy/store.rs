//! Where arrays lie: `.npy` files of a folder, or members of an `.npz` file.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use rawzip::{CompressionMethod, FileReader, RECOMMENDED_BUFFER_SIZE, ZipArchive};

use super::header::Header;
use crate::data::DataError;

/// Named arrays.
#[derive(Debug, Clone)]
pub(super) enum Store {
    /// `<name>.npy` each.
    Folder(PathBuf),
    /// A zip archive of them.
    Npz(PathBuf),
}

impl Store {
    /// Names of the arrays, sorted.
    pub(super) fn names(&self) -> Result<Vec<String>, DataError> {
        let mut names: Vec<String> = match self {
            Self::Folder(dir) => std::fs::read_dir(dir)
                .map_err(|error| DataError::io(dir, &error))?
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .filter_map(|name| name.strip_suffix(".npy").map(str::to_string))
                .collect(),
            Self::Npz(path) => members(path, &mut archive(path)?)?
                .into_iter()
                .filter_map(|member| member.name.strip_suffix(".npy").map(str::to_string))
                .collect(),
        };
        names.sort_unstable();
        Ok(names)
    }

    /// The path of an array, for people.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder(dir) => dir.join(format!("{name}.npy")),
            Self::Npz(path) => path.join(format!("{name}.npy")),
        }
    }

    /// Calls `read` with an array's path, header and values.
    pub(super) fn with<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Path, &Header, &mut dyn Read) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        let shown = self.path(name);
        let whole = |mut reader: &mut dyn Read, n_bytes: u64| {
            let (header, length) = Header::read(&shown, &mut reader)?;
            let promised = (header.n_values * header.dtype.size) as u64;
            let held = n_bytes.saturating_sub(length);
            if promised > held {
                return Err(DataError::format(
                    &shown,
                    format!(
                        "{} values of {} bytes as its header promises",
                        header.n_values, header.dtype.size
                    ),
                    format!("{held} bytes in all"),
                ));
            }
            read(&shown, &header, reader)
        };
        match self {
            Self::Folder(_) => {
                let io = |error: std::io::Error| DataError::io(&shown, &error);
                let file = File::open(&shown).map_err(io)?;
                let n_bytes = file.metadata().map_err(io)?.len();
                whole(&mut BufReader::new(file), n_bytes)
            }
            Self::Npz(path) => {
                let mut archive = archive(path)?;
                let file = format!("{name}.npy");
                let members = members(path, &mut archive)?;
                let Some(member) = members.iter().find(|member| member.name == file) else {
                    return Err(DataError::format(&shown, "an array", "none of that name"));
                };
                let fail = |error: rawzip::Error| damaged(&shown, &error);
                let entry = archive.get_entry(member.place).map_err(fail)?;
                // The verifying readers notice a wrong size or checksum at the end.
                match member.method {
                    CompressionMethod::STORE => {
                        whole(&mut entry.verifying_reader(entry.reader()), member.n_bytes)
                    }
                    CompressionMethod::DEFLATE => {
                        let inflated = flate2::read::DeflateDecoder::new(entry.reader());
                        whole(&mut entry.verifying_reader(inflated), member.n_bytes)
                    }
                    other => Err(DataError::unsupported(
                        &shown,
                        "an array stored or deflated, as NumPy writes them",
                        format!("compression {other:?}"),
                    )),
                }
            }
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
    let file = File::open(path).map_err(|error| DataError::io(path, &error))?;
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    ZipArchive::from_file(file, &mut buffer).map_err(|error| damaged(path, &error))
}

fn members(path: &Path, archive: &mut ZipArchive<FileReader>) -> Result<Vec<Member>, DataError> {
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let mut entries = archive.entries(&mut buffer);
    let mut members = Vec::new();
    while let Some(entry) = entries
        .next_entry()
        .map_err(|error| damaged(path, &error))?
    {
        members.push(Member {
            name: String::from_utf8_lossy(entry.file_path().as_ref()).into_owned(),
            method: entry.compression_method(),
            place: entry.wayfinder(),
            n_bytes: entry.uncompressed_size_hint(),
        });
    }
    Ok(members)
}

fn damaged(path: &Path, error: &rawzip::Error) -> DataError {
    DataError::format(
        path,
        "a whole npz file",
        format!("one that breaks off or is damaged ({error})"),
    )
}
