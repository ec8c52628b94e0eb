//! The parameters of a network as plain memory: the truth that training,
//! masks, checkpoints and files share.
//!
//! Tensors keep their ONNX names and layouts (convolutions `[c_out, c_in / groups,
//! kh, kw]`), so a written file needs no translation. The optimiser's moments lie
//! beside each tensor and take every gather and scatter with it.

use std::collections::{BTreeMap, HashSet};

use indexmap::IndexMap;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::{Tensor, Values};
pub use secateur_onnx::ops::WeightRole;
use secateur_onnx::ops::{self, Stored};
use serde::{Deserialize, Serialize};

use crate::error::{NetError, Result};

/// One named parameter with its optimiser moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// ONNX shape.
    pub shape: Vec<usize>,
    /// How it is trained.
    pub role: WeightRole,
    /// Values, row-major.
    pub data: Vec<f32>,
    /// First moment (momentum); empty until the first step.
    pub moment1: Vec<f32>,
    /// Second moment (AdamW); empty where unused.
    pub moment2: Vec<f32>,
}

/// All parameters of a network by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    tensors: BTreeMap<String, Weight>,
}

/// Stored tensors that are trained, with their roles, in the order of the nodes.
///
/// A vector that a layer's output is multiplied by, or that is added to it, is trained (a
/// bias, a scale); single numbers are part of a formula (the 3 and the 6 of a written-out
/// hard swish), infinities are a mask, and what is done to images before the first layer is
/// preprocessing. A tensor that is stored in another type, or with its axes in another order, than
/// its layer reads it is trained as that layer's.
pub fn trained_parameters(graph: &Graph) -> IndexMap<&str, WeightRole> {
    let mut found: IndexMap<&str, WeightRole> = IndexMap::new();
    let views = ops::stored_views(graph);
    // Values that depend on a layer.
    let mut learned: HashSet<&str> = HashSet::new();
    for node in graph.nodes.iter().filter(|node| node.is_standard()) {
        let rule = ops::lookup(node);
        let mut inputs = node.inputs.iter().flatten();
        let comes_after = inputs.any(|name| learned.contains(name.as_str()));
        let mut layer = comes_after;
        for slot in 0..node.inputs.len() {
            let Some(name) = node.input(slot) else {
                continue;
            };
            let stored = views.get(name).copied().unwrap_or(name);
            let Some((name, tensor)) = graph.initializers.get_key_value(stored) else {
                continue;
            };
            let role = match rule.map_or(Stored::Other, |rule| rule.stored(slot)) {
                Stored::Parameter(role) => role,
                Stored::Operand if comes_after && is_operand_trained(tensor) => WeightRole::Vector,
                _ => continue,
            };
            layer = true;
            // A tensor that several nodes share keeps its first role.
            found.entry(name.as_str()).or_insert(role);
        }
        if layer {
            learned.extend(node.outputs.iter().map(String::as_str));
        }
    }
    found
}

fn is_operand_trained(tensor: &Tensor) -> bool {
    let values = tensor.as_f32().filter(|values| values.len() > 1);
    values.is_some_and(|values| !values.iter().any(|value| value.is_infinite()))
}

impl Weights {
    /// Collects the parameters of every node that has some.
    ///
    /// # Errors
    /// [`NetError::Graph`] for a parameter that is not a float tensor.
    pub fn from_graph(graph: &Graph) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        for (name, role) in trained_parameters(graph) {
            let tensor = &graph.initializers[name];
            // Quantised numbers are no parameters: their nodes are behind the frontier.
            if matches!(tensor.values, Values::Other { .. } | Values::Opaque { .. }) {
                continue;
            }
            let data = tensor.as_f32().ok_or_else(|| {
                let reader = graph
                    .nodes
                    .iter()
                    .find(|node| node.inputs.iter().flatten().any(|input| input == name));
                let reader = reader.map_or("", |node| node.name.as_str());
                NetError::Graph {
                    place: format!("initializer `{name}` of node `{reader}`"),
                    reason: "expected a float tensor".to_string(),
                }
            })?;
            let weight = Weight {
                shape: tensor.shape.clone(),
                role,
                data: data.into_owned(),
                moment1: Vec::new(),
                moment2: Vec::new(),
            };
            tensors.insert(name.to_string(), weight);
        }
        Ok(Self { tensors })
    }

    /// Leaves parameters as they are from now on: no gradient changes them.
    pub fn freeze(&mut self, names: &[String]) {
        for name in names {
            if let Some(weight) = self.tensors.get_mut(name) {
                weight.role = WeightRole::Running;
            }
        }
    }

    /// Every float initialiser, trained or not; for moving values between files.
    pub fn from_floats(graph: &Graph) -> Self {
        let tensors = graph
            .initializers
            .iter()
            .filter_map(|(name, tensor)| {
                let weight = Weight {
                    shape: tensor.shape.clone(),
                    role: WeightRole::Running,
                    data: tensor.as_f32()?.into_owned(),
                    moment1: Vec::new(),
                    moment2: Vec::new(),
                };
                Some((name.clone(), weight))
            })
            .collect();
        Self { tensors }
    }

    /// The parameter of that name.
    pub fn get(&self, name: &str) -> Option<&Weight> {
        self.tensors.get(name)
    }

    /// The parameter of that name, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Weight> {
        self.tensors.get_mut(name)
    }

    /// The parameter that a node needs.
    ///
    /// # Errors
    /// [`NetError::Graph`] naming the node if the parameter is missing.
    pub fn require(&self, node: &str, name: &str) -> Result<&Weight> {
        self.get(name).ok_or_else(|| NetError::Graph {
            place: format!("node `{node}`"),
            reason: format!("`{name}` is not an initializer"),
        })
    }

    /// Name and parameter, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Weight)> {
        self.tensors.iter()
    }

    /// Name and parameter, in name order, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&String, &mut Weight)> {
        self.tensors.iter_mut()
    }

    /// Adds or replaces a parameter.
    pub fn insert(&mut self, name: String, weight: Weight) {
        self.tensors.insert(name, weight);
    }

    /// Values only, for `Model::with_weights`.
    pub fn values(&self) -> BTreeMap<String, Vec<f32>> {
        self.tensors
            .iter()
            .map(|(name, w)| (name.clone(), w.data.clone()))
            .collect()
    }

    /// Forgets the optimiser's moments, as before a restart.
    pub fn clear_moments(&mut self) {
        for weight in self.tensors.values_mut() {
            weight.moment1.clear();
            weight.moment2.clear();
        }
    }

    /// Name of the first tensor with NaN or infinity.
    pub fn find_non_finite(&self) -> Option<&str> {
        self.tensors
            .iter()
            .find(|(_, w)| w.data.iter().any(|v| !v.is_finite()))
            .map(|(name, _)| name.as_str())
    }
}
