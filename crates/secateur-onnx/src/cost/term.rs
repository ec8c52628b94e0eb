//! Counts as sums of products of extents, each of which shrinks with the kernels on its axis.

use std::collections::BTreeMap;

use crate::coupling::{ChannelGroups, KernelRef, Masks};
use crate::ops::MacTerm;
use crate::shape::Inferred;

/// Extent of an axis, if it is known.
pub(super) fn extent_of(known: &Inferred, value: &str, axis: usize) -> Option<usize> {
    known.shapes.get(value)?.get(axis)?.fixed()
}

/// Masks, and how many kernels of each group they leave.
#[derive(Clone, Copy)]
pub(super) struct Active<'a> {
    pub(super) masks: &'a Masks,
    pub(super) counts: &'a [u64],
}

impl Active<'_> {
    /// How many kernels of each group are active.
    pub(super) fn counts(masks: &Masks) -> Vec<u64> {
        let groups = 0..masks.0.len();
        groups.map(|group| masks.active(group) as u64).collect()
    }
}

/// Positions of an axis: how many stay anyway, and the kernels of the others.
#[derive(Debug, Clone)]
struct Extent {
    fixed: u64,
    /// Groups all of whose kernels lie here equally often: how often.
    whole: Vec<(usize, u64)>,
    /// Kernels of other groups.
    kernels: Vec<KernelRef>,
}

impl Extent {
    /// Of an axis with `fixed` positions besides those of `kernels`.
    fn new(fixed: u64, mut kernels: Vec<KernelRef>, groups: &ChannelGroups) -> Self {
        let mut times: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for &(group, kernel) in &kernels {
            let width = groups.groups[group].width;
            times.entry(group).or_insert_with(|| vec![0; width])[kernel] += 1;
        }
        let equally = |of_group: &[u64]| {
            let first = *of_group.first()?;
            of_group.iter().all(|&n| n == first).then_some(first)
        };
        let times = times.iter();
        let whole: BTreeMap<usize, u64> = times
            .filter_map(|(&group, times)| Some((group, equally(times)?)))
            .collect();
        kernels.retain(|(group, _)| !whole.contains_key(group));
        Self {
            fixed,
            whole: whole.into_iter().collect(),
            kernels,
        }
    }

    fn kept(&self, active: Active<'_>) -> u64 {
        let whole = self.whole.iter();
        let is_on = |(group, kernel): &&KernelRef| active.masks.0[*group][*kernel];
        self.fixed
            + whole
                .map(|(group, times)| times * active.counts[*group])
                .sum::<u64>()
            + self.kernels.iter().filter(is_on).count() as u64
    }

    fn groups(&self) -> impl Iterator<Item = usize> + '_ {
        let whole = self.whole.iter().map(|(group, _)| *group);
        whole.chain(self.kernels.iter().map(|(group, _)| *group))
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
            let fixed = size.saturating_sub(kernels.len() as u64);
            Extent::new(fixed, kernels, groups)
        };
        Self {
            scale,
            extents: axes.iter().map(extent).collect(),
            samples: 1,
        }
    }

    /// Groups whose kernels its extents hold.
    pub(super) fn groups(&self) -> impl Iterator<Item = usize> + '_ {
        let mut groups: Vec<usize> = self.extents.iter().flat_map(Extent::groups).collect();
        groups.dedup();
        groups.into_iter()
    }

    pub(super) fn count(&self, active: Active<'_>) -> u64 {
        let extents = self.extents.iter().map(|extent| extent.kept(active));
        extents.fold(self.scale, u64::saturating_mul) / self.samples
    }
}

/// Terms that are added up.
#[derive(Debug, Clone)]
pub(super) struct Sum {
    terms: Vec<Term>,
    /// The terms that shrink with each group's kernels.
    of_group: Vec<Vec<usize>>,
}

impl Sum {
    pub(super) fn new(terms: Vec<Term>, groups: &ChannelGroups) -> Self {
        let mut of_group = vec![Vec::new(); groups.groups.len()];
        for (index, term) in terms.iter().enumerate() {
            let mut groups: Vec<usize> = term.groups().collect();
            groups.sort_unstable();
            groups.dedup();
            groups.iter().for_each(|&group| of_group[group].push(index));
        }
        Self { terms, of_group }
    }

    pub(super) fn count(&self, active: Active<'_>) -> u64 {
        let counts = self.terms.iter().map(|term| term.count(active));
        counts.fold(0, u64::saturating_add)
    }

    /// What the terms come to that shrink with a group's kernels.
    pub(super) fn of_group(&self, group: usize, active: Active<'_>) -> u64 {
        let terms = self.of_group[group].iter();
        let counts = terms.map(|&index| self.terms[index].count(active));
        counts.fold(0, u64::saturating_add)
    }
}
