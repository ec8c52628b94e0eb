//! What one pruning epoch allows.

use crate::config::Count;

/// What one pruning epoch allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// What sizes are counted in.
    pub count: Count,
    /// The network may not be larger than this afterwards.
    pub at_most: u64,
    /// No kernel is turned off that would make it smaller than this.
    pub at_least: u64,
    /// Share of a layer's active kernels that may switch.
    pub max_switch_ratio: f64,
    /// Kept kernels of a layer are a multiple of this, as far as its width allows.
    pub round_to: usize,
}
