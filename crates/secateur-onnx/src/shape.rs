//! Shapes of all values of a graph.
//!
//! Every operator has its rule in [`crate::ops`]; where it has none, the shape
//! that the file states (`value_info`) is taken, else it is unknown. A value
//! without an entry has an unknown rank.

use std::collections::HashMap;

use crate::error::Result;
use crate::graph::{Dim, Graph, Node};
use crate::model::Tensor;
use crate::ops;

/// Shapes by value name.
pub type Shapes = HashMap<String, Vec<Dim>>;

/// What shape rules may look at.
pub struct ShapeContext<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Shapes known so far.
    pub shapes: &'a Shapes,
    /// Small integer tensors known so far: initialisers and folded shape computations.
    pub constants: &'a HashMap<String, Vec<i64>>,
}

impl ShapeContext<'_> {
    /// Shape of input `slot`.
    pub fn input(&self, node: &Node, slot: usize) -> Option<&[Dim]> {
        self.shapes.get(node.input(slot)?).map(Vec::as_slice)
    }

    /// Integers in input `slot`, if they are known.
    pub fn constant(&self, node: &Node, slot: usize) -> Option<&[i64]> {
        self.constants.get(node.input(slot)?).map(Vec::as_slice)
    }

    /// The stored tensor in input `slot`.
    pub fn stored(&self, node: &Node, slot: usize) -> Option<&Tensor> {
        self.graph.initializers.get(node.input(slot)?)
    }
}

/// Integer tensors up to this length are folded: shapes, axes, pads.
const FOLD_LIMIT: usize = 64;

/// Infers the shape of every value. `input_dims` replaces the shape of the first input.
///
/// # Errors
/// [`crate::OnnxError::Graph`] where a rule finds shapes that cannot be.
pub fn infer_shapes(graph: &Graph, input_dims: Option<&[Dim]>) -> Result<Shapes> {
    let mut shapes: Shapes = HashMap::new();
    let mut constants: HashMap<String, Vec<i64>> = HashMap::new();
    for (name, tensor) in &graph.initializers {
        shapes.insert(
            name.clone(),
            tensor.shape.iter().map(|&d| Dim::Fixed(d)).collect(),
        );
        if tensor.len() <= FOLD_LIMIT
            && let Some(values) = tensor.as_i64()
        {
            constants.insert(name.clone(), values.into_owned());
        }
    }
    for (index, input) in graph.inputs.iter().enumerate() {
        if let (0, Some(dims)) = (index, input_dims) {
            shapes.insert(input.name.clone(), dims.to_vec());
        } else if input.has_shape {
            shapes.insert(input.name.clone(), input.shape.clone());
        }
    }
    for node in &graph.nodes {
        let context = ShapeContext {
            graph,
            shapes: &shapes,
            constants: &constants,
        };
        let rule = ops::lookup(node);
        let inferred = match rule {
            Some(rule) => rule.shapes(node, &context)?,
            None => Vec::new(),
        };
        let folded = rule.and_then(|rule| rule.fold(node, &context));
        for (slot, name) in node
            .outputs
            .iter()
            .enumerate()
            .filter(|(_, n)| !n.is_empty())
        {
            let stated = graph
                .value_info
                .get(name)
                .or_else(|| graph.outputs.iter().find(|o| &o.name == name))
                .filter(|info| info.has_shape)
                .map(|info| info.shape.clone());
            if let Some(shape) = inferred.get(slot).cloned().flatten().or(stated) {
                shapes.insert(name.clone(), shape);
            }
        }
        if let (Some(values), Some(name)) = (folded, node.outputs.first()) {
            constants.insert(name.clone(), values);
        }
    }
    Ok(shapes)
}
