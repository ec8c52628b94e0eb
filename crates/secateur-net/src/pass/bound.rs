//! Parameters as tensors.

use std::collections::HashMap;

use burn::tensor::{Device, Gradients, Tensor};
use secateur_cpu::memory::Buffer;

use crate::extension::{tensor_from_buffer, tensor_from_vec};
use crate::ops::Folded;
use crate::weights::{Weight, WeightRole, Weights};

/// Parameters as tensors, for one pass or a series of inference passes.
#[derive(Debug, Clone)]
pub struct Bound {
    pub(crate) tensors: HashMap<String, Tensor<1>>,
    pub(crate) shapes: HashMap<String, Vec<usize>>,
    pub(crate) folded: HashMap<String, (Tensor<1>, Tensor<1>)>,
}

impl Bound {
    /// The gradient leaf of a parameter.
    pub fn tensor(&self, name: &str) -> Option<&Tensor<1>> {
        self.tensors.get(name)
    }

    pub(crate) fn new(
        weights: &Weights,
        device: &Device,
        prepare: impl Fn(WeightRole, Tensor<1>) -> Tensor<1>,
    ) -> Self {
        let mut tensors = HashMap::new();
        let mut shapes = HashMap::new();
        for (name, weight) in weights.iter() {
            tensors.insert(name.clone(), prepare(weight.role, flat(weight, device)));
            shapes.insert(name.clone(), weight.shape.clone());
        }
        Self {
            tensors,
            shapes,
            folded: HashMap::new(),
        }
    }

    /// The same, of which no gradients are wanted.
    pub(crate) fn detached(&self) -> Self {
        let tensors = self.tensors.iter();
        Self {
            tensors: tensors
                .map(|(name, tensor)| (name.clone(), tensor.clone().detach()))
                .collect(),
            ..self.clone()
        }
    }

    /// Adds the gradients of parameters to others.
    pub(crate) fn add_gradients(&self, sums: &mut Gradients, mut more: Gradients) {
        for leaf in self.tensors.values() {
            let Some(gradient) = leaf.grad_remove(&mut more) else {
                continue;
            };
            let sum = match leaf.grad_remove(sums) {
                Some(sum) => sum + gradient,
                None => gradient,
            };
            leaf.grad_replace(sums, sum);
        }
    }

    /// Weights and bias of the convolution at `node`, its batch norm folded in.
    pub(crate) fn put_folded(&mut self, node: &str, folded: Folded, device: &Device) {
        let Folded { weight, bias } = folded;
        let (weights, channels) = (weight.len(), bias.len());
        let pair = (
            tensor_from_vec(weight, [weights], device),
            tensor_from_vec(bias, [channels], device),
        );
        self.folded.insert(node.to_string(), pair);
    }

    /// Takes over the present values of some parameters.
    pub(crate) fn update(&mut self, weights: &Weights, names: &[&str], device: &Device) {
        for &name in names {
            if let Some(weight) = weights.get(name) {
                self.tensors.insert(name.to_string(), flat(weight, device));
            }
        }
    }
}

fn flat(weight: &Weight, device: &Device) -> Tensor<1> {
    tensor_from_buffer(Buffer::from(weight.data.as_slice()), device)
}
