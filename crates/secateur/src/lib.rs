//! Makes trained convolutional networks smaller: ONNX in, ONNX out.
//!
//! [`Pruner`] does the main job, in memory or from file to file; [`Network`] is a network to
//! look at and to run; [`mod@train`] trains one, [`verify`] and [`mod@bench`] check and time
//! files in engines that are not ours where they run them ([`runtime`]). [`prelude`] has what most programs need.
//! The commands of the program ([`cli`]) are thin over this library. What lies below it are crates of
//! their own: `secateur_onnx` (files and graphs), `secateur_net` (training), `secateur_search`
//! (policies, environments, promises).
//!
//! Cargo features, both on by default: `cli` is the program, `verify` the other engines (ONNX
//! Runtime, loaded where it is found, and tract). Without `verify` outputs are compared in our own
//! interpreter where it runs the file, latencies are not measured, and reports say so.

#[cfg(feature = "cli")]
#[macro_use]
mod print;

pub mod bench;
pub mod calibrate;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod commands;
pub mod compare;
pub mod demo;
pub mod eval;
pub mod examples;
pub mod guessing;
pub mod inspect;
pub mod kept;
pub mod latency;
pub mod layered;
pub mod measure;
pub mod meter;
mod network;
pub mod new_network;
pub mod one_shot;
pub mod prune;
mod pruner;
pub mod quantise;
pub mod report;
pub mod runtime;
pub mod table;
pub mod tensorboard;
pub mod train;
pub mod verify;

use std::num::NonZeroUsize;

pub use network::{Network, NetworkError};
pub use prune::{Files, PruneError, Pruned, PrunedNetwork};
pub use pruner::Pruner;
pub use secateur_net::{Engine, data};
pub use secateur_onnx::arch;

/// What most programs need: `use secateur::prelude::*`.
pub mod prelude {
    pub use crate::report::RunReport;
    pub use crate::train::{TrainConfig, train};
    pub use crate::{Engine, Files, Network, PruneError, Pruned, PrunedNetwork, Pruner, data};
    pub use secateur_net::data::DataConfig;
    pub use secateur_onnx::model::Model;
    pub use secateur_search::config::{Budget, Metric, Mode, PruneConfig};
    pub use secateur_search::error::SearchError;
    pub use secateur_search::observation::Observation;
    pub use secateur_search::policy::{
        Experience, Exploration, LearnReport, Learner, Policy, PolicyError, RankingPolicy,
    };
    pub use secateur_search::rank::{Ranking, Scope};
    pub use secateur_search::record::Stage;
    pub use secateur_search::scores::{Evidence, Score};
    pub use secateur_search::search::Observer;
}

/// The thread pool could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {threads} threads: {reason}")]
pub struct ThreadsError {
    threads: usize,
    reason: String,
}

/// Sets the number of worker threads, before anything has run.
///
/// # Errors
/// [`ThreadsError`] for 0, and if the pool runs already.
pub fn set_threads(threads: usize) -> Result<(), ThreadsError> {
    let fail = |reason: &str| ThreadsError {
        threads,
        reason: reason.to_string(),
    };
    let threads = NonZeroUsize::new(threads).ok_or_else(|| fail("at least one is needed"))?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .build_global()
        .map_err(|error| fail(&error.to_string()))
}
