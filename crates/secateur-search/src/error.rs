//! What can end a search early.

use secateur_onnx::text::counted;
use std::path::PathBuf;

use thiserror::Error;

use crate::environment::EnvironmentError;
use crate::policy::PolicyError;
use crate::space::SpaceError;
use crate::store::StoreError;

/// Errors of a search.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SearchError {
    /// Nothing to go on with.
    #[error("cannot resume: `{}` holds no run", path.display())]
    NothingToResume {
        /// The folder.
        path: PathBuf,
    },
    /// A new run in a used folder.
    #[error("cannot start: `{}` holds a run already", path.display())]
    AlreadyBegun {
        /// The folder.
        path: PathBuf,
    },
    /// A run of another model, or with other settings.
    #[error("cannot resume `{}`: {reason}", path.display())]
    OtherRun {
        /// The folder.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// Stopped as asked; the state is kept.
    #[error("interrupted after {}{}", counted(*epochs, "pruning epoch"), kept_in(path.as_ref(), "; the run is saved in"))]
    Interrupted {
        /// The folder, if there is one.
        path: Option<PathBuf>,
        /// Records in the history.
        epochs: usize,
    },
    /// Healing diverged; the state before that pruning epoch is kept.
    #[error(
        "{source}, in pruning epoch {epochs}{}",
        kept_in(path.as_ref(), "; the state before it is kept in")
    )]
    Diverged {
        /// The folder, if there is one.
        path: Option<PathBuf>,
        /// Records in the history.
        epochs: usize,
        /// Step and value.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The user's own measure failed; what was done before is kept.
    #[error(
        "cannot measure {network}{}: {source}",
        kept_in(path.as_ref(), "; the run up to here is kept in")
    )]
    Measure {
        /// Which network.
        network: String,
        /// The folder, if there is one to go on with.
        path: Option<PathBuf>,
        /// What failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What cannot be pruned, or not as far as asked for.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The environment.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

fn kept_in(path: Option<&PathBuf>, text: &str) -> String {
    path.map_or_else(String::new, |path| format!("{text} `{}`", path.display()))
}
