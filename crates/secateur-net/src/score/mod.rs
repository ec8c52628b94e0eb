//! How much kernels matter: significance of active ones, gathered while a slice
//! trains, and health of dormant ones, probed with one extra batch.

mod collector;
mod probe;

pub use collector::{Collector, LayerScores};
pub use probe::probe_health;
