//! What else in the file counts channels: shapes kept in constants, `group`
//! attributes, sizes of splits, indices.

use std::collections::BTreeMap;

use super::{LabelContext, Labels};
use crate::shape::{AxisOf, Element};

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

impl LabelContext<'_> {
    /// Decides which inputs follow by themselves and which are rewritten, and pins what
    /// neither holds for. To be called when all labels are merged.
    pub(super) fn settle_edits(&mut self) -> Vec<Edit> {
        let pending = std::mem::take(&mut self.edits);
        let mut edits = Vec::with_capacity(pending.len());
        for item in pending {
            let (node, output, slot, template, elements, counts) = match item {
                Pending::Edit(edit) => {
                    edits.push(edit);
                    continue;
                }
                Pending::Input {
                    node,
                    output,
                    slot,
                    template,
                    elements,
                    counts,
                } => (node, output, slot, template, elements, counts),
            };
            if self.follows(&elements, &counts) {
                continue;
            }
            match template {
                Some(template) => edits.push(Edit::Input {
                    node: output,
                    slot,
                    template,
                    counts: counts.into_iter().map(|e| (e.element, e.labels)).collect(),
                }),
                None => {
                    let reason = "its shape is computed and cannot be rewritten";
                    for extent in &counts {
                        self.labels.pin(&extent.labels, &node, reason);
                    }
                    for (value, axis) in elements.iter().flat_map(|element| &element.sources) {
                        let labels = self.value(value).and_then(|axes| axes.get(*axis)?.clone());
                        if let Some(labels) = labels {
                            self.labels.pin(&labels, &node, reason);
                        }
                    }
                }
            }
        }
        edits
    }

    /// True if a computed input takes the right values by itself after any removal.
    fn follows(&mut self, elements: &[Element], counts: &[Extent]) -> bool {
        let counted = |index: usize| counts.iter().find(|extent| extent.element == index);
        for extent in counts {
            let switches = extent
                .labels
                .iter()
                .any(|&label| self.labels.may_switch(label));
            if switches && extent.element >= elements.len() {
                return false;
            }
        }
        elements.iter().enumerate().all(|(index, element)| {
            let wanted = self.classes(counted(index).map(|extent| &extent.labels));
            match (element.sources.as_slice(), element.ratio) {
                ([], _) => wanted.is_empty(),
                ([source], Some((times, by))) => {
                    let available = self.classes_of(source);
                    available.len() == wanted.len()
                        && available.iter().all(|(class, &count)| {
                            let wanted = wanted.get(class).copied().unwrap_or(0);
                            count.checked_mul(times) == wanted.checked_mul(by)
                        })
                }
                // Arithmetic on extents that may change gives what nobody asked for.
                (sources, _) => {
                    wanted.is_empty()
                        && sources
                            .iter()
                            .all(|source| self.classes_of(source).is_empty())
                }
            }
        })
    }

    fn classes_of(&mut self, (value, axis): &AxisOf) -> BTreeMap<u32, u64> {
        let labels = self.value(value).and_then(|axes| axes.get(*axis)?.clone());
        self.classes(labels.as_ref())
    }

    /// How often each class that may go is among the labels.
    fn classes(&mut self, labels: Option<&Labels>) -> BTreeMap<u32, u64> {
        let mut counts = BTreeMap::new();
        for &label in labels.iter().flat_map(|labels| labels.iter()) {
            if self.labels.may_switch(label) {
                *counts.entry(self.labels.root(label)).or_default() += 1;
            }
        }
        counts
    }
}
