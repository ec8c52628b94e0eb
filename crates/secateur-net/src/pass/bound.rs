//! Parameters as tensors.

use std::collections::HashMap;

use burn::tensor::{Device, Tensor};
use secateur_cpu::memory::Buffer;

use crate::extension::tensor_from_buffer;
use crate::weights::{WeightRole, Weights};

/// Parameters as tensors, for one pass or a series of inference passes.
#[derive(Debug)]
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
            let tensor = tensor_from_buffer(Buffer::from(weight.data.as_slice()), device);
            tensors.insert(name.clone(), prepare(weight.role, tensor));
            shapes.insert(name.clone(), weight.shape.clone());
        }
        Self {
            tensors,
            shapes,
            folded: HashMap::new(),
        }
    }
}
