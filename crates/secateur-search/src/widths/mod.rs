//! How many kernels each layer keeps at a size: rules that look at no network.

mod even;
mod knapsack;
mod narrowed;
mod trades;

pub use even::{even, in_proportion};
pub use knapsack::knapsack;

use crate::config::Count;
use crate::space::Space;

/// What widths must keep to.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// What may be pruned, and what it costs.
    pub space: &'a Space,
    /// What sizes are counted in.
    pub count: Count,
    /// The network may not be larger than this.
    pub at_most: u64,
    /// Kept kernels of a layer are a multiple of this, as far as its width allows.
    pub round_to: usize,
    /// What all multiply-adds of the given network count for, in units of error: where training
    /// follows, a network that has half of them is trained for twice as long at the same cost.
    pub effort: f64,
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

    /// The widest that a group may be without more than `wanted` kernels; its least width if that is
    /// more.
    pub fn allowed(&self, group: usize, wanted: usize) -> usize {
        let width = self.space.groups.groups[group].width;
        if wanted >= width {
            return width;
        }
        let step = self.round_to.max(1);
        (wanted / step * step).max(self.least(group))
    }

    /// Size of a network with these widths.
    pub fn size(&self, widths: &[usize]) -> u64 {
        self.count
            .of(&self.space.count(&self.space.narrowed(widths)))
    }

    /// True if a network with these widths is small enough.
    pub fn fits(&self, widths: &[usize]) -> bool {
        self.size(widths) <= self.at_most
    }
}
