//! What can go wrong in the main job.

use std::path::PathBuf;

use secateur_net::NetError;
use secateur_net::data::DataError;
use secateur_net::settings::SettingError;
use secateur_onnx::OnnxError;
use secateur_onnx::text::counted;
use secateur_search::environment::training::ProblemError;
use secateur_search::error::SearchError;
use secateur_search::policy::PolicyError;
use secateur_search::rank::RankingError;
use secateur_search::space::SpaceError;
use secateur_search::store::StoreError;

use crate::guessing::{Guessing, GuessingError};
use crate::measure::CommandError;
use crate::report::ReportError;
use crate::runtime::RuntimeError;
use crate::verify::VerifyError;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// A setting out of its range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The network, its data, or what may be pruned of it.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// The given network gives nothing that others could be held against.
    #[error(
        "cannot prune: output `{output}` of the given network holds no finite value, for {}",
        counted(*samples, "sample")
    )]
    NoFiniteValue {
        /// Its name.
        output: String,
        /// How many were looked at.
        samples: usize,
    },
    /// The given network is no better than guessing on the data.
    #[error("{0}")]
    Guessing(Box<Guessing>),
    /// The command that measures networks, before it ran.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The search.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A written file does not hold what it promises.
    #[error("`{file}` was written but does not verify: {failed}")]
    NotVerified {
        /// The file, or the label of a network in memory.
        file: String,
        /// The check that failed, with its figures.
        failed: String,
    },
    /// The result would overwrite the given network.
    #[error("cannot write `{}`: it is the network to prune", path.display())]
    OverInput {
        /// Both.
        path: PathBuf,
    },
    /// What the agent learns cannot be kept where it is wanted.
    #[error("cannot keep what the agent learns in `{}`: {reason}", path.display())]
    LearnInto {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The engine that was asked for.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Verification could not run.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The ranking of a run without training.
    #[error(transparent)]
    Ranking(#[from] RankingError),
}

impl From<OnnxError> for PruneError {
    fn from(error: OnnxError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<NetError> for PruneError {
    fn from(error: NetError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<DataError> for PruneError {
    fn from(error: DataError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<GuessingError> for PruneError {
    fn from(error: GuessingError) -> Self {
        match error {
            GuessingError::Net(error) => error.into(),
            GuessingError::Data(error) => error.into(),
        }
    }
}

impl From<SpaceError> for PruneError {
    fn from(error: SpaceError) -> Self {
        Self::Problem(error.into())
    }
}

impl From<StoreError> for PruneError {
    fn from(error: StoreError) -> Self {
        Self::Search(error.into())
    }
}

impl From<PolicyError> for PruneError {
    fn from(error: PolicyError) -> Self {
        Self::Search(error.into())
    }
}
