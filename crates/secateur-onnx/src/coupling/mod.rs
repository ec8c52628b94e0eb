//! Kernels that must go together, found by following every channel index.
//!
//! Each axis of each value carries one label per position. Operators merge,
//! copy, join, repeat or permute labels (union-find); positions that end up with
//! one label must go together. A label that reaches an operator without a rule,
//! a graph input or output, or a normalisation across channels is pinned with
//! node and reason. So whatever is not understood is left alone.

mod context;
mod labels;
mod masks;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

pub use context::LabelContext;
pub use labels::{AxisLabels, Labels};
pub use masks::{Masks, kept_positions};

use crate::error::Result;
use crate::graph::{Dim, Graph};
use crate::ops;
use crate::shape::{Shapes, infer_shapes};

/// What an axis of a stored tensor is to a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Rows of the weights (or the bias) that produce the kernel.
    Output,
    /// A value per channel: batch norm, PRelu slope, scale.
    Norm,
    /// Columns of a consumer's weights.
    Input,
}

/// Why kernels cannot be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The node (or input, output) that needs them.
    pub node: String,
    /// In words.
    pub reason: String,
}

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

/// A kernel: group and index in it.
pub(crate) type KernelRef = (usize, usize);

/// All channel groups of a graph.
#[derive(Debug, Clone, Default)]
pub struct ChannelGroups {
    /// In graph order of their first producer.
    pub groups: Vec<ChannelGroup>,
    /// Per value and axis, the kernel of each position; `None` for positions of no kernel.
    pub(crate) axes: BTreeMap<String, Vec<Option<Vec<Option<KernelRef>>>>>,
    /// Constants that hold the shape of a node's output: constant, value.
    pub(crate) shape_constants: Vec<(String, String)>,
    /// Depthwise convolutions, whose `group` follows their channels.
    pub(crate) regrouped: Vec<String>,
}

/// One class of merged labels: where it lies in stored tensors, and with what role.
#[derive(Default)]
struct Class {
    at: BTreeMap<(String, usize), Vec<usize>>,
}

impl ChannelGroups {
    /// Finds the groups of a graph.
    ///
    /// # Errors
    /// [`crate::OnnxError::Graph`] if shapes contradict each other.
    pub fn find(graph: &Graph) -> Result<Self> {
        let shapes = infer_shapes(graph, None)?;
        let mut context = LabelContext::new(graph, &shapes);
        for input in &graph.inputs {
            context.pin_value(&input.name, "graph input", "it is an input of the model");
        }
        for node in &graph.nodes {
            let outcome = match ops::lookup(node) {
                Some(rule) => rule.labels(node, &mut context),
                None if node.is_standard() => {
                    Err(format!("no channel rule for operator {}", node.op_type))
                }
                None => Err(format!("custom operator {}::{}", node.domain, node.op_type)),
            };
            if let Err(reason) = outcome {
                context.pin_node(node, &reason);
            }
        }
        for output in &graph.outputs {
            context.pin_value(&output.name, "graph output", "it is an output of the model");
        }
        Ok(context.into_groups(&shapes))
    }

    /// Index of the group that a node produces.
    pub fn produced_by(&self, node: &str) -> Option<usize> {
        self.groups
            .iter()
            .position(|group| group.producers.iter().any(|name| name == node))
    }
}

