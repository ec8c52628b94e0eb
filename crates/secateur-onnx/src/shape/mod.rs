//! Shapes of all values of a graph.
//!
//! Every operator has its rule in [`crate::ops`]; where it has none, the shape
//! that the file states (`value_info`) is taken, else it is unknown. A value
//! without an entry has an unknown rank. An extent that depends on a dynamic one
//! gets a name of its own (`value[axis]`), so that it is recognised where a
//! reshape copies it.

mod value;

use std::collections::HashMap;

pub(crate) use value::FOLD_LIMIT;
pub use value::{AxisOf, Element, IntValue, Number};

use crate::error::Result;
use crate::graph::{Dim, Graph, Node};
use crate::model::Tensor;
use crate::ops;

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

/// Infers the shape of every value. `input_dims` replaces the shape of the first input.
///
/// # Errors
/// [`crate::OnnxError::Graph`] where a rule finds shapes that cannot be.
pub fn infer_shapes(graph: &Graph, input_dims: Option<&[Dim]>) -> Result<Shapes> {
    infer(graph, input_dims).map(|inferred| inferred.shapes)
}

/// As [`infer_shapes`], with the integer tensors.
///
/// # Errors
/// As [`infer_shapes`].
pub fn infer(graph: &Graph, input_dims: Option<&[Dim]>) -> Result<Inferred> {
    let mut known = Inferred::default();
    for (name, tensor) in &graph.initializers {
        known.shapes.insert(
            name.clone(),
            tensor.shape.iter().map(|&d| Dim::Fixed(d)).collect(),
        );
        if let Some(value) = IntValue::from_tensor(tensor) {
            known.values.insert(name.clone(), value);
        }
    }
    for (index, input) in graph.inputs.iter().enumerate() {
        if let (0, Some(dims)) = (index, input_dims) {
            known
                .shapes
                .insert(input.name.clone(), named(&input.name, dims.to_vec()));
        } else if input.has_shape {
            known
                .shapes
                .insert(input.name.clone(), named(&input.name, input.shape.clone()));
        }
    }
    let stated_outputs: HashMap<&str, &[Dim]> = graph
        .outputs
        .iter()
        .filter(|output| output.has_shape)
        .map(|output| (output.name.as_str(), output.shape.as_slice()))
        .collect();
    for node in &graph.nodes {
        let context = ShapeContext {
            graph,
            known: &known,
        };
        let rule = ops::lookup(node);
        let inferred = match rule {
            Some(rule) => rule.shapes(node, &context)?,
            None => Vec::new(),
        };
        let folded = rule
            .and_then(|rule| rule.fold(node, &context))
            .filter(|value| value.elements.len() <= FOLD_LIMIT);
        for (slot, name) in node
            .outputs
            .iter()
            .enumerate()
            .filter(|(_, n)| !n.is_empty())
        {
            let stated = || {
                let info = graph.value_info.get(name).filter(|info| info.has_shape);
                info.map(|info| info.shape.clone())
                    .or_else(|| stated_outputs.get(name.as_str()).map(|dims| dims.to_vec()))
            };
            if let Some(shape) = inferred.get(slot).cloned().flatten().or_else(stated) {
                known.shapes.insert(name.clone(), named(name, shape));
            }
        }
        if let (Some(value), Some(name)) = (folded, node.outputs.first()) {
            known.values.insert(name.clone(), value);
        }
    }
    Ok(known)
}

/// Gives unknown extents the name of the axis that they are.
fn named(value: &str, shape: Vec<Dim>) -> Vec<Dim> {
    shape
        .into_iter()
        .enumerate()
        .map(|(axis, dim)| match dim {
            Dim::Unknown => Dim::Named(format!("{value}[{axis}]")),
            dim => dim,
        })
        .collect()
}
