//! One process a run folder, by an advisory lock that dies with its process.

use std::path::Path;

use super::StoreError;

/// Holds the folder until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: fs_err::File,
}

impl Lock {
    pub(super) fn acquire(folder: &Path) -> Result<Self, StoreError> {
        let file = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))?;
        match file.file().try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Busy {
                path: folder.to_path_buf(),
            }),
            Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }
}