impl LabelContext<'_> {
    fn into_groups(mut self, shapes: &Shapes) -> ChannelGroups {
        // Classes in order of their first appearance in a producer.
        let mut classes: IndexMap<u32, Class> = IndexMap::new();
        let uses: Vec<_> = self.uses.clone().into_iter().collect();
        for ((tensor, axis), _) in &uses {
            let Some(labels) = self.stored_axis(tensor, *axis) else {
                continue;
            };
            for (position, &label) in labels.iter().enumerate() {
                let root = self.labels.root(label);
                let class = classes.entry(root).or_default();
                class
                    .at
                    .entry((tensor.clone(), *axis))
                    .or_default()
                    .push(position);
            }
        }
        // Classes over the same axes, pinned alike, form a group.
        type Signature = (Vec<(String, usize)>, Option<(String, String)>);
        let mut grouped: IndexMap<Signature, Vec<u32>> = IndexMap::new();
        for (&root, class) in &classes {
            let produced = class.at.keys().any(|key| {
                self.uses
                    .get(key)
                    .is_some_and(|use_| use_.roles.contains(&Role::Output))
            });
            if !produced {
                continue;
            }
            let pinned = self
                .labels
                .pinned(root)
                .map(|p| (p.node.clone(), p.reason.clone()));
            let axes = class.at.keys().cloned().collect();
            grouped.entry((axes, pinned)).or_default().push(root);
        }
        let order: Vec<&str> = self.graph().nodes.iter().map(|n| n.name.as_str()).collect();
        let mut found: Vec<(usize, ChannelGroup, Vec<u32>)> = Vec::new();
        for ((axes, pinned), mut roots) in grouped {
            let mut producers = BTreeSet::new();
            let mut is_conv = false;
            for key in &axes {
                let Some(use_) = self.uses.get(key) else {
                    continue;
                };
                if use_.roles.contains(&Role::Output) {
                    producers.extend(use_.producers.iter().cloned());
                    is_conv |= use_.by_conv;
                }
            }
            let rank = |name: &String| order.iter().position(|n| n == name).unwrap_or(usize::MAX);
            let mut producers: Vec<String> = producers.into_iter().collect();
            producers.sort_by_key(rank);
            // Kernels in the order of the first producer's rows.
            let first_axis = axes.iter().find(|key| {
                self.uses.get(*key).is_some_and(|u| {
                    u.roles.contains(&Role::Output)
                        && producers.first().is_some_and(|p| u.producers.contains(p))
                })
            });
            if let Some(key) = first_axis {
                roots.sort_by_key(|root| classes[root].at[key].first().copied());
            }
            let members = axes
                .iter()
                .map(|key| Member {
                    tensor: key.0.clone(),
                    axis: key.1,
                    role: self
                        .uses
                        .get(key)
                        .and_then(|u| u.roles.first().copied())
                        .unwrap_or(Role::Norm),
                    positions: roots
                        .iter()
                        .map(|root| classes[root].at[key].clone())
                        .collect(),
                })
                .collect();
            let position = producers.first().map_or(usize::MAX, rank);
            let group = ChannelGroup {
                name: producers.first().cloned().unwrap_or_default(),
                producers,
                is_conv,
                width: roots.len(),
                pinned: pinned.map(|(node, reason)| Pinned { node, reason }),
                members,
            };
            found.push((position, group, roots));
        }
        found.sort_by_key(|(position, ..)| *position);
        let mut kernel_of: BTreeMap<u32, KernelRef> = BTreeMap::new();
        let mut groups = Vec::with_capacity(found.len());
        for (index, (_, group, roots)) in found.into_iter().enumerate() {
            for (kernel, root) in roots.into_iter().enumerate() {
                kernel_of.insert(root, (index, kernel));
            }
            groups.push(group);
        }
        let mut axes = BTreeMap::new();
        let values: Vec<String> = self.axes.keys().cloned().collect();
        for value in values {
            let of_value: Vec<_> = self
                .axes
                .get(&value)
                .cloned()
                .unwrap_or_default()
                .into_iter()
                .map(|labels| {
                    labels.map(|labels| {
                        labels
                            .iter()
                            .map(|&label| kernel_of.get(&self.labels.root(label)).copied())
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            debug_assert!(shapes.get(&value).is_none_or(|s| s.len() == of_value.len()));
            axes.insert(value, of_value);
        }
        ChannelGroups {
            groups,
            axes,
            shape_constants: self.shape_constants,
            regrouped: self.regrouped,
        }
    }
}

/// Extent of a fixed dimension that is small enough to be labelled.
fn labelled_extent(dim: &Dim) -> Option<usize> {
    // 2^22 positions: larger axes are pixels or tokens of a hostile file, never channels.
    dim.fixed().filter(|&size| size <= 1 << 22)
}
