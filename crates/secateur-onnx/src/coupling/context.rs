//! What channel rules work with.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::edit::{Edit, Extent, Pending};
use super::labels::LabelSets;
use super::{AxisLabels, Labels, Role};
use crate::graph::{Dim, Graph, Node};
use crate::ops;
use crate::shape::{Inferred, ShapeContext};

/// How an axis of a stored tensor is used.
#[derive(Debug, Clone, Default)]
pub(super) struct Use {
    pub roles: BTreeSet<Role>,
    pub producers: BTreeSet<String>,
    pub by_conv: bool,
}

/// A value that is a stored tensor seen through transposes and the like: the
/// tensor, and per axis of the value the axis of the tensor.
#[derive(Debug, Clone)]
struct View {
    tensor: String,
    axes: Vec<usize>,
}

/// An axis of more positions is never channels: pixels, tokens, or a hostile file.
const MAX_LABELLED_EXTENT: usize = 1 << 20;

/// Labels of a whole graph; what goes beyond stays unlabelled, and thus uncut.
const MAX_LABELS: usize = 1 << 24;

/// Labelled positions of all values and edits of a graph, repeated labels too: some bytes each
/// once kernels are numbered. What goes beyond is pinned and stays unlabelled.
const MAX_POSITIONS: usize = 1 << 26;

/// Why axes without room for their labels stay.
const NO_ROOM: &str = "it has more positions than can be followed";

/// Labels of all values while the graph is walked.
pub struct LabelContext<'a> {
    graph: &'a Graph,
    known: &'a Inferred,
    pub(super) labels: LabelSets,
    pub(super) axes: BTreeMap<String, Vec<AxisLabels>>,
    /// Labelled positions in `axes` and `edits`, up to [`MAX_POSITIONS`].
    positions: usize,
    pub(super) uses: BTreeMap<(String, usize), Use>,
    pub(super) edits: Vec<Pending>,
    views: HashMap<String, View>,
    /// Slots whose integers a rule answers for.
    answered: BTreeSet<(String, usize)>,
    /// Slots that the rule of the current node has asked for.
    asked: BTreeSet<usize>,
}

impl<'a> LabelContext<'a> {
    pub(super) fn new(graph: &'a Graph, known: &'a Inferred) -> Self {
        Self {
            graph,
            known,
            labels: LabelSets::default(),
            axes: BTreeMap::new(),
            positions: 0,
            uses: BTreeMap::new(),
            edits: Vec::new(),
            views: HashMap::new(),
            answered: BTreeSet::new(),
            asked: BTreeSet::new(),
        }
    }

