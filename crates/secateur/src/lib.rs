//! Makes trained convolutional networks smaller: ONNX in, ONNX out.
//!
//! [`Network`] is a file to look at and to run, [`Pruner`] the main job, with an example
//! each. The commands of the program are thin over this library: [`mod@train`] trains a
//! network, [`verify`] and [`mod@bench`] check and time files in an engine that is not
//! ours. Below it lie [`onnx`] (files and graphs), [`net`] (training) and [`search`] (the
//! agent).

pub mod bench;
pub mod data;
pub mod engine;
mod network;
pub mod one_shot;
pub mod prune;
mod pruner;
pub mod report;
pub mod train;
pub mod verify;

use std::num::NonZeroUsize;

pub use network::{Network, NetworkError};
pub use pruner::{Pruner, default_run_dir};
pub use secateur_net as net;
pub use secateur_onnx as onnx;
pub use secateur_search as search;

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
