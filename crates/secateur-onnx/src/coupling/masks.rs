//! Which kernels are active.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::group::{ChannelGroups, KernelRef};

/// One flag for each kernel, `[group][kernel]`; true is active.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Masks(pub Vec<Vec<bool>>);

impl Masks {
    /// All kernels active.
    pub fn all_active(groups: &ChannelGroups) -> Self {
        Self(
            groups
                .groups
                .iter()
                .map(|group| vec![true; group.width])
                .collect(),
        )
    }

    /// Number of active kernels of a group.
    pub fn active(&self, group: usize) -> usize {
        self.0[group].iter().filter(|&&on| on).count()
    }

    /// Number of positions that stay.
    pub(crate) fn kept(&self, positions: &[Option<KernelRef>]) -> usize {
        let stays =
            |kernel: &&Option<KernelRef>| kernel.is_none_or(|(group, index)| self.0[group][index]);
        positions.iter().filter(stays).count()
    }

    /// The positions that stay, in order; `None` if all do.
    fn kept_among(&self, positions: &[Option<KernelRef>]) -> Option<Vec<usize>> {
        let stays = |&at: &usize| positions[at].is_none_or(|(group, index)| self.0[group][index]);
        let kept: Vec<usize> = (0..positions.len()).filter(stays).collect();
        (kept.len() < positions.len()).then_some(kept)
    }

    /// For each group a text with one character for each kernel: `1` active, `0` dormant.
    pub fn to_strings(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|group| group.iter().map(|&on| if on { '1' } else { '0' }).collect())
            .collect()
    }

    /// The inverse of [`Masks::to_strings`]; `None` for other characters.
    pub fn from_strings(texts: &[String]) -> Option<Self> {
        texts
            .iter()
            .map(|text| {
                text.chars()
                    .map(|c| match c {
                        '1' => Some(true),
                        '0' => Some(false),
                        _ => None,
                    })
                    .collect()
            })
            .collect::<Option<_>>()
            .map(Self)
    }
}

impl ChannelGroups {
    /// The positions along an axis of a value (computed or stored) that stay, in order; `None`
    /// if all do.
    pub fn kept_along(&self, value: &str, axis: usize, masks: &Masks) -> Option<Vec<usize>> {
        masks.kept_among(self.axes.get(value)?.get(axis)?.as_ref()?)
    }
}

/// Per stored tensor and axis, the positions that stay; `None` for axes that stay whole.
/// Tensors that no group touches do not appear.
pub fn kept_positions(
    groups: &ChannelGroups,
    masks: &Masks,
) -> BTreeMap<String, Vec<Option<Vec<usize>>>> {
    let mut kept: BTreeMap<String, Vec<Option<Vec<usize>>>> = BTreeMap::new();
    for group in &groups.groups {
        for member in &group.members {
            let axes = kept.entry(member.tensor.clone()).or_default();
            if axes.len() <= member.axis {
                axes.resize(member.axis + 1, None);
            }
        }
    }
    for (tensor, axes) in &mut kept {
        let Some(of_tensor) = groups.axes.get(tensor) else {
            continue;
        };
        axes.resize(of_tensor.len(), None);
        for (axis, kernels) in of_tensor.iter().enumerate() {
            axes[axis] = kernels
                .as_deref()
                .and_then(|kernels| masks.kept_among(kernels));
        }
    }
    kept
}
