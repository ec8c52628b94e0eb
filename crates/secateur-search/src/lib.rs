//! Decisions: policies, the environments they act in, promises, and the search that brings them
//! together.
//!
//! ```text
//! policy ◄─ observation ─ environment ◄─ action ─ search ◄─ limits ─ promise
//!    └──── ranks, wishes ────────────────────────►  │
//!                                                   └─► store: history, checkpoint, snapshots
//! ```
//!
//! Policies see [`observation::Observation`]s, never a network; promises are kept outside of
//! them ([`choose`], [`promise`]).

pub mod agent;
pub mod baseline;
pub mod choose;
pub mod config;
pub mod costs;
pub mod environment;
pub mod error;
pub mod gauge;
pub mod left_out;
pub mod limits;
pub mod measure;
pub mod observation;
pub mod policies;
pub mod policy;
pub mod promise;
pub mod random_shapes;
pub mod rank;
pub mod record;
pub mod reward;
pub mod scores;
pub mod search;
pub mod space;
pub mod store;
pub mod widths;
pub mod worth;
