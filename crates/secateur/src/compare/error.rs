//! What can go wrong with a comparison.

use std::path::PathBuf;

use thiserror::Error;

use crate::report::ReportError;
use secateur_search::store::StoreError;

/// What can go wrong with a comparison. A run that fails is no error of it: it is told with the
/// results.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CompareError {
    /// An experiment file that says something wrong.
    #[error("cannot use `{}`{}: {reason}", file.display(), line.map_or_else(String::new, |n| format!(", line {n}")))]
    Experiment {
        /// The file.
        file: PathBuf,
        /// Where in it, from 1.
        line: Option<usize>,
        /// What is wrong.
        reason: String,
    },
    /// A run folder that holds a run of other settings, or of another network.
    #[error("cannot go on in `{}`: {what}", folder.display())]
    OtherRun {
        /// The folder.
        folder: PathBuf,
        /// What differs.
        what: String,
    },
    /// A file of a run that is not what was written.
    #[error("cannot read `{}`: {reason}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Figures of the test data were asked for, and a run has none.
    #[error("cannot compare test figures: the data of `{network}` hold no test part")]
    NoTest {
        /// The network.
        network: String,
    },
    /// Other data for all networks of an experiment that have not the same.
    #[error(
        "cannot use other data: the experiment names two, `{}` and `{}`",
        first.display(),
        other.display()
    )]
    SeveralData {
        /// One of them.
        first: PathBuf,
        /// Another one.
        other: PathBuf,
    },
    /// Data that are missing: runs would fail one by one.
    #[error("cannot compare on `{network}`: there is no data `{}`", data.display())]
    NoData {
        /// The network.
        network: String,
        /// Its data.
        data: PathBuf,
    },
    /// A folder to merge that is none of a comparison.
    #[error("cannot merge `{}`: it holds no runs of a comparison", folder.display())]
    NoRuns {
        /// The folder.
        folder: PathBuf,
    },
    /// The report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A file that could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system refused; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl CompareError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Experiment { .. } => "docs/compare.md says what an experiment file holds",
            Self::OtherRun { .. } => {
                "name another output folder, or remove this one to make its run anew"
            }
            Self::SeveralData { .. } => {
                "leave `--data` out, and name them in the experiment's file"
            }
            Self::NoData { .. } => "put the data there, or name their folder with `--data`",
            Self::Damaged { .. } => "remove the folder of that run: it is then made anew",
            _ => return None,
        };
        Some(text.to_string())
    }
}
