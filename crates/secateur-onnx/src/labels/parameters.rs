//! Stored tensors behind a node's inputs: views of them, and uses of their axes.

use super::context::LabelContext;
use super::sets::Labels;
use super::uses::{Role, View};
use crate::graph::Node;

impl LabelContext<'_> {
    /// The stored tensor behind input `slot`, and the tensor's axis for each axis of
    /// the input.
    pub(super) fn parameter(&self, node: &Node, slot: usize) -> Option<View> {
        self.stored_behind(node.input(slot)?)
    }

    /// The stored tensor that a value is, and the tensor's axis for each of its axes.
    pub(super) fn stored_behind(&self, name: &str) -> Option<View> {
        if let Some(tensor) = self.graph.initializers.get(name) {
            return Some(View {
                tensor: name.to_string(),
                axes: (0..tensor.shape.len()).collect(),
            });
        }
        self.views.get(name).cloned()
    }

    /// Notes that the node's output is its first input with axes in this order, so
    /// that weights behind a transpose are still weights.
    pub fn view(&mut self, node: &Node, axes: &[usize]) {
        let Some(source) = self.parameter(node, 0) else {
            return;
        };
        let mapped: Option<Vec<usize>> = axes
            .iter()
            .map(|&axis| source.axes.get(axis).copied())
            .collect();
        if let (Some(axes), Some(output)) = (mapped, node.outputs.first()) {
            self.views.insert(
                output.clone(),
                View {
                    tensor: source.tensor,
                    axes,
                },
            );
        }
    }

    /// Notes that `node` uses an axis of the stored tensor in input `slot`; nothing if
    /// the input is computed.
    pub fn use_parameter(&mut self, node: &Node, slot: usize, axis: usize, role: Role) {
        let Some(view) = self.parameter(node, slot) else {
            return;
        };
        let Some(&own_axis) = view.axes.get(axis) else {
            return;
        };
        let labels = self
            .value(&view.tensor)
            .and_then(|axes| axes.get(own_axis)?.clone());
        let entry = self.uses.entry((view.tensor, own_axis)).or_default();
        entry.roles.insert(role);
        if role == Role::Output {
            entry.producers.insert(node.name.clone());
            entry.by_conv |= self.in_conv;
            for &label in labels.iter().flat_map(|labels| labels.iter()) {
                self.labels.track(label);
            }
        }
    }

    /// True if the node's input `slot` is a stored tensor.
    pub fn is_stored(&self, node: &Node, slot: usize) -> bool {
        self.parameter(node, slot).is_some()
    }

    /// Number of axes of the weights in that slot; none where they are computed.
    pub(crate) fn rank_of_weights(&self, node: &Node, slot: usize) -> usize {
        self.parameter(node, slot).map_or(0, |view| view.axes.len())
    }

    /// Weights that serve as rows of one layer and as columns of another cannot be zeroed
    /// for the one and kept for the other.
    pub(crate) fn pin_ambiguous_weights(&mut self) {
        let ambiguous: Vec<(String, usize)> = self
            .uses
            .iter()
            .filter(|(_, of_axis)| {
                of_axis.roles.contains(&Role::Output) && of_axis.roles.contains(&Role::Input)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for (tensor, axis) in ambiguous {
            let place = format!("initializer `{tensor}`");
            let labels = self.labels_of(&tensor, axis);
            self.labels.pin(
                &labels,
                &place,
                "it serves as rows here and as columns there",
            );
        }
    }

    /// Labels of an axis of a value; none where it has not been given any.
    pub(crate) fn labels_of(&self, value: &str, axis: usize) -> Labels {
        let labels = self
            .axes
            .get(value)
            .and_then(|axes| axes.get(axis)?.clone());
        labels.unwrap_or_else(|| Labels::from(Vec::new()))
    }
}
