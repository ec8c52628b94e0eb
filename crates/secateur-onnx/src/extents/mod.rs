//! What is known of shapes while a graph is walked: extents of values, and the small integer
//! tensors that carry them. [`crate::shape`] finds them out with the rules of [`crate::ops`].

mod element;
mod value;

use std::collections::{HashMap, HashSet};

pub use element::{AxisOf, Element, Number};
pub(crate) use value::{FOLD_LIMIT, MAX_VALUE_BYTES, positions};
pub use value::{Format, IntValue};

use crate::graph::{Dim, Graph, Node};
use crate::model::Tensor;

/// Shapes by value name.
pub type Shapes = HashMap<String, Vec<Dim>>;

/// Shapes, and the small integer tensors that carry them.
#[derive(Debug, Clone, Default)]
pub struct Inferred {
    /// Shape of every value of known rank.
    pub shapes: Shapes,
    /// Stored and computed integer tensors.
    pub values: HashMap<String, IntValue>,
    /// Values that are computed from stored tensors alone.
    pub constants: HashSet<String>,
    /// First extent of the first input.
    pub batch: Option<Dim>,
}

impl Inferred {
    /// Number of samples that the model takes together; 1 where that is open.
    pub fn samples(&self) -> usize {
        let extent = self.batch.as_ref().and_then(Dim::fixed);
        extent.filter(|&extent| extent > 0).unwrap_or(1)
    }
}

/// What shape rules may look at.
pub struct ShapeContext<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// What is known so far.
    pub known: &'a Inferred,
}

/// A parameter that is an attribute in older opsets and an input in newer ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// Left out.
    Absent,
    /// Computed at run time.
    Computed,
    /// Known.
    Known(Vec<i64>),
}

impl ShapeContext<'_> {
    /// Shape of input `slot`.
    pub fn input(&self, node: &Node, slot: usize) -> Option<&[Dim]> {
        self.known.shapes.get(node.input(slot)?).map(Vec::as_slice)
    }

    /// True for a stored tensor, and for what is computed from stored tensors alone.
    pub fn is_constant(&self, name: &str) -> bool {
        self.graph.initializers.contains_key(name) || self.known.constants.contains(name)
    }

    /// The integer tensor in input `slot`, with elements that may be unknown.
    pub fn value(&self, node: &Node, slot: usize) -> Option<&IntValue> {
        self.known.values.get(node.input(slot)?)
    }

    /// Integers in input `slot`, if all are known.
    pub fn integers(&self, node: &Node, slot: usize) -> Option<Vec<i64>> {
        self.value(node, slot)?.known()
    }

    /// The entries of a list that is attribute `name` or input `slot`, of which some may be
    /// computed; `None` if it is left out, or its length is not known.
    pub fn list(&self, node: &Node, name: &str, slot: usize) -> Option<Vec<Option<i64>>> {
        if let Some(values) = node.attr_ints(name) {
            return Some(values.iter().copied().map(Some).collect());
        }
        if let Some(value) = self.value(node, slot) {
            let numbers = value.elements.iter().map(|element| element.number.known());
            return Some(numbers.collect());
        }
        match self.input(node, slot)? {
            [len] => Some(vec![None; len.fixed().filter(|&len| len <= FOLD_LIMIT)?]),
            _ => None,
        }
    }

    /// The stored tensor in input `slot`.
    pub fn stored(&self, node: &Node, slot: usize) -> Option<&Tensor> {
        self.graph.initializers.get(node.input(slot)?)
    }

    /// A parameter that is attribute `name` or input `slot`.
    pub fn parameter(&self, node: &Node, name: &str, slot: usize) -> Parameter {
        if let Some(values) = node.attr_ints(name) {
            return Parameter::Known(values.to_vec());
        }
        if node.input(slot).is_none() {
            return Parameter::Absent;
        }
        self.integers(node, slot)
            .map_or(Parameter::Computed, Parameter::Known)
    }
}
