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
        self.with_latency(self.size)
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
            self.change(group, |tally| tally.set(group, kernel, on));
        }
    }

    /// Leaves the first `width` kernels of a group on, and no others.
    pub fn narrow(&mut self, group: usize, width: usize) {
        self.change(group, |tally| {
            let kernels = tally.masks.0[group].iter_mut().enumerate();
            kernels.for_each(|(kernel, on)| *on = kernel < width);
            tally.counts[group] = tally.masks.active(group) as u64;
        });
    }

    /// What turning off one of a group's active kernels would save now.
    pub fn marginal(&mut self, group: usize) -> Size {
        let Some(kernel) = self.masks.0[group].iter().position(|&on| on) else {
            return Size::default();
        };
        let before = self.with_latency(self.of_group(group));
        self.set(group, kernel, false);
        let after = self.with_latency(self.of_group(group));
        self.set(group, kernel, true);
        before - after
    }

    fn change(&mut self, group: usize, change: impl FnOnce(&mut Self)) {
        let before = self.of_group(group);
        change(self);
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

    /// Turns a kernel that is off on, or the reverse, without counting anew.
    fn set(&mut self, group: usize, kernel: usize, on: bool) {
        self.masks.0[group][kernel] = on;
        match on {
            true => self.counts[group] += 1,
            false => self.counts[group] -= 1,
        }
    }

    fn with_latency(&self, size: Size) -> Size {
        Size {
            latency: self.cost.latency_under(self.active()),
            ..size
        }
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
