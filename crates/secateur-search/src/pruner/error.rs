//! What can end a run early.

use std::path::PathBuf;

use secateur_net::NetError;
use secateur_onnx::OnnxError;
use thiserror::Error;

use crate::agent::AgentError;
use crate::env::ProblemError;
use crate::policy::UnknownPolicy;
use crate::run_dir::RunDirError;

/// Errors of a run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PruneError {
    /// A setting out of its range.
    #[error("cannot prune: {setting} is {value}, expected {expected}")]
    Setting {
        /// Which.
        setting: String,
        /// As given.
        value: String,
        /// Its range.
        expected: String,
    },
    /// `--resume` without a run.
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
    /// A run of another model.
    #[error("cannot resume `{}`: {reason}", path.display())]
    OtherRun {
        /// The folder.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// Stopped as asked; the state is saved.
    #[error("interrupted after {epochs} pruning epochs; the run is saved in `{}`", path.display())]
    Interrupted {
        /// The folder.
        path: PathBuf,
        /// Records in the history.
        epochs: usize,
    },
    /// Training diverged; the state before that pruning epoch is saved.
    #[error(
        "{source}, in pruning epoch {epochs}; the state before it is kept in `{}`",
        path.display()
    )]
    Diverged {
        /// The folder.
        path: PathBuf,
        /// Records in the history.
        epochs: usize,
        /// Step and value.
        source: NetError,
    },
    /// The problem.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The model.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The run folder.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// The agent's file.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The policy's name.
    #[error(transparent)]
    Policy(#[from] UnknownPolicy),
}

impl PruneError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Setting { .. } => Some(
                "`secateur prune --help` and docs/algorithm.md list settings and ranges"
                    .to_string(),
            ),
            Self::NothingToResume { .. } => Some("leave out `--resume` to start one".to_string()),
            Self::AlreadyBegun { .. } => Some(
                "add `--resume` to go on with it, or name another folder with `--run-dir`"
                    .to_string(),
            ),
            Self::OtherRun { .. } => {
                Some("resume with the model and the settings that the run began with".to_string())
            }
            Self::Interrupted { .. } => {
                Some("run the same command with `--resume` to go on".to_string())
            }
            Self::Diverged { .. } => Some(
                "lower `lr` and `recover_lr` in the `[training]` part of a config; with it and \
                 `--resume` the run goes on from the last good state"
                    .to_string(),
            ),
            Self::Problem(error) => error.hint(),
            Self::Net(error) => error.hint(),
            Self::Onnx(error) => error.hint(),
            Self::RunDir(error) => error.hint(),
            Self::Agent(_) | Self::Policy(_) => None,
        }
    }
}
