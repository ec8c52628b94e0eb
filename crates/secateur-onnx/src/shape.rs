//! Shapes of all values of a graph.
//!
//! Every operator has its rule in [`crate::ops`]; where it has none, the shape
//! that the file states (`value_info`) is taken, else it is unknown. A value
//! without an entry has an unknown rank. An extent that depends on a dynamic one
//! gets a name of its own (`value[axis]`), so that it is recognised where a
//! reshape copies it.

use std::collections::HashMap;

use crate::error::Result;
pub use crate::extents::{
    AxisOf, Element, Inferred, IntValue, Number, Parameter, ShapeContext, Shapes,
};
use crate::extents::{FOLD_LIMIT, MAX_VALUE_BYTES};
use crate::graph::{Body, Dim, Graph, Node, ValueInfo};
use crate::ops;

/// Bytes of all integer tensors that are followed.
const MAX_FOLDED_BYTES: usize = 1 << 28;

/// What is known while a graph is walked: the only place where integer tensors are kept.
#[derive(Default)]
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

    fn set_shape(&mut self, name: &str, shape: Vec<Dim>) {
        let shape = named(name, shape);
        self.known.shapes.insert(name.to_string(), shape);
    }

    /// Finds out what a node's rule says of its outputs; shapes that it does not tell are
    /// those that the file states.
    fn follow(&mut self, graph: &Graph, node: &Node, stated: &HashMap<&str, &[Dim]>) -> Result<()> {
        let context = ShapeContext {
            graph,
            known: &self.known,
        };
        let rule = ops::lookup(node);
        let mut inferred = match rule.map_or(Ok(Vec::new()), |rule| rule.shapes(node, &context)) {
            // With these sizes the subgraph does not run.
            Err(_) if node.is_inner => Vec::new(),
            shapes => shapes?,
        };
        let shape = inferred.first().and_then(Option::as_deref);
        let folded = rule
            .filter(|_| self.folds(node, shape))
            .map_or_else(Vec::new, |rule| rule.fold_all(node, &context));
        let mut read = node.reads().peekable();
        let is_constant = read.peek().is_some() && read.all(|name| context.is_constant(name));
        inferred.resize(node.outputs.len(), None);
        for (name, shape) in node.outputs.iter().zip(inferred) {
            let stated = || stated.get(name.as_str()).map(|shape| shape.to_vec());
            if let Some(shape) = shape.or_else(stated).filter(|_| !name.is_empty()) {
                self.set_shape(name, shape);
            }
        }
        for (name, value) in node.outputs.iter().zip(folded) {
            self.keep(name, value);
        }
        if is_constant {
            self.known.constants.extend(node.outputs.iter().cloned());
        }
        Ok(())
    }
}

/// Infers the shape of every value. `inputs` replaces the graph's own.
///
/// # Errors
/// [`crate::OnnxError::Graph`] where a rule finds shapes that cannot be.
pub fn infer_shapes(graph: &Graph, inputs: Option<&[ValueInfo]>) -> Result<Shapes> {
    infer(graph, inputs).map(|inferred| inferred.shapes)
}

/// As [`infer_shapes`], with the integer tensors.
///
/// # Errors
/// As [`infer_shapes`].
pub fn infer(graph: &Graph, inputs: Option<&[ValueInfo]>) -> Result<Inferred> {
    let mut folding = Folding::default();
    for (name, tensor) in &graph.initializers {
        let shape = tensor.shape.iter().map(|&d| Dim::Fixed(d)).collect();
        folding.known.shapes.insert(name.clone(), shape);
        if let Some(value) = IntValue::from_tensor(tensor) {
            folding.keep(name, value);
        }
    }
    for (index, input) in inputs.unwrap_or(&graph.inputs).iter().enumerate() {
        if input.has_shape {
            if index == 0 && !graph.no_batch {
                folding.known.batch = batch_of(&input.shape);
            }
            folding.set_shape(&input.name, input.shape.clone());
        }
    }
    for given in bodies(graph).flat_map(|body| &body.inputs) {
        if given.has_shape {
            folding.set_shape(&given.name, given.shape.clone());
        }
    }
    let stated = stated_shapes(graph);
    for node in &graph.nodes {
        folding.follow(graph, node, &stated)?;
    }
    Ok(folding.known)
}

/// The subgraphs of all nodes.
fn bodies(graph: &Graph) -> impl Iterator<Item = &Body> {
    graph.nodes.iter().flat_map(|node| &node.bodies)
}

/// The extent of an input that counts samples.
fn batch_of(shape: &[Dim]) -> Option<Dim> {
    match shape {
        // A single image in colours.
        [Dim::Fixed(3), _, _] | [] => None,
        [batch, ..] => Some(batch.clone()),
    }
}

/// Shapes that the file states for values that nodes compute.
fn stated_shapes(graph: &Graph) -> HashMap<&str, &[Dim]> {
    let of_bodies = bodies(graph).flat_map(|body| &body.outputs);
    let inner = of_bodies.chain(graph.value_info.values());
    let infos = graph.outputs.iter().chain(inner);
    // `value_info` comes last, so that it wins where a value is stated twice.
    let stated = infos.filter(|info| info.has_shape);
    stated
        .map(|info| (info.name.as_str(), info.shape.as_slice()))
        .collect()
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
