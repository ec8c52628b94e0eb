//! What can go wrong with a demo.

use std::path::PathBuf;

use secateur_onnx::OnnxError;
use secateur_search::store::StoreError;
use thiserror::Error;

use crate::PruneError;
use crate::data::DataError;
use crate::train::TrainError;

/// What can go wrong with a demo.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A file where the folder should be.
    #[error("cannot write to `{}`: it is no folder", path.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// A folder with something else in it.
    #[error(
        "cannot use `{}` for the demo: it holds files that are not a demo's, such as `{first}`",
        path.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// A file in it.
        first: String,
    },
    /// A folder that another process works in.
    #[error("cannot use `{}` for the demo: another process works in it", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The network.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// Its training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A pruning run.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// The folder of a run.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system refused; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl DemoError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoFolder { .. } => "name another with `-o`",
            Self::Foreign { .. } => "name a new folder with `-o`, or empty this one",
            Self::Busy { .. } => "wait for it to end, or name another folder with `-o`",
            Self::Prune(_) => {
                "run the demo again, or name another folder with `-o`; `prune` with the demo's `net.onnx` \
                 has more options"
            }
            _ => return None,
        };
        Some(text.to_string())
    }
}
