//! Errors of run folders.

use std::path::PathBuf;

use thiserror::Error;

/// What can go wrong with a run folder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process works in the folder.
    #[error("cannot use run folder `{}`: another process works in it", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A file is not what was written.
    #[error("cannot read `{}`: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system refused; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl StoreError {
    /// True if the disk, the quota or the size limit of files is exhausted.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull, WriteZero};
        let full = [FileTooLarge, QuotaExceeded, StorageFull, WriteZero];
        matches!(self, Self::Io(error) if full.contains(&error.kind()))
    }
}
