//! Decisions: the agent, the environment it acts in, the modes and their
//! promises, runs and their folders.
//!
//! The agent sees features, never a network ([`env::features`]); promises are
//! enforced outside it ([`env::choose`], [`pruner`]).

pub mod agent;
pub mod config;
pub mod env;
pub mod mode;
pub mod policy;
pub mod pruner;
pub mod run_dir;
