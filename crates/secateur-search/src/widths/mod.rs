//! How many kernels each layer keeps at a size: rules that look at no network.

mod even;
mod knapsack;
mod trades;

pub use even::even;
pub use knapsack::knapsack;

use crate::config::Metric;
use crate::space::Space;

/// What widths must keep to.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// What may be pruned, and what it costs.
    pub space: &'a Space,
    /// What sizes are counted in.
    pub metric: Metric,
    /// The network may not be larger than this.
    pub at_most: u64,
    /// Kept kernels of a layer are a multiple of this, as far as its width allows.
    pub round_to: usize,
}

impl Frame<'_> {
    /// Kernels of every group in the given network.
    pub fn full(&self) -> Vec<usize> {
        let groups = self.space.groups.groups.iter();
        groups.map(|group| group.width).collect()
    }

    /// Fewest kernels that a group may keep.
    pub fn least(&self, group: usize) -> usize {
        let width = self.space.groups.groups[group].width;
        match self.space.switchable[group] {
            true => self.round_to.clamp(1, width.max(1)),
            false => width,
        }
    }

    /// Size of a network with these widths.
    pub fn size(&self, widths: &[usize]) -> u64 {
        self.metric
            .of(&self.space.count(&self.space.narrowed(widths)))
    }

    /// True if a network with these widths is small enough.
    pub fn fits(&self, widths: &[usize]) -> bool {
        self.size(widths) <= self.at_most
    }

    /// What a kernel of each group adds to a network with these widths.
    pub fn price(&self, widths: &[usize]) -> Vec<u64> {
        let marginal = self.space.cost.marginal(&self.space.narrowed(widths));
        marginal.iter().map(|size| self.metric.of(size)).collect()
    }
}
