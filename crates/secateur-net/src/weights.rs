//! The parameters of a network as plain memory: the truth that training,
//! masks, checkpoints and files share.
//!
//! Tensors keep their ONNX names and layouts (convolutions `[c_out, c_in / groups,
//! kh, kw]`), so a written file needs no translation. The optimiser's moments lie
//! beside each tensor and take every gather and scatter with it.

use std::collections::BTreeMap;

use secateur_onnx::graph::Graph;
use serde::{Deserialize, Serialize};

use crate::error::{NetError, Result};

/// What a parameter is, which decides how it is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WeightRole {
    /// Weights of a convolution or linear layer: trained, with weight decay.
    Weight,
    /// Biases and batch-norm scale and shift: trained, without weight decay.
    Vector,
    /// Running mean or variance of a batch norm: follows the data, not a gradient.
    Running,
}

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

/// Input slots of an operator that hold trained parameters, with their roles.
fn parameter_slots(op_type: &str) -> &'static [(usize, WeightRole)] {
    use WeightRole::{Running, Vector, Weight};
    match op_type {
        "Conv" | "ConvTranspose" => &[(1, Weight), (2, Vector)],
        "Gemm" => &[(1, Weight), (2, Vector)],
        "MatMul" => &[(1, Weight)],
        "BatchNormalization" => &[(1, Vector), (2, Vector), (3, Running), (4, Running)],
        "Add" | "Mul" | "Sub" => &[(0, Vector), (1, Vector)],
        "PRelu" => &[(1, Vector)],
        "InstanceNormalization" | "LayerNormalization" | "GroupNormalization" => {
            &[(1, Vector), (2, Vector)]
        }
        _ => &[],
    }
}

impl Weights {
    /// Collects the parameters of every node that has some.
    ///
    /// # Errors
    /// [`NetError::Graph`] for a parameter that is not a float tensor.
    pub fn from_graph(graph: &Graph) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        for node in &graph.nodes {
            for &(slot, role) in parameter_slots(&node.op_type) {
                let Some(Some(name)) = node.inputs.get(slot) else {
                    continue;
                };
                let Some(tensor) = graph.initializers.get(name) else {
                    continue;
                };
                let Some(data) = tensor.as_f32() else {
                    if matches!(node.op_type.as_str(), "Add" | "Mul" | "Sub") {
                        continue;
                    }
                    return Err(NetError::Graph {
                        place: format!("initializer `{name}` of node `{}`", node.name),
                        reason: "expected a float tensor".to_string(),
                    });
                };
                // A tensor shared by two layers keeps the role that trains it most carefully.
                tensors.entry(name.clone()).or_insert_with(|| Weight {
                    shape: tensor.shape.clone(),
                    role,
                    data: data.into_owned(),
                    moment1: Vec::new(),
                    moment2: Vec::new(),
                });
            }
        }
        Ok(Self { tensors })
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
