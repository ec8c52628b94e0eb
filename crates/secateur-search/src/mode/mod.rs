//! The two modes: what an epoch may do, and how a run ends.

mod corridor;
mod floor;
mod next_size;

pub use corridor::Corridor;
pub use floor::Floor;
pub use next_size::{NextSize, Recovered, next_size};
