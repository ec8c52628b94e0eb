//! Pinning: what must stay, and why.

use super::context::LabelContext;
use crate::graph::Node;

impl LabelContext<'_> {
    /// Pins every axis of a value, and those whose extents it holds.
    pub(crate) fn pin_value(&mut self, name: &str, what: &str, reason: &str) {
        let place = self.pin_channels(name, what, reason);
        self.pin_sources(name, &place, "its size is an output of the model");
    }

    /// Pins every axis of a value; returns what the value is called as the place of the pin.
    pub(crate) fn pin_channels(&mut self, name: &str, what: &str, reason: &str) -> String {
        let place = format!("{what} `{name}`");
        for labels in self.value(name).unwrap_or_default().into_iter().flatten() {
            self.labels.pin(&labels, &place, reason);
        }
        place
    }

    /// Pins everything that a node reads, and gives its outputs pinned labels.
    pub(crate) fn pin_node(&mut self, node: &Node, reason: &str) {
        for name in node.reads() {
            let axes = self.value(name).unwrap_or_default();
            self.pin_axes(&axes, node, reason);
        }
        for slot in 0..node.outputs.len() {
            if let Ok(axes) = self.new_axes(node, slot) {
                self.pin_axes(&axes, node, reason);
                self.set_output(node, slot, axes);
            }
        }
    }

    /// Ends with a node: pins the inputs that its rule has not asked for, and extents that it
    /// reads for a purpose of its own.
    pub(crate) fn leave(&mut self, node: &Node) {
        for slot in 0..node.inputs.len() {
            if self.asked.contains(&slot) {
                continue;
            }
            let axes = node
                .input(slot)
                .and_then(|name| self.value(name))
                .unwrap_or_default();
            self.pin_axes(&axes, node, "it takes this input as a whole");
        }
        self.pin_read_extents(node);
    }

    /// Pins the axes whose extents a node reads for a purpose of its own, and not only
    /// to hand them on in a folded shape or to a slot that its rule answers for.
    fn pin_read_extents(&mut self, node: &Node) {
        let mut outputs = node.outputs.iter().filter(|output| !output.is_empty());
        let folds = outputs.all(|output| self.known.values.contains_key(output));
        for (slot, name) in node.inputs.iter().enumerate() {
            let Some(name) = name else { continue };
            if !folds && !self.answered.contains(&(node.name.clone(), slot)) {
                self.pin_sources(name, &node.name, "it computes with this number of channels");
            }
        }
        for output in node.bodies.iter().flat_map(|body| &body.outputs) {
            self.pin_sources(
                &output.name,
                &node.name,
                "a subgraph gives it this number of channels",
            );
        }
    }

    /// Pins the axes that decide how many elements a followed tensor has, where none of them is
    /// left to remember that.
    pub(crate) fn pin_counted(&mut self) {
        let known = self.known;
        let mut names: Vec<&String> = known.values.keys().collect();
        names.sort_unstable();
        for name in names {
            for (value, axis) in &known.values[name].counted {
                let labels = self.value(value).and_then(|axes| axes.get(*axis)?.clone());
                if let Some(labels) = labels {
                    let reason = "it computes with this number of channels";
                    self.labels.pin(&labels, name, reason);
                }
            }
        }
    }

    pub(super) fn pin_sources(&mut self, name: &str, place: &str, reason: &str) {
        let known = self.known;
        for element in known
            .values
            .get(name)
            .iter()
            .flat_map(|value| &value.elements)
        {
            for (value, axis) in &element.sources {
                let labels = self.value(value).and_then(|axes| axes.get(*axis)?.clone());
                if let Some(labels) = labels {
                    self.labels.pin(&labels, place, reason);
                }
            }
        }
    }
}