    /// The graph.
    pub fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// What is known of shapes and integers.
    pub fn shapes(&self) -> ShapeContext<'a> {
        ShapeContext {
            graph: self.graph,
            known: self.known,
        }
    }

    fn label(&mut self, dim: &Dim) -> AxisLabels {
        let size = dim.fixed().filter(|&size| size <= MAX_LABELLED_EXTENT)?;
        (self.labels.len() + size <= MAX_LABELS).then(|| Labels::from(self.labels.fresh(size)))
    }

    /// True if an axis of so many positions may have labels. To be asked before labels are
    /// repeated or joined: a few nodes in a row can ask for more than any memory holds.
    pub fn can_follow(count: usize) -> bool {
        count <= MAX_LABELLED_EXTENT
    }

    fn take_room(&mut self, count: usize) -> bool {
        let taken = self.positions.saturating_add(count);
        let fits = taken <= MAX_POSITIONS;
        if fits {
            self.positions = taken;
        }
        fits
    }

    /// Keeps the labels of a value's axes: the only place where that happens. Axes that are too
    /// long, or for which no room is left, are pinned and lose their labels.
    fn keep(&mut self, name: &str, place: &str, mut axes: Vec<AxisLabels>) {
        for axis in &mut axes {
            let Some(labels) = axis else { continue };
            if !Self::can_follow(labels.len()) || !self.take_room(labels.len()) {
                self.labels.pin(labels, place, NO_ROOM);
                *axis = None;
            }
        }
        self.axes.insert(name.to_string(), axes);
    }

    /// Keeps an edit of a node, or pins what it counts if there is no room for it.
    fn note(&mut self, node: &Node, edit: Pending) {
        let counted = edit.positions();
        if self.take_room(counted.iter().map(|labels| labels.len()).sum()) {
            self.edits.push(edit);
            return;
        }
        for labels in &counted {
            self.pin(labels, node, NO_ROOM);
        }
        for name in node.inputs.iter().flatten() {
            self.pin_sources(name, &node.name, NO_ROOM);
        }
    }

    /// Labels of a value's axes, made when first asked for.
    pub(crate) fn value(&mut self, name: &str) -> Option<Vec<AxisLabels>> {
        if let Some(axes) = self.axes.get(name) {
            return Some(axes.clone());
        }
        let known = self.known;
        let shape = known.shapes.get(name)?;
        let axes: Vec<AxisLabels> = shape.iter().map(|dim| self.label(dim)).collect();
        if !self.graph.initializers.contains_key(name) {
            // Neither stored nor given labels by a rule: nothing is known of it.
            for labels in axes.iter().flatten() {
                self.labels
                    .pin(labels, name, "its channels are not followed");
            }
        }
        self.keep(name, name, axes);
        self.axes.get(name).cloned()
    }

    /// Labels of input `slot`.
    ///
    /// # Errors
    /// A reason to pin the node if the input is missing or its rank is not known.
    pub fn input(&mut self, node: &Node, slot: usize) -> Result<Vec<AxisLabels>, String> {
        self.asked.insert(slot);
        let name = node
            .input(slot)
            .ok_or_else(|| format!("input {slot} is missing"))?;
        self.value(name)
            .ok_or_else(|| format!("the shape of `{name}` is not known"))
    }

    /// Fresh labels for output `slot` by its inferred shape.
    ///
    /// # Errors
    /// A reason to pin the node if the output's rank is not known.
    pub fn new_axes(&mut self, node: &Node, slot: usize) -> Result<Vec<AxisLabels>, String> {
        let known = self.known;
        let name = node.outputs.get(slot).map_or("", String::as_str);
        let shape = known
            .shapes
            .get(name)
            .ok_or_else(|| format!("the shape of its output `{name}` is not known"))?;
        Ok(shape.iter().map(|dim| self.label(dim)).collect())
    }

    /// `count` fresh labels that belong to no kernel, unless something merges them with one.
    pub fn fresh(&mut self, count: usize) -> AxisLabels {
        self.label(&Dim::Fixed(count))
    }

    /// As [`LabelContext::new_axes`], for an output whose rank the rule relies on.
    ///
    /// # Errors
    /// A reason to pin the node if the output has another rank.
    pub fn new_axes_of_rank(
        &mut self,
        node: &Node,
        slot: usize,
        rank: usize,
    ) -> Result<Vec<AxisLabels>, String> {
        let axes = self.new_axes(node, slot)?;
        if axes.len() == rank {
            Ok(axes)
        } else {
            Err(format!(
                "expected an output of rank {rank}, got {}",
                axes.len()
            ))
        }
    }

    /// Gives output `slot` its labels. Should they not fit its shape, they are pinned.
    pub fn set_output(&mut self, node: &Node, slot: usize, axes: Vec<AxisLabels>) {
        let Some(name) = node.outputs.get(slot).filter(|name| !name.is_empty()) else {
            return;
        };
        let shape = self.known.shapes.get(name);
        let fits = shape.is_some_and(|shape| {
            shape.len() == axes.len()
                && shape.iter().zip(&axes).all(|(dim, labels)| {
                    let len = labels.as_ref().map(|labels| labels.len());
                    dim.fixed().zip(len).is_none_or(|(size, len)| size == len)
                })
        });
        if fits {
            self.keep(name, &node.name, axes);
            return;
        }
        let reason = "its output does not have the expected shape";
        self.pin_axes(&axes, node, reason);
        if let Ok(axes) = self.new_axes(node, slot) {
            self.pin_axes(&axes, node, reason);
            self.keep(name, &node.name, axes);
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

    /// Two axes that are one: merged, or pinned where one has an unknown extent.
    ///
    /// # Errors
    /// A reason to pin the node if their extents differ.
    pub fn join(
        &mut self,
        node: &Node,
        a: &AxisLabels,
        b: &AxisLabels,
    ) -> Result<AxisLabels, String> {
        match (a, b) {
            (Some(x), Some(y)) if x.len() == y.len() => {
                self.merge(x, y);
                Ok(a.clone())
            }
            (Some(x), Some(y)) => Err(format!("extents {} and {} do not fit", x.len(), y.len())),
            (Some(one), None) | (None, Some(one)) => {
                self.pin(one, node, "it meets an axis of unknown extent");
                Ok(Some(one.clone()))
            }
            (None, None) => Ok(None),
        }
    }

    /// The stored tensor behind input `slot`, and the tensor's axis for each axis of
    /// the input.
    fn parameter(&self, node: &Node, slot: usize) -> Option<View> {
        let name = node.input(slot)?;
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
            entry.by_conv |= node.op_type.starts_with("Conv");
            for &label in labels.iter().flat_map(|labels| labels.iter()) {
                self.labels.track(label);
            }
        }
    }

    /// True if the node's input `slot` is a stored tensor.
    pub fn is_stored(&self, node: &Node, slot: usize) -> bool {
        self.parameter(node, slot).is_some()
    }

    /// True if any of the labels belongs to a kernel that may go, as far as known now.
    pub fn may_switch(&mut self, labels: &Labels) -> bool {
        labels.iter().any(|&label| self.labels.may_switch(label))
    }

    /// Pins labels for a node's sake.
    pub fn pin(&mut self, labels: &Labels, node: &Node, reason: &str) {
        self.labels.pin(labels, &node.name, reason);
    }

    /// Pins every one of these axes for a node's sake.
    pub fn pin_axes(&mut self, axes: &[AxisLabels], node: &Node, reason: &str) {
        for labels in axes.iter().flatten() {
            self.pin(labels, node, reason);
        }
    }

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

    /// Pins every axis of a value.
    pub(super) fn pin_value(&mut self, name: &str, what: &str, reason: &str) {
        let place = format!("{what} `{name}`");
        for labels in self.value(name).unwrap_or_default().into_iter().flatten() {
            self.labels.pin(&labels, &place, reason);
        }
        self.pin_sources(name, &place, "its size is an output of the model");
    }

    /// Pins everything that a node reads, and gives its outputs pinned labels.
    fn pin_node(&mut self, node: &Node, reason: &str) {
        for name in node.inputs.iter().flatten().chain(&node.captures) {
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

    /// Notes the rows of a layer whose rule failed, so that its kernels are listed, with
    /// the reason why they stay.
    fn note_producer(&mut self, node: &Node) {
        let rank = self.parameter(node, 1).map_or(0, |view| view.axes.len());
        let axis = match node.op_type.as_str() {
            "Conv" => 0,
            "ConvTranspose" => 1,
            "Gemm" => usize::from(node.attr_i("transB", 0) == 0),
            "MatMul" => rank.saturating_sub(1),
            _ => return,
        };
        if axis < rank && node.is_standard() {
            self.use_parameter(node, 1, axis, Role::Output);
        }
    }

    /// Applies the rule of a node, and pins what it does not answer for.
    pub(super) fn follow(&mut self, node: &Node) {
        self.asked.clear();
        let outcome = match ops::lookup(node) {
            Some(rule) => rule.labels(node, self),
            None if node.is_standard() => {
                Err(format!("no channel rule for operator {}", node.op_type))
            }
            None => Err(format!("custom operator {}::{}", node.domain, node.op_type)),
        };
        if let Err(reason) = outcome {
            self.note_producer(node);
            self.pin_node(node, &reason);
        }
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
        let folds = node
            .outputs
            .first()
            .is_some_and(|output| self.known.values.contains_key(output));
        for (slot, name) in node.inputs.iter().enumerate() {
            let Some(name) = name else { continue };
            if !folds && !self.answered.contains(&(node.name.clone(), slot)) {
                self.pin_sources(name, &node.name, "it computes with this number of channels");
            }
        }
        for name in &node.captures {
            self.pin_sources(name, &node.name, "it computes with this number of channels");
        }
    }

    fn pin_sources(&mut self, name: &str, place: &str, reason: &str) {
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
