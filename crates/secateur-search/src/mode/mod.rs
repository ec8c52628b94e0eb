//! The two modes: what an epoch may do, and how a run ends.

mod corridor;
mod floor;

pub use corridor::Corridor;
pub use floor::Floor;
