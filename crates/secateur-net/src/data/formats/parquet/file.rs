//! A Parquet file as its reader wants it.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// A file that is opened for each read: handles that are copied share their place, and threads
/// would read each other's bytes.
#[derive(Debug)]
pub(super) struct ParquetFile {
    path: PathBuf,
    n_bytes: u64,
}

impl ParquetFile {
    pub(super) fn new(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            n_bytes: std::fs::metadata(path)?.len(),
        })
    }

    /// At `start`; never reads more than `n_bytes`, which lie in the file.
    fn at(&self, start: u64, n_bytes: u64) -> Result<Take<File>> {
        if start
            .checked_add(n_bytes)
            .is_none_or(|end| end > self.n_bytes)
        {
            return Err(ParquetError::EOF(
                "a place beyond the end of the file".into(),
            ));
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(start))?;
        Ok(file.take(n_bytes))
    }
}

impl Length for ParquetFile {
    fn len(&self) -> u64 {
        self.n_bytes
    }
}

impl ChunkReader for ParquetFile {
    type T = BufReader<Take<File>>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        // Page headers are read this way, and have some dozen bytes.
        const HEADER: usize = 512;
        let rest = self.n_bytes.saturating_sub(start);
        Ok(BufReader::with_capacity(HEADER, self.at(start, rest)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = Vec::new();
        self.at(start, length as u64)?.read_to_end(&mut bytes)?;
        match bytes.len() == length {
            true => Ok(bytes.into()),
            false => Err(ParquetError::EOF("the file breaks off".into())),
        }
    }
}

/// The same, remembering where was read last: page headers are asked for where pages begin, and
/// nothing else says where that is.
pub(super) struct Traced<'a> {
    pub(super) file: &'a ParquetFile,
    pub(super) last: AtomicU64,
}

impl Length for Traced<'_> {
    fn len(&self) -> u64 {
        self.file.len()
    }
}

impl ChunkReader for Traced<'_> {
    type T = BufReader<Take<File>>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        self.last.store(start, Ordering::Relaxed);
        self.file.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.file.get_bytes(start, length)
    }
}
