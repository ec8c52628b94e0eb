//! What channel rules work with.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::edit::Pending;
use super::mixing::Mixing;
use super::quantised::Quantised;
use super::sets::{AxisLabels, LabelSets, Labels};
use super::uses::{Use, View};
use crate::extents::{Inferred, ShapeContext};
use crate::graph::{Dim, Graph, Node};

/// An axis of more positions is never channels: pixels, tokens, or a hostile file.
const MAX_LABELLED_EXTENT: usize = 1 << 20;

/// Labels of a whole graph; what goes beyond stays unlabelled, and thus uncut.
const MAX_LABELS: usize = 1 << 24;

/// Labelled positions of all values and edits of a graph, repeated labels too: some bytes each
/// once kernels are numbered. What goes beyond is pinned and stays unlabelled.
const MAX_POSITIONS: usize = 1 << 26;

/// Why axes without room for their labels stay.
pub(super) const NO_ROOM: &str = "it has more positions than can be followed";

/// Labels of all values while the graph is walked.
pub struct LabelContext<'a> {
    pub(super) graph: &'a Graph,
    pub(super) known: &'a Inferred,
    pub(crate) labels: LabelSets,
    pub(crate) axes: BTreeMap<String, Vec<AxisLabels>>,
    /// Labelled positions in `axes` and `edits`, up to [`MAX_POSITIONS`].
    positions: usize,
    pub(crate) uses: BTreeMap<(String, usize), Use>,
    pub(super) edits: Vec<Pending>,
    pub(super) views: HashMap<String, View>,
    /// Stored tensors of quantised numbers.
    pub(crate) quantised: BTreeMap<String, Quantised>,
    /// Nodes that depend on which channels there are.
    pub(crate) mixing: Vec<Mixing<Labels>>,
    /// Slots whose integers a rule answers for.
    pub(super) answered: BTreeSet<(String, usize)>,
    /// Slots that the rule of the current node has asked for.
    pub(super) asked: BTreeSet<usize>,
    /// True while the rule of a convolution runs.
    pub(super) in_conv: bool,
}

impl<'a> LabelContext<'a> {
    pub(crate) fn new(graph: &'a Graph, known: &'a Inferred) -> Self {
        Self {
            graph,
            known,
            labels: LabelSets::default(),
            axes: BTreeMap::new(),
            positions: 0,
            uses: BTreeMap::new(),
            edits: Vec::new(),
            views: HashMap::new(),
            quantised: BTreeMap::new(),
            mixing: Vec::new(),
            answered: BTreeSet::new(),
            asked: BTreeSet::new(),
            in_conv: false,
        }
    }

    /// Begins with the next node; `is_conv` tells if it is a convolution.
    pub(crate) fn enter(&mut self, is_conv: bool) {
        self.asked.clear();
        self.in_conv = is_conv;
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

    pub(super) fn take_room(&mut self, count: usize) -> bool {
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
    pub(super) fn note(&mut self, node: &Node, edit: Pending) {
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
            // The value is computed, and no rule has said what its channels are.
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
}
