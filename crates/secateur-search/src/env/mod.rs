//! The environment: what the agent observes, what its actions do, what they earn.

mod environment;
pub mod features;
mod model_data;
mod problem;
pub mod reward;
mod scores;
mod select;
mod state;
pub mod worth;

pub use environment::{Environment, EpochOutcome, EpochPlan};
pub use model_data::{ModelData, Preprocessing, metadata, settle_image_size};
pub use problem::{
    Baseline, Problem, ProblemError, Reference, can_count, check_finite, file_notes, ratio,
    switchable,
};
pub use scores::KernelScores;
pub use select::{Limits, choose};
pub use state::{Shared, State};
