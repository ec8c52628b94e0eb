//! Integers of the file that count channels: rules note them, and once all labels are merged
//! each is left to follow by itself, rewritten, or keeps its channels from being cut.

use std::collections::BTreeMap;

use super::context::LabelContext;
use super::edit::{Edit, Extent, Pending};
use super::sets::Labels;
use crate::extents::{AxisOf, Element};
use crate::graph::Node;

impl LabelContext<'_> {
    /// Notes that the node's attribute `name`, one integer, counts these positions.
    pub fn attribute_counts(&mut self, node: &Node, name: &str, labels: &Labels) {
        let Some(output) = node.outputs.first() else {
            return;
        };
        let edit = Edit::Attribute {
            node: output.clone(),
            name: name.to_string(),
            counts: vec![(0, labels.clone())],
            is_list: false,
        };
        self.note(node, Pending::Edit(edit));
    }

    /// Notes what integers of a parameter count: attribute `name` in older opsets, input
    /// `slot` in newer ones. Surgery rewrites them, or leaves a computed input alone
    /// where it follows by itself; where neither is possible, the labels are pinned.
    pub fn parameter_counts(
        &mut self,
        node: &Node,
        name: &str,
        slot: usize,
        counts: Vec<(usize, Labels)>,
    ) {
        let Some(output) = node.outputs.first() else {
            return;
        };
        if node.attr_ints(name).is_some() {
            let edit = Edit::Attribute {
                node: output.clone(),
                name: name.to_string(),
                counts,
                is_list: true,
            };
            self.note(node, Pending::Edit(edit));
            return;
        }
        self.input_counts(node, slot, counts, None);
    }

    /// Notes which positions the integers of input `slot` count, as `(element,
    /// positions)`. `template` is what a constant in its place would hold, if other than
    /// the elements themselves.
    pub fn input_counts(
        &mut self,
        node: &Node,
        slot: usize,
        counts: Vec<(usize, Labels)>,
        template: Option<Vec<i64>>,
    ) {
        let (Some(output), Some(name)) = (node.outputs.first(), node.input(slot)) else {
            return;
        };
        let value = self.known.values.get(name).cloned();
        self.answered.insert((node.name.clone(), slot));
        let edit = Pending::Input {
            node: node.name.clone(),
            output: output.clone(),
            slot,
            template: template.or_else(|| value.as_ref().and_then(|value| value.known())),
            elements: value.map(|value| value.elements).unwrap_or_default(),
            counts: counts
                .into_iter()
                .map(|(element, labels)| Extent { element, labels })
                .collect(),
        };
        self.note(node, edit);
    }

    /// Notes that input `slot` holds positions along an axis with these labels.
    pub fn input_indexes(&mut self, node: &Node, slot: usize, axis: &Labels, indices: &[usize]) {
        let Some(output) = node.outputs.first() else {
            return;
        };
        self.answered.insert((node.name.clone(), slot));
        let edit = Edit::Indices {
            node: output.clone(),
            slot,
            axis: axis.clone(),
            indices: indices.to_vec(),
        };
        self.note(node, Pending::Edit(edit));
    }

    /// Notes that the node splits an axis into these parts, with sizes that the file
    /// leaves to the operator.
    pub fn splits_evenly(&mut self, node: &Node, parts: Vec<Labels>) {
        let Some(output) = node.outputs.iter().find(|output| !output.is_empty()) else {
            return;
        };
        let edit = Edit::Split {
            node: output.clone(),
            parts,
            as_input: self.graph.opset >= 13,
        };
        self.note(node, Pending::Edit(edit));
    }

    /// Decides which inputs follow by themselves and which are rewritten, and pins what
    /// neither holds for. To be called when all labels are merged.
    pub(crate) fn settle_edits(&mut self) -> Vec<Edit> {
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
                // What arithmetic on several extents gives after a removal is not followed.
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
