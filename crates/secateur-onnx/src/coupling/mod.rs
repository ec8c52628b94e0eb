//! Kernels that must go together, found by following every channel index.
//!
//! Each axis of each value carries one label per position. Operators merge,
//! copy, join, repeat or permute labels (union-find); positions that end up with
//! one label must go together. A label that reaches an operator without a rule,
//! a graph input or output, or a normalisation across channels (unless that is allowed) is
//! pinned with node and reason. So whatever is not understood is left alone.

mod dequantised;
mod find;
mod fixed;
mod group;
mod into_groups;
mod keep;
mod masks;
mod mixed;

pub(crate) use group::KernelRef;
pub use group::{ChannelGroup, ChannelGroups, FixedLayer, Member};
pub use keep::Keep;
pub use masks::{Masks, kept_positions};
pub use mixed::Mixed;

pub(crate) use crate::labels::Edit;
pub use crate::labels::{AxisLabels, LabelContext, Labels, Pinned, Quantised, Role};
