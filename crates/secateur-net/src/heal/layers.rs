//! Layers whose weights can be solved, and what follows each that the solution has to know of.

use std::collections::HashMap;

use secateur_onnx::graph::{Graph, Node};
use secateur_onnx::ops::WeightRole;

use super::form::Form;
use crate::ops::norm_names;
use crate::pass::NormNames;
use crate::weights::trained_parameters;

/// A layer with stored weights that no other node reads.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// Its node.
    pub node: String,
    /// The value that it reads.
    pub input: String,
    /// What it gives, a bias that follows included.
    pub output: String,
    /// How its output comes from its input.
    pub form: Form,
    /// Its weights.
    pub weight: String,
    /// What is added for each output channel.
    pub bias: Option<String>,
    /// The batch norm that alone reads the output.
    pub norm: Option<NormNames>,
    /// The output, or that of its batch norm.
    pub term: String,
    /// The other term of a sum that alone reads `term`.
    pub other_term: Option<String>,
}

impl Layer {
    /// The parameter that takes up a constant added to each output channel, if there is one.
    pub fn constant(&self) -> Option<&str> {
        let mean = self.norm.as_ref().map(|norm| norm.mean.as_str());
        self.bias.as_deref().or(mean)
    }

    /// What one more of [`Self::constant`] adds to the output: behind a running mean it counts the other way.
    pub fn constant_sign(&self) -> f64 {
        if self.bias.is_some() { 1.0 } else { -1.0 }
    }
}

/// A layer that is left as it is, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unsolved {
    /// Its node.
    pub node: String,
    /// Why.
    pub reason: String,
}

/// Which nodes read each value.
struct Readers<'g> {
    graph: &'g Graph,
    nodes: HashMap<&'g str, Vec<&'g Node>>,
}

impl<'g> Readers<'g> {
    fn new(graph: &'g Graph) -> Self {
        let mut nodes: HashMap<&str, Vec<&Node>> = HashMap::new();
        for node in &graph.nodes {
            for name in node.reads() {
                nodes.entry(name).or_default().push(node);
            }
        }
        Self { graph, nodes }
    }

    /// True if one node reads `value`, in one place.
    fn is_read_once(&self, value: &str) -> bool {
        self.nodes.get(value).is_some_and(|nodes| nodes.len() == 1)
    }

    /// The only reader of `value`, of type `op_type`.
    fn only(&self, value: &str, op_type: &str) -> Option<&'g Node> {
        let is_output = self.graph.outputs.iter().any(|o| o.name == value);
        match self.nodes.get(value)?.as_slice() {
            [node] if node.op_type == op_type && node.is_standard() && !is_output => Some(node),
            _ => None,
        }
    }

    /// True for a stored vector of its own, of `len` elements along its last axis.
    fn is_own_vector(&self, name: &str, len: usize) -> bool {
        let tensor = self.graph.initializers.get(name);
        let fits = |t: &secateur_onnx::model::Tensor| {
            t.len() == len && t.shape.last() == Some(&len) && t.as_f32().is_some()
        };
        tensor.is_some_and(fits) && self.is_read_once(name)
    }
}

/// The layers of a graph by node, and those that are left out.
pub(super) fn find(graph: &Graph) -> (HashMap<String, Layer>, Vec<Unsolved>) {
    let readers = Readers::new(graph);
    let trained = trained_parameters(graph);
    let (mut layers, mut unsolved) = (HashMap::new(), Vec::new());
    for node in graph.nodes.iter().filter(|node| node.is_standard()) {
        if !matches!(
            node.op_type.as_str(),
            "Conv" | "ConvTranspose" | "Gemm" | "MatMul"
        ) {
            continue;
        }
        let weights = |slot: &usize| {
            let name = node.input(*slot)?;
            (trained.get(name) == Some(&WeightRole::Weight)).then_some(name)
        };
        let Some((slot, weight)) = [1, 0].iter().find_map(|slot| Some((*slot, weights(slot)?)))
        else {
            // Between computed values, or with weights that the file computes.
            continue;
        };
        match layer(&readers, node, slot, weight) {
            Ok(layer) => {
                layers.insert(node.name.clone(), layer);
            }
            Err(reason) => unsolved.push(Unsolved {
                node: node.name.clone(),
                reason: reason.to_string(),
            }),
        }
    }
    (layers, unsolved)
}

/// Reads a node whose weights lie in `slot`.
fn layer(
    readers: &Readers<'_>,
    node: &Node,
    slot: usize,
    weight: &str,
) -> Result<Layer, &'static str> {
    if !readers.is_read_once(weight) {
        return Err("other nodes read its weights too");
    }
    let tensor = &readers.graph.initializers[weight];
    let form = Form::new(node, slot, &tensor.shape).ok_or("its form is not known")?;
    let input = node.input(1 - slot).ok_or("its input is missing")?;
    let c_out = form.c_out(&tensor.shape);
    let mut output = node.outputs[0].as_str();
    let is_scaled = node.attr_f("beta", 1.0) != 1.0;
    let mut bias = None;
    if let Some(name) = node.input(2).filter(|_| node.op_type != "MatMul") {
        if is_scaled || !readers.is_own_vector(name, c_out) {
            return Err("its bias is scaled, computed or shared");
        }
        bias = Some(name.to_string());
    } else if let Some(add) = readers.only(output, "Add")
        && form.channel_is_last()
        && let Some(name) = other_input(add, output)
        && readers.is_own_vector(name, c_out)
    {
        bias = Some(name.to_string());
        output = add.outputs[0].as_str();
    }
    let layer_output = output.to_string();
    let mut norm = None;
    if let Some(next) = readers.only(output, "BatchNormalization")
        // A batch norm looks for channels on the second axis: of a matrix, its last.
        && node.op_type != "MatMul"
        && let Ok(names) = norm_names(next)
        && [&names.gamma, &names.beta, &names.mean, &names.variance]
            .iter()
            .all(|name| {
                readers.is_read_once(name) && readers.graph.initializers.contains_key(*name)
            })
    {
        norm = Some(names);
        output = next.outputs[0].as_str();
    }
    let sum = readers.only(output, "Add");
    let other_term = sum
        .and_then(|add| other_input(add, output))
        .filter(|name| !readers.graph.initializers.contains_key(*name));
    Ok(Layer {
        node: node.name.clone(),
        input: input.to_string(),
        output: layer_output,
        form,
        weight: weight.to_string(),
        bias,
        norm,
        term: output.to_string(),
        other_term: other_term.map(str::to_string),
    })
}

/// The other input of a node with two.
fn other_input<'g>(node: &'g Node, value: &str) -> Option<&'g str> {
    match (node.input(0), node.input(1)) {
        (Some(a), Some(b)) if a == value && b != value => Some(b),
        (Some(a), Some(b)) if b == value && a != value => Some(a),
        _ => None,
    }
}
