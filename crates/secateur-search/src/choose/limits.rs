//! What one pruning epoch allows.

use crate::config::Metric;

/// What one pruning epoch allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// What the corridor is counted in.
    pub metric: Metric,
    /// The network may not be larger than this afterwards.
    pub at_most: u64,
    /// No kernel is turned off that would make it smaller than this.
    pub at_least: u64,
    /// Share of a layer's active kernels that may switch.
    pub max_switch_ratio: f64,
    /// A layer keeps at most this many times more, and less, than its even share: that of a
    /// network of the largest size that keeps the same share of every layer. 1 and up.
    pub max_imbalance: f64,
    /// Kept kernels of a layer are a multiple of this, as far as its width allows.
    pub round_to: usize,
}
