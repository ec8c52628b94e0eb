//! One process a run folder, by an advisory lock that dies with its process.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use super::StoreError;

/// Makes the folder if need be and locks it until the file is dropped; `None` while another process works
/// in it. As [`lock_file`].
///
/// # Errors
/// Where the folder or the file in it cannot be made or locked.
pub fn lock(folder: &Path) -> io::Result<Option<File>> {
    fs_err::create_dir_all(folder)?;
    lock_file(&folder.join("lock"))
}

/// Makes the file if need be and locks it until it is dropped; `None` while another process holds it.
///
/// Whoever is given a clone of the file holds the lock too: a child that outlives its parent keeps
/// others away until it ends.
///
/// # Errors
/// Where the file cannot be made or locked.
pub fn lock_file(path: &Path) -> io::Result<Option<File>> {
    let file = fs_err::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?
        .into_file();
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Holds the folder of a run until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn acquire(folder: &Path) -> Result<Self, StoreError> {
        match lock(folder)? {
            Some(file) => Ok(Self { _file: file }),
            None => Err(StoreError::Busy {
                path: folder.to_path_buf(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap().unwrap();
        assert!(lock(folder.path()).unwrap().is_none());
        // As a child has it.
        let clone = held.try_clone().unwrap();
        drop(held);
        assert!(lock(folder.path()).unwrap().is_none());
        drop(clone);
        assert!(lock(folder.path()).unwrap().is_some());
    }
}
