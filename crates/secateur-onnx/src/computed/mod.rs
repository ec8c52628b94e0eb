//! Weights that a file computes from what it stores: standardised weights, weights divided by
//! their length, scaled ones.
//!
//! A network that standardises its weights in the graph takes means over all columns of a kernel:
//! a column could not go without changing what stays. In inference the result never changes, so
//! that it can stand in the file in place of the computation: then the layer is one like any
//! other. That is done for layers alone, and for computations that [`operators`] knows; what is
//! only transposed, cast or dequantised stays as it is stored.

mod array;
mod layout;
mod operators;

use std::collections::{BTreeMap, HashMap, HashSet};

use array::Array;

use crate::graph::{Graph, Node};
use crate::model::Tensor;
use crate::ops::{self, OpRule, Stored};

/// Nodes whose results follow from stored tensors alone, by the name of each result.
pub(crate) struct Constants<'g> {
    graph: &'g Graph,
    producers: HashMap<&'g str, &'g Node>,
}

impl<'g> Constants<'g> {
    pub(crate) fn find(graph: &'g Graph) -> Self {
        let mut found = Self {
            graph,
            producers: HashMap::new(),
        };
        for node in &graph.nodes {
            let mut inputs = node.inputs.iter().flatten();
            // Without inputs it draws random numbers.
            let follows = !node.inputs.is_empty()
                && node.bodies.is_empty()
                && node.is_standard()
                && inputs.all(|input| found.knows(input));
            if follows {
                let outputs = node.outputs.iter().map(|output| (output.as_str(), node));
                found.producers.extend(outputs);
            }
        }
        found
    }

    fn knows(&self, name: &str) -> bool {
        self.graph.initializers.contains_key(name) || self.producers.contains_key(name)
    }

    /// True if a value is a stored tensor, seen through operators that leave its elements alone.
    fn is_view(&self, name: &str) -> bool {
        let mut name = name;
        while let Some(node) = self.producers.get(name) {
            let is_view = ops::lookup(node).is_some_and(OpRule::is_view);
            let Some(input) = node.input(0).filter(|_| is_view) else {
                return false;
            };
            name = input;
        }
        true
    }

    /// Values that layers read as parameters and that the file computes.
    fn parameters(&self) -> Vec<&'g str> {
        let mut found = Vec::new();
        for node in &self.graph.nodes {
            let is_constant = node
                .outputs
                .iter()
                .any(|o| self.producers.contains_key(o.as_str()));
            let Some(rule) = ops::lookup(node).filter(|_| !is_constant) else {
                continue;
            };
            for (slot, name) in node.inputs.iter().enumerate() {
                let is_parameter = matches!(rule.stored(slot), Stored::Parameter(_));
                let Some(name) = name.as_deref().filter(|_| is_parameter) else {
                    continue;
                };
                let alone = |node: &&Node| node.outputs.len() == 1;
                if self.producers.get(name).is_some_and(alone) && !self.is_view(name) {
                    found.push(name);
                }
            }
        }
        found
    }

    /// What must be computed for a value, inputs first.
    fn steps(&self, name: &'g str) -> Vec<&'g Node> {
        let mut needed: HashSet<&str> = HashSet::from([name]);
        let mut steps = Vec::new();
        for node in self.graph.nodes.iter().rev() {
            if node
                .outputs
                .iter()
                .any(|output| needed.contains(output.as_str()))
                && self.producers.contains_key(node.outputs[0].as_str())
            {
                needed.extend(node.inputs.iter().flatten().map(String::as_str));
                steps.push(node);
            }
        }
        steps.reverse();
        steps
    }

    /// The value; `None` where an operator is not known.
    fn evaluate(&self, name: &'g str) -> Option<Tensor> {
        let mut known: HashMap<&str, Array> = HashMap::new();
        for node in self.steps(name) {
            for input in node.inputs.iter().flatten() {
                if let Some(tensor) = self.graph.initializers.get(input)
                    && !known.contains_key(input.as_str())
                {
                    known.insert(input, Array::from_tensor(tensor)?);
                }
            }
            let inputs = node.inputs.iter();
            let inputs = inputs.map(|input| input.as_deref().and_then(|name| known.get(name)));
            let result = operators::evaluate(node, &inputs.collect())?;
            known.insert(node.outputs.first()?, result);
        }
        Some(known.get(name)?.to_tensor())
    }
}

/// Why a layer cannot be pruned whose weights `name` are neither stored nor could be stored in
/// place of their computation ([`crate::model::Model::prepared`]).
pub(crate) fn why_not_stored(constants: &Constants<'_>, name: &str) -> &'static str {
    if constants.knows(name) {
        "its weights are computed from stored ones in a way that is not followed; where another \
         program folds that (onnxsim, ONNX Runtime at its basic level), it can be pruned"
    } else {
        "its weights are computed from the input"
    }
}

/// True if layers read parameters that the file computes.
pub(crate) fn are_there(outline: &Graph) -> bool {
    !Constants::find(outline).parameters().is_empty()
}

/// The parameters of layers that the file computes, as far as that can be followed, by name.
pub(crate) fn evaluate(graph: &Graph) -> BTreeMap<String, Tensor> {
    let constants = Constants::find(graph);
    let mut found = BTreeMap::new();
    for name in constants.parameters() {
        if !found.contains_key(name)
            && let Some(tensor) = constants.evaluate(name).filter(Tensor::is_float)
        {
            found.insert(name.to_string(), tensor);
        }
    }
    found
}
