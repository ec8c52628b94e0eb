//! The size of a network whose kernels go and come one by one.

use super::term::{Active, Sum};
use super::{CostModel, Size};
use crate::coupling::Masks;

/// Masks with the size of the network that they leave. A switch counts anew what hangs on its
/// group, not the whole network.
#[derive(Debug, Clone)]
pub struct Tally<'a> {
    cost: &'a CostModel,
    masks: Masks,
    /// Active kernels of each group.
    counts: Vec<u64>,
    /// Without the latency, which is not a sum over groups.
    size: Size,
}

impl<'a> Tally<'a> {
    /// Counts the network that some masks leave.
    pub fn new(cost: &'a CostModel, masks: Masks) -> Self {
        let counts = Active::counts(&masks);
        let active = Active {
            masks: &masks,
            counts: &counts,
        };
        Self {
            size: cost.sums(|sum| sum.count(active)),
            cost,
            masks,
            counts,
        }
    }

    /// Size of the network.
    pub fn size(&self) -> Size {
        Size {
            latency: self.cost.latency_under(self.active()),
            ..self.size
        }
    }

    /// The masks as they are now.
    pub fn masks(&self) -> &Masks {
        &self.masks
    }

    /// Number of active kernels of a group.
    pub fn count(&self, group: usize) -> usize {
        self.counts[group] as usize
    }

    /// Turns a kernel on or off.
    pub fn switch(&mut self, group: usize, kernel: usize, on: bool) {
        if self.masks.0[group][kernel] != on {
            self.change(group, |mask| mask[kernel] = on);
        }
    }

    /// Leaves the first `width` kernels of a group on, and no others.
    pub fn narrow(&mut self, group: usize, width: usize) {
        self.change(group, |mask| {
            let kernels = mask.iter_mut().enumerate();
            kernels.for_each(|(kernel, on)| *on = kernel < width);
        });
    }

    /// What turning off one of a group's active kernels would save now.
    pub fn marginal(&mut self, group: usize) -> Size {
        let Some(kernel) = self.masks.0[group].iter().position(|&on| on) else {
            return Size::default();
        };
        let now = self.size();
        self.switch(group, kernel, false);
        let less = self.size();
        self.switch(group, kernel, true);
        now - less
    }

    fn change(&mut self, group: usize, change: impl FnOnce(&mut [bool])) {
        let before = self.of_group(group);
        change(&mut self.masks.0[group]);
        self.counts[group] = self.masks.active(group) as u64;
        let after = self.of_group(group);
        let moved =
            |now: u64, before: u64, after: u64| now.saturating_sub(before).saturating_add(after);
        let now = self.size;
        self.size = Size {
            kernels: moved(now.kernels, before.kernels, after.kernels),
            conv_params: moved(now.conv_params, before.conv_params, after.conv_params),
            params: moved(now.params, before.params, after.params),
            macs: moved(now.macs, before.macs, after.macs),
            latency: 0,
        };
    }

    /// What hangs on a group's kernels.
    fn of_group(&self, group: usize) -> Size {
        self.cost
            .sums(|sum: &Sum| sum.of_group(group, self.active()))
    }

    fn active(&self) -> Active<'_> {
        Active {
            masks: &self.masks,
            counts: &self.counts,
        }
    }
}

impl From<Tally<'_>> for Masks {
    fn from(tally: Tally<'_>) -> Self {
        tally.masks
    }
}
