//! The two modes: what an epoch may do, and how a run ends.

mod corridor;

pub use corridor::{Corridor, size_of};
