//! What is known of shapes while a graph is walked: extents of values, and the small integer
//! tensors that carry them. [`crate::shape`] finds them out with the rules of [`crate::ops`].

mod value;

use std::collections::HashMap;

pub(crate) use value::FOLD_LIMIT;
pub use value::{AxisOf, Element, IntValue, Number};

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

    /// The integer tensor in input `slot`, with elements that may be unknown.
    pub fn value(&self, node: &Node, slot: usize) -> Option<&IntValue> {
        self.known.values.get(node.input(slot)?)
    }

    /// Integers in input `slot`, if all are known.
    pub fn integers(&self, node: &Node, slot: usize) -> Option<Vec<i64>> {
        self.value(node, slot)?.known()
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
