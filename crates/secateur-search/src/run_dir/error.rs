//! Errors of run folders.

use std::path::PathBuf;

use thiserror::Error;

/// What can go wrong with a run folder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunDirError {
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

impl RunDirError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Busy { .. } => {
                Some("wait for it to end, or name another folder with `--run-dir`".to_string())
            }
            Self::Damaged { .. } => Some(
                "start again with a new `--run-dir`; the old folder is left as it is".to_string(),
            ),
            Self::Io(error) => no_room(error).then(|| {
                "make room on the disk, then go on with `--resume`: what was written before is whole"
                    .to_string()
            }),
        }
    }
}

/// Is the disk, the quota or the size limit of files exhausted?
fn no_room(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull, WriteZero};
    matches!(
        error.kind(),
        FileTooLarge | QuotaExceeded | StorageFull | WriteZero
    )
}
