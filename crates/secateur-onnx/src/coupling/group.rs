//! Channel groups, and which elements of the stored tensors belong to a kernel.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::labels::{Edit, Mixing, Pinned, Quantised, Role};

/// An axis of a stored tensor that belongs to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Name of the initialiser.
    pub tensor: String,
    /// Axis of its shape.
    pub axis: usize,
    /// What the axis is to the group.
    pub role: Role,
    /// Per kernel, the positions along the axis that belong to it.
    pub positions: Vec<Vec<usize>>,
}

impl Member {
    /// The elements of a kernel in the stored tensor, as runs of offsets in row-major order.
    ///
    /// `shape` is the tensor's. For each index of the axes before [`Member::axis`], in order,
    /// there is one run for each of the kernel's positions, in the order of
    /// [`Member::positions`]; a run holds all elements of the axes behind it.
    ///
    /// # Panics
    /// If the tensor has no axis [`Member::axis`], or the group no such kernel.
    pub fn blocks(&self, shape: &[usize], kernel: usize) -> impl Iterator<Item = Range<usize>> {
        let positions = &self.positions[kernel];
        let outer: usize = shape[..self.axis].iter().product();
        let extent = shape[self.axis];
        let inner: usize = shape[self.axis + 1..].iter().product();
        (0..outer).flat_map(move |index| {
            positions.iter().map(move |position| {
                let start = (index * extent + position) * inner;
                start..start + inner
            })
        })
    }
}

/// Channels that are switched by one index: coupled kernels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelGroup {
    /// Name of the first node that produces them.
    pub name: String,
    /// All nodes that produce them.
    pub producers: Vec<String>,
    /// True if a convolution is among the producers.
    pub is_conv: bool,
    /// Number of kernels.
    pub width: usize,
    /// Why they must stay, if they must.
    pub pinned: Option<Pinned>,
    /// Every axis that is cut with them.
    pub members: Vec<Member>,
}

/// A layer that belongs to no group: its kernels are not switched, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedLayer {
    /// Name of the node.
    pub node: String,
    /// Number of kernels; `None` where that is not known.
    pub kernels: Option<usize>,
    /// True for a convolution.
    pub is_conv: bool,
    /// Why it cannot be pruned.
    pub reason: String,
}

/// A kernel: group and index in it.
pub(crate) type KernelRef = (usize, usize);

/// All channel groups of a graph.
#[derive(Debug, Clone, Default)]
pub struct ChannelGroups {
    /// In graph order of their first producer.
    pub groups: Vec<ChannelGroup>,
    /// Layers that no group belongs to, in graph order.
    pub fixed: Vec<FixedLayer>,
    /// Stored tensors of quantised numbers, by name.
    pub quantised: BTreeMap<String, Quantised>,
    /// Nodes that depend on which of the kernels there are.
    pub(crate) mixing: Vec<Mixing<Vec<Option<KernelRef>>>>,
    /// Per value and axis, the kernel of each position; `None` for positions of no kernel.
    pub(crate) axes: BTreeMap<String, Vec<Option<Vec<Option<KernelRef>>>>>,
    /// Constants and attributes that count kernels.
    pub(crate) edits: Vec<Edit<Vec<Option<KernelRef>>>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_the_elements_of_a_kernel_in_order() {
        let check = |shape: &[usize], axis, positions: &[usize], expected: &[(usize, usize)]| {
            let member = Member {
                tensor: "w".to_string(),
                axis,
                role: Role::Output,
                positions: vec![Vec::new(), positions.to_vec()],
            };
            let blocks = member.blocks(shape, 1);
            let found: Vec<_> = blocks.map(|block| (block.start, block.end)).collect();
            assert_eq!(found, expected, "axis {axis} of {shape:?}");
            assert_eq!(member.blocks(shape, 0).count(), 0);
        };
        // Rows of a convolution, columns of one, a bias, and two positions of a flattened input.
        check(&[3, 2, 2, 2], 0, &[1], &[(8, 16)]);
        check(&[3, 2, 2, 2], 1, &[1], &[(4, 8), (12, 16), (20, 24)]);
        check(&[4], 0, &[2], &[(2, 3)]);
        check(&[2, 4], 1, &[3, 0], &[(3, 4), (0, 1), (7, 8), (4, 5)]);
    }
}
