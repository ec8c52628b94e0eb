//! New weights for a network's shape.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use secateur_onnx::graph::{Graph, Node};
use secateur_onnx::ops::{self, OpRule, WeightRole, stored_views};

use crate::error::{NetError, Result};
use crate::weights::trained_parameters;

/// Slope of a PRelu before it is trained: that of He et al., ICCV 2015, arXiv:1502.01852.
const SLOPE: f32 = 0.25;

/// New values of all trained parameters of a graph, as before a training: weights of layers normal with
/// deviation √(2 / fan-in) (He et al., ICCV 2015, arXiv:1502.01852), scales 1, shifts and biases 0, running
/// statistics those of normalised values.
///
/// # Errors
/// [`NetError::Graph`] names a node whose parameters have no such beginning here: recurrent layers and
/// other rarer ones.
pub fn fresh_weights(graph: &Graph, seed: u64) -> Result<BTreeMap<String, Vec<f32>>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let parameters = trained_parameters(graph);
    let views = stored_views(graph);
    let mut values = BTreeMap::new();
    for node in &graph.nodes {
        for (slot, input) in node.inputs.iter().enumerate() {
            let Some(input) = input.as_deref() else {
                continue;
            };
            let stored = views.get(input).copied().unwrap_or(input);
            let is_new = !values.contains_key(stored) && !is_view(node);
            let Some(role) = parameters.get(stored).filter(|_| is_new) else {
                continue;
            };
            let tensor = &graph.initializers[stored];
            let len = tensor.shape.iter().product();
            let start = match role {
                WeightRole::Weight => {
                    let fan_in = fan_in(node, slot, &tensor.shape, is_turned(graph, input));
                    fan_in.map(|fan_in| Start::Normal((2.0 / fan_in as f32).sqrt()))
                }
                WeightRole::Vector | WeightRole::Running => {
                    constant(node, slot).map(Start::Constant)
                }
            };
            let new = match start {
                None => return Err(no_start(node, stored)),
                Some(Start::Constant(value)) => vec![value; len],
                Some(Start::Normal(deviation)) => {
                    let normal = (0..len).map(|_| StandardNormal.sample(&mut rng));
                    normal.map(|value: f32| deviation * value).collect()
                }
            };
            values.insert(stored.to_string(), new);
        }
    }
    Ok(values)
}

enum Start {
    Constant(f32),
    /// Of this deviation.
    Normal(f32),
}

fn no_start(node: &Node, name: &str) -> NetError {
    NetError::Graph {
        place: format!("node `{}` ({})", node.name, node.op_type),
        reason: format!("there is no rule for new values of `{name}`"),
    }
}

/// Does the node show a stored tensor to others?
fn is_view(node: &Node) -> bool {
    ops::lookup(node).is_some_and(OpRule::is_view)
}

/// Is a value a matrix that is read with its axes exchanged?
fn is_turned(graph: &Graph, value: &str) -> bool {
    let gives = |node: &&Node| node.outputs.iter().any(|output| output == value);
    let mut turned = false;
    let mut at = graph.nodes.iter().find(gives);
    while let Some(node) = at {
        turned ^= node.op_type == "Transpose";
        let from = node.input(0).unwrap_or_default();
        at = graph
            .nodes
            .iter()
            .find(|node| node.outputs.iter().any(|output| output == from));
    }
    turned
}

/// Values that each output of a layer is summed from.
fn fan_in(node: &Node, slot: usize, shape: &[usize], is_turned: bool) -> Option<usize> {
    let rest = |from: usize| shape.iter().skip(from).product::<usize>();
    let inputs_first = match node.op_type.as_str() {
        "Conv" => return Some(rest(1).max(1)),
        // Of each position only the taps that meet it, one in each stride.
        "ConvTranspose" => {
            let strides = node.attr_ints("strides").unwrap_or_default();
            let stride: i64 = strides.iter().product::<i64>().max(1);
            let groups = usize::try_from(node.attr_i("group", 1)).ok()?.max(1);
            let taps = rest(2) / usize::try_from(stride).ok()?;
            return Some((shape.first()? / groups * taps.max(1)).max(1));
        }
        "Gemm" => node.attr_i("transB", 0) == 0,
        "MatMul" => slot == 1,
        _ => return None,
    };
    let [rows, columns] = *shape else { return None };
    Some(
        if inputs_first != is_turned {
            rows
        } else {
            columns
        }
        .max(1),
    )
}

/// What scales, shifts and statistics begin with.
fn constant(node: &Node, slot: usize) -> Option<f32> {
    match (node.op_type.as_str(), slot) {
        ("BatchNormalization", 1 | 4) => Some(1.0),
        ("BatchNormalization", 2 | 3) => Some(0.0),
        ("InstanceNormalization" | "GroupNormalization" | "LayerNormalization", 1) => Some(1.0),
        ("InstanceNormalization" | "GroupNormalization" | "LayerNormalization", 2) => Some(0.0),
        ("RMSNormalization", 1) => Some(1.0),
        ("Conv" | "ConvTranspose" | "Gemm", 2) => Some(0.0),
        ("Add" | "Sub", _) => Some(0.0),
        ("Mul" | "Div", _) => Some(1.0),
        ("PRelu", 1) => Some(SLOPE),
        _ => None,
    }
}
