//! Where the files of a run lay when it ended, for whoever comes back to its folder.

use std::path::{Path, PathBuf, absolute};

use serde::{Deserialize, Serialize};

/// Absolute paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// The given network.
    pub model: PathBuf,
    /// The folder of the results.
    pub results: PathBuf,
}

impl Places {
    /// Of a run from one file to another.
    pub fn of(model: &Path, output: &Path) -> Self {
        let whole = |path: &Path| absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let output = whole(output);
        Self {
            model: whole(model),
            results: output.parent().unwrap_or(&output).to_path_buf(),
        }
    }
}
