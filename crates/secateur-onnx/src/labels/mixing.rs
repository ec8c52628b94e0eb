//! Nodes whose result depends on which channels there are, beyond a sum with weights: a mean
//! over channels becomes another mean when some go.

use super::context::{LabelContext, NO_ROOM};
use super::sets::{AxisLabels, Labels};
use crate::graph::Node;

/// A node that mixes channels, and the positions that it mixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mixing<L> {
    /// The node.
    pub node: String,
    /// Its first named output, by which surgery knows it.
    pub(crate) output: String,
    /// What it does to the positions, in words: `takes a mean over these channels`.
    pub what: String,
    /// False for what is allowed always: a scale of quantised numbers that is taken from all
    /// channels, which changes how finely they are rounded.
    pub on_request: bool,
    /// The positions.
    pub(crate) positions: L,
}

impl<L> Mixing<L> {
    /// Maps the positions.
    pub(crate) fn map<M>(self, f: impl FnOnce(&L) -> M) -> Mixing<M> {
        Mixing {
            positions: f(&self.positions),
            node: self.node,
            output: self.output,
            what: self.what,
            on_request: self.on_request,
        }
    }
}

impl LabelContext<'_> {
    /// The node mixes the channels of an axis: they stay, unless mixing is allowed. `what`
    /// completes "it ...".
    pub fn mixes(&mut self, node: &Node, axis: &AxisLabels, what: &str) {
        let Some(labels) = axis else { return };
        if self.graph.allow_mixing {
            self.note_mixing(node, labels, what, true);
            return;
        }
        let reason =
            format!("it {what}, which fewer would change; the setting `allow_mixing` lets them go");
        self.labels.pin_unless_asked(labels, &node.name, &reason);
    }

    /// The node takes a scale from these channels by which it rounds.
    pub fn rounds(&mut self, node: &Node, axis: &AxisLabels) {
        let Some(labels) = axis else { return };
        self.note_mixing(
            node,
            labels,
            "takes the scale of quantised numbers from these channels",
            false,
        );
    }

    fn note_mixing(&mut self, node: &Node, labels: &Labels, what: &str, on_request: bool) {
        let output = node.outputs.iter().find(|name| !name.is_empty());
        let (true, Some(output)) = (self.take_room(labels.len()), output) else {
            self.pin(labels, node, NO_ROOM);
            return;
        };
        self.mixing.push(Mixing {
            node: node.name.clone(),
            output: output.clone(),
            what: what.to_string(),
            on_request,
            positions: labels.clone(),
        });
    }
}
