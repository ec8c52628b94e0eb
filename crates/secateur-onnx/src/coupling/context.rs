//! What channel rules work with.

use std::collections::{BTreeMap, BTreeSet};

use super::labels::LabelSets;
use super::{AxisLabels, Labels, Role, labelled_extent};
use crate::graph::{Dim, Graph, Node};
use crate::shape::Shapes;

/// How an axis of a stored tensor is used.
#[derive(Debug, Clone, Default)]
pub(super) struct Use {
    pub roles: BTreeSet<Role>,
    pub producers: BTreeSet<String>,
    pub by_conv: bool,
}

/// Labels of all values while the graph is walked.
pub struct LabelContext<'a> {
    graph: &'a Graph,
    shapes: &'a Shapes,
    pub(super) labels: LabelSets,
    pub(super) axes: BTreeMap<String, Vec<AxisLabels>>,
    pub(super) uses: BTreeMap<(String, usize), Use>,
    pub(super) shape_constants: Vec<(String, String)>,
    pub(super) regrouped: Vec<String>,
}

impl<'a> LabelContext<'a> {
    pub(super) fn new(graph: &'a Graph, shapes: &'a Shapes) -> Self {
        Self {
            graph,
            shapes,
            labels: LabelSets::default(),
            axes: BTreeMap::new(),
            uses: BTreeMap::new(),
            shape_constants: Vec::new(),
            regrouped: Vec::new(),
        }
    }

    /// The graph.
    pub fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// Labels of a value's axes, made when first asked for.
    fn value(&mut self, name: &str) -> Option<Vec<AxisLabels>> {
        if let Some(axes) = self.axes.get(name) {
            return Some(axes.clone());
        }
        let stored = self.graph.initializers.contains_key(name);
        let shape = self.shapes.get(name)?;
        let axes: Vec<AxisLabels> = shape
            .iter()
            .map(|dim| {
                labelled_extent(dim).map(|size| Labels::from(self.labels.fresh(size, stored)))
            })
            .collect();
        self.axes.insert(name.to_string(), axes.clone());
        Some(axes)
    }

    /// Labels of input `slot`.
    ///
    /// # Errors
    /// A reason to pin the node if the input is missing or its rank is not known.
    pub fn input(&mut self, node: &Node, slot: usize) -> Result<Vec<AxisLabels>, String> {
        let name = node
            .input(slot)
            .ok_or_else(|| format!("input {slot} is missing"))?;
        self.value(name)
            .ok_or_else(|| format!("the shape of `{name}` is not known"))
    }

    /// Fresh labels for output `slot` by its inferred shape; empty if that is not known.
    pub fn new_axes(&mut self, node: &Node, slot: usize) -> Vec<AxisLabels> {
        let Some(shape) = node
            .outputs
            .get(slot)
            .and_then(|name| self.shapes.get(name))
        else {
            return Vec::new();
        };
        shape
            .iter()
            .map(|dim| labelled_extent(dim).map(|n| Labels::from(self.labels.fresh(n, false))))
            .collect()
    }

    /// `count` fresh labels that belong to no kernel.
    pub fn fresh(&mut self, count: usize) -> Vec<u32> {
        self.labels.fresh(count, false)
    }

    /// Gives output `slot` its labels.
    pub fn set_output(&mut self, node: &Node, slot: usize, axes: Vec<AxisLabels>) {
        if let Some(name) = node.outputs.get(slot).filter(|name| !name.is_empty()) {
            self.axes.insert(name.clone(), axes);
        }
    }

    /// Merges two axes position by position; both must be of one length.
    pub fn merge(&mut self, a: &Labels, b: &Labels) {
        for (&a, &b) in a.iter().zip(b.iter()) {
            self.labels.merge(a, b);
        }
    }

    /// Merges two labels.
    pub fn merge_one(&mut self, a: u32, b: u32) {
        self.labels.merge(a, b);
    }

    /// Notes that `node` uses an axis of the stored tensor in input `slot`; nothing if
    /// the input is computed.
    pub fn use_parameter(&mut self, node: &Node, slot: usize, axis: usize, role: Role) {
        let Some(name) = node.input(slot) else { return };
        if !self.graph.initializers.contains_key(name) {
            return;
        }
        let entry = self.uses.entry((name.to_string(), axis)).or_default();
        entry.roles.insert(role);
        if role == Role::Output {
            entry.producers.insert(node.name.clone());
            entry.by_conv |= node.op_type.starts_with("Conv");
        }
    }

    /// Notes that input `slot` holds the shape of the node's output.
    pub fn resize_constant(&mut self, node: &Node, slot: usize) {
        if let (Some(constant), Some(output)) = (node.input(slot), node.outputs.first()) {
            self.shape_constants
                .push((constant.to_string(), output.clone()));
        }
    }

    /// Notes that the node's `group` attribute follows its channels (depthwise).
    pub fn regroup(&mut self, node: &Node) {
        self.regrouped
            .push(node.outputs.first().cloned().unwrap_or_default());
    }

    /// True if the node's input `slot` is a stored tensor.
    pub fn is_stored(&self, node: &Node, slot: usize) -> bool {
        node.input(slot)
            .is_some_and(|name| self.graph.initializers.contains_key(name))
    }

    /// Inferred shape of input `slot`.
    pub fn shape_of_input(&self, node: &Node, slot: usize) -> Option<Vec<Dim>> {
        self.shapes.get(node.input(slot)?).cloned()
    }

    /// Inferred shape of output `slot`.
    pub fn shape_of_output(&self, node: &Node, slot: usize) -> Option<Vec<Dim>> {
        self.shapes.get(node.outputs.get(slot)?).cloned()
    }

    /// True if any of the labels may belong to a kernel.
    pub fn may_switch(&mut self, labels: &Labels) -> bool {
        labels.iter().any(|&label| self.labels.is_tracked(label))
    }

    /// Pins labels for a node's sake.
    pub fn pin(&mut self, labels: &Labels, node: &Node, reason: &str) {
        for &label in labels.iter() {
            self.labels.pin(label, &node.name, reason);
        }
    }

    /// Pins every axis of a value.
    pub(super) fn pin_value(&mut self, name: &str, what: &str, reason: &str) {
        let place = format!("{what} `{name}`");
        for labels in self.value(name).unwrap_or_default().into_iter().flatten() {
            for &label in labels.iter() {
                self.labels.pin(label, &place, reason);
            }
        }
    }

    /// Pins everything that a node reads, and gives its outputs pinned labels.
    pub(super) fn pin_node(&mut self, node: &Node, reason: &str) {
        for name in node.inputs.iter().flatten() {
            for labels in self.value(name).unwrap_or_default().into_iter().flatten() {
                self.pin(&labels, node, reason);
            }
        }
        for slot in 0..node.outputs.len() {
            let axes = self.new_axes(node, slot);
            for labels in axes.iter().flatten() {
                self.pin(labels, node, reason);
            }
            if !axes.is_empty() {
                self.set_output(node, slot, axes);
            }
        }
    }

    pub(super) fn stored_axis(&self, tensor: &str, axis: usize) -> AxisLabels {
        self.axes.get(tensor)?.get(axis)?.clone()
    }
}
