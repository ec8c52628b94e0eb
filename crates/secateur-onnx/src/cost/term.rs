//! Counts as products of extents, each of which shrinks with the kernels on its axis.

use crate::coupling::{ChannelGroups, KernelRef, Masks};
use crate::ops::MacTerm;
use crate::shape::Inferred;

/// Extent of an axis, if it is known.
pub(super) fn extent_of(known: &Inferred, value: &str, axis: usize) -> Option<usize> {
    known.shapes.get(value)?.get(axis)?.fixed()
}

/// Positions of an axis: how many stay anyway, and the kernels of the others.
#[derive(Debug, Clone)]
struct Extent {
    fixed: u64,
    kernels: Vec<KernelRef>,
}

impl Extent {
    fn kept(&self, masks: &Masks) -> u64 {
        self.fixed
            + self
                .kernels
                .iter()
                .filter(|(group, k)| masks.0[*group][*k])
                .count() as u64
    }
}

/// A product of extents.
#[derive(Debug, Clone)]
pub(super) struct Term {
    scale: u64,
    extents: Vec<Extent>,
    /// Samples that the extents hold together.
    samples: u64,
}

impl Term {
    /// The multiply-adds of a node.
    pub(super) fn of_macs(known: &Inferred, groups: &ChannelGroups, macs: &MacTerm) -> Self {
        Self {
            samples: macs.samples.max(1),
            ..Self::new(known, groups, &macs.axes, macs.scale)
        }
    }

    pub(super) fn new(
        known: &Inferred,
        groups: &ChannelGroups,
        axes: &[(String, usize)],
        scale: u64,
    ) -> Self {
        let extent = |(value, axis): &(String, usize)| {
            let size = extent_of(known, value, *axis).unwrap_or(1) as u64;
            let kernels: Vec<KernelRef> = groups
                .axes
                .get(value)
                .and_then(|axes| axes.get(*axis)?.as_ref())
                .map(|of_axis| of_axis.iter().flatten().copied().collect())
                .unwrap_or_default();
            Extent {
                fixed: size.saturating_sub(kernels.len() as u64),
                kernels,
            }
        };
        Self {
            scale,
            extents: axes.iter().map(extent).collect(),
            samples: 1,
        }
    }

    /// Groups whose kernels its extents hold.
    pub(super) fn groups(&self) -> impl Iterator<Item = usize> + '_ {
        let kernels = self.extents.iter().flat_map(|extent| &extent.kernels);
        let mut groups: Vec<usize> = kernels.map(|(group, _)| *group).collect();
        groups.dedup();
        groups.into_iter()
    }

    pub(super) fn count(&self, masks: &Masks) -> u64 {
        let extents = self.extents.iter().map(|extent| extent.kept(masks));
        extents.fold(self.scale, u64::saturating_mul) / self.samples
    }
}
