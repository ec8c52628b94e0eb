//! Kernels that must go together, found by following every channel index.
//!
//! Each axis of each value carries one label per position. Operators merge,
//! copy, join, repeat or permute labels (union-find); positions that end up with
//! one label must go together. A label that reaches an operator without a rule,
//! a graph input or output, or a normalisation across channels is pinned with
//! node and reason. So whatever is not understood is left alone.

mod context;
mod edit;
mod groups;
mod labels;
mod masks;

use std::collections::BTreeMap;

pub use context::LabelContext;
pub(crate) use edit::Edit;
pub use labels::{AxisLabels, Labels};
pub use masks::{Masks, kept_positions};

use crate::error::Result;
use crate::graph::Graph;
use crate::shape::infer;

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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// Constants and attributes that count kernels.
    pub(crate) edits: Vec<Edit<Vec<Option<KernelRef>>>>,
}

impl ChannelGroups {
    /// Finds the groups of a graph.
    ///
    /// # Errors
    /// [`crate::OnnxError::Graph`] if shapes contradict each other.
    pub fn find(graph: &Graph) -> Result<Self> {
        let known = infer(graph, None)?;
        let mut context = LabelContext::new(graph, &known);
        for input in &graph.inputs {
            context.pin_value(&input.name, "graph input", "it is an input of the model");
        }
        for name in &graph.uncut {
            context.pin_value(name, "constant", "its storage cannot be cut");
        }
        for node in &graph.nodes {
            context.follow(node);
        }
        for output in &graph.outputs {
            context.pin_value(&output.name, "graph output", "it is an output of the model");
        }
        Ok(context.into_groups())
    }

    /// Index of the group that a node produces.
    pub fn produced_by(&self, node: &str) -> Option<usize> {
        self.groups
            .iter()
            .position(|group| group.producers.iter().any(|name| name == node))
    }
}
