//! Labels of channel positions while a graph is walked.
//!
//! Each axis of each value carries one label per position. The rules of [`crate::ops`] merge,
//! copy, join, repeat or permute labels through a [`LabelContext`] (union-find);
//! [`crate::coupling`] walks the graph and makes channel groups of what ended up together.

mod context;
mod counts;
mod edit;
mod mixing;
mod parameters;
mod pins;
mod quantised;
mod sets;
mod uses;

pub use context::LabelContext;
pub(crate) use edit::Edit;
pub use mixing::Mixing;
pub use quantised::Quantised;
pub(crate) use sets::LabelSets;
pub use sets::{AxisLabels, Labels, Pinned};
pub use uses::Role;
