//! What else in the file counts channels: shapes kept in constants, `group`
//! attributes, sizes of splits, indices.

use super::sets::Labels;
use crate::extents::Element;

/// A place in the file that counts the positions of type `L` (labels while the graph
/// is walked, then kernels). Nodes are known by their first named output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edit<L = Labels> {
    /// Elements of an attribute: a list of integers, or one.
    Attribute {
        node: String,
        name: String,
        counts: Vec<(usize, L)>,
        is_list: bool,
    },
    /// Elements of a constant input; the others are those of the template.
    Input {
        node: String,
        slot: usize,
        template: Vec<i64>,
        counts: Vec<(usize, L)>,
    },
    /// Positions along an axis, listed in a constant input.
    Indices {
        node: String,
        slot: usize,
        axis: L,
        indices: Vec<usize>,
    },
    /// A split without sizes.
    Split {
        node: String,
        parts: Vec<L>,
        as_input: bool,
    },
}

impl<L> Edit<L> {
    /// Maps the positions.
    pub(crate) fn map<M>(&self, mut f: impl FnMut(&L) -> M) -> Edit<M> {
        let mut pairs =
            |counts: &[(usize, L)]| counts.iter().map(|(i, l)| (*i, f(l))).collect::<Vec<_>>();
        match self {
            Self::Attribute {
                node,
                name,
                counts,
                is_list,
            } => Edit::Attribute {
                node: node.clone(),
                name: name.clone(),
                counts: pairs(counts),
                is_list: *is_list,
            },
            Self::Input {
                node,
                slot,
                template,
                counts,
            } => Edit::Input {
                node: node.clone(),
                slot: *slot,
                template: template.clone(),
                counts: pairs(counts),
            },
            Self::Indices {
                node,
                slot,
                axis,
                indices,
            } => Edit::Indices {
                node: node.clone(),
                slot: *slot,
                axis: f(axis),
                indices: indices.clone(),
            },
            Self::Split {
                node,
                parts,
                as_input,
            } => Edit::Split {
                node: node.clone(),
                parts: parts.iter().map(f).collect(),
                as_input: *as_input,
            },
        }
    }

    /// True for inputs: those that follow by themselves never become an edit, so that the others
    /// are needed.
    pub(crate) fn is_needed(&self) -> bool {
        matches!(self, Self::Input { .. })
    }

    /// All lists of positions.
    pub(crate) fn positions(&self) -> Vec<&L> {
        match self {
            Self::Attribute { counts, .. } | Self::Input { counts, .. } => {
                counts.iter().map(|(_, labels)| labels).collect()
            }
            Self::Indices { axis, .. } => vec![axis],
            Self::Split { parts, .. } => parts.iter().collect(),
        }
    }
}

/// Element `element` of a shape counts these positions.
#[derive(Debug, Clone)]
pub(super) struct Extent {
    pub element: usize,
    pub labels: Labels,
}

/// An edit while labels may still be merged.
#[derive(Debug)]
pub(super) enum Pending {
    /// Settled.
    Edit(Edit),
    /// An input that may follow by itself.
    Input {
        node: String,
        output: String,
        slot: usize,
        /// What a constant would hold; `None` if no constant can stand for it.
        template: Option<Vec<i64>>,
        elements: Vec<Element>,
        counts: Vec<Extent>,
    },
}

impl Pending {
    /// All lists of positions.
    pub(super) fn positions(&self) -> Vec<Labels> {
        match self {
            Self::Edit(edit) => edit.positions().into_iter().cloned().collect(),
            Self::Input { counts, .. } => {
                counts.iter().map(|extent| extent.labels.clone()).collect()
            }
        }
    }
}
