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

/// Bytes of one folded value; names of axes make elements large.
const MAX_VALUE_BYTES: usize = 1 << 23;

/// Bytes of all integer tensors that are followed.
const MAX_FOLDED_BYTES: usize = 1 << 28;

/// Integer tensors while a graph is walked: the only place where they are kept.
struct Folding {
    known: Inferred,
    /// Bytes of the values kept so far.
    bytes: usize,
}

impl Folding {
    fn keep(&mut self, name: &str, value: IntValue) {
        let bytes = self.bytes.saturating_add(value.weight());
        if value.elements.len() <= FOLD_LIMIT && bytes <= MAX_FOLDED_BYTES {
            self.bytes = bytes;
            self.known.values.insert(name.to_string(), value);
        }
    }

    /// True if an output of this shape is small enough to be folded. It is asked before any
    /// rule: nodes that double their input soon ask for more than any memory holds.
    fn folds(&self, node: &Node, shape: Option<&[Dim]>) -> bool {
        let len = shape.and_then(|shape| {
            let mut extents = shape.iter().map(Dim::fixed);
            extents.try_fold(1usize, |len, extent| len.checked_mul(extent?))
        });
        let Some(len) = len.filter(|&len| len <= FOLD_LIMIT) else {
            return false;
        };
        // An element may gather the sources of one element of each input.
        let largest = node.inputs.iter().flatten().map(|name| {
            let value = self.known.values.get(name);
            value.map_or(name.len(), IntValue::largest)
        });
        let element = largest.fold(size_of::<Element>(), usize::saturating_add);
        len.saturating_mul(element) <= MAX_VALUE_BYTES
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
    let mut folding = Folding {
        known: Inferred::default(),
        bytes: 0,
    };
    for (name, tensor) in &graph.initializers {
        folding.known.shapes.insert(
            name.clone(),
            tensor.shape.iter().map(|&d| Dim::Fixed(d)).collect(),
        );
        if let Some(value) = IntValue::from_tensor(tensor) {
            folding.keep(name, value);
        }
    }
    let known = &mut folding.known;
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
            known: &folding.known,
        };
        let rule = ops::lookup(node);
        let inferred = match rule {
            Some(rule) => rule.shapes(node, &context)?,
            None => Vec::new(),
        };
        let shape = inferred.first().and_then(Option::as_deref);
        let folded = rule
            .filter(|_| folding.folds(node, shape))
            .and_then(|rule| rule.fold(node, &context));
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
                folding
                    .known
                    .shapes
                    .insert(name.clone(), named(name, shape));
            }
        }
        if let (Some(value), Some(name)) = (folded, node.outputs.first()) {
            folding.keep(name, value);
        }
    }
    Ok(folding.known)
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
