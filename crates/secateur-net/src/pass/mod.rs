//! One walk over a network's steps: what they may use, and what they leave behind.

mod bound;
mod moments;
mod watch;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use burn::tensor::{Device, Tensor};
use secateur_cpu::conv::Activation;

pub use bound::Bound;
pub use moments::{BatchMoments, NormNames};
pub(crate) use watch::Watched;

use crate::engine::Engine;
use crate::error::{NetError, Result};
use crate::lock::lock;
use crate::score::Collector;
use crate::value::Dense;

/// What a pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Batch norm uses the statistics of the batch.
    Training,
    /// Batch norm uses the running statistics, folded into the convolutions.
    Inference,
}

impl Phase {
    /// Where tensors of such a pass lie; in training, with a gradient tape.
    pub fn device(self, engine: &Engine) -> Device {
        match self {
            Self::Training => engine.training_device(),
            Self::Inference => engine.device().clone(),
        }
    }
}

/// Everything that operators may use during one pass.
pub struct Pass<'a> {
    /// Training or inference.
    pub phase: Phase,
    /// Which code computes.
    pub engine: &'a Engine,
    /// Where scores of kernels are gathered, if wanted.
    pub collector: Option<Arc<Collector>>,
    /// Where tensors lie; of a training pass, one with a tape.
    pub device: Device,
    bound: &'a Bound,
    pub(crate) left_norms: Option<&'a HashSet<String>>,
    moments: Mutex<Vec<BatchMoments>>,
    watched: Mutex<Vec<Watched>>,
}

impl<'a> Pass<'a> {
    /// A parameter as flat tensor.
    ///
    /// # Errors
    /// [`NetError::Graph`] naming node and parameter if it is missing.
    pub fn tensor(&self, node: &str, name: &str) -> Result<Tensor<1>> {
        self.bound
            .tensors
            .get(name)
            .cloned()
            .ok_or_else(|| missing(node, name))
    }

    /// The ONNX shape of a parameter.
    ///
    /// # Errors
    /// [`NetError::Graph`] naming node and parameter if it is missing.
    pub fn shape(&self, node: &str, name: &str) -> Result<&[usize]> {
        self.bound
            .shapes
            .get(name)
            .map(Vec::as_slice)
            .ok_or_else(|| missing(node, name))
    }

    /// Folded weights and bias of the convolution at `node`.
    ///
    /// # Errors
    /// [`NetError::Graph`] if the parameters were bound for training.
    pub fn folded(&self, node: &str) -> Result<(Tensor<1>, Tensor<1>)> {
        self.bound
            .folded
            .get(node)
            .cloned()
            .ok_or_else(|| missing(node, "folded weights"))
    }

    pub(crate) fn new(
        phase: Phase,
        engine: &'a Engine,
        collector: Option<Arc<Collector>>,
        bound: &'a Bound,
    ) -> Self {
        Self {
            phase,
            engine,
            collector,
            device: phase.device(engine),
            bound,
            left_norms: None,
            moments: Mutex::default(),
            watched: Mutex::default(),
        }
    }

    /// The parameter of that name in its ONNX shape, if it is one.
    pub(crate) fn parameter(&self, name: &str) -> Option<Dense> {
        let tensor = self.bound.tensors.get(name)?;
        let shape = self.bound.shapes.get(name)?;
        Some(Dense::from_tensor(tensor.clone()).reshape(shape))
    }

    pub(crate) fn take_moments(&self) -> Vec<BatchMoments> {
        std::mem::take(&mut lock(&self.moments))
    }

    pub(crate) fn take_watched(&self) -> Vec<Watched> {
        std::mem::take(&mut lock(&self.watched))
    }

    /// A layer's output by stock operations, `[n, .., channels]`, which is scored in training
    /// if scores are wanted; its gradient counts where `activation` passes it on.
    pub(crate) fn scored<const D: usize>(
        &self,
        node: &str,
        activation: Activation,
        output: Tensor<D>,
    ) -> Tensor<D> {
        if self.collector.is_none() || self.phase == Phase::Inference {
            return output;
        }
        let (watched, output) = Watched::new(node, activation, output);
        lock(&self.watched).push(watched);
        output
    }

    /// True if the step that gives `value` leaves its batch norm to the one that reads it.
    pub(crate) fn leaves_norm(&self, value: &str) -> bool {
        self.left_norms.is_some_and(|left| left.contains(value))
    }

    /// Notes the batch statistics of a batch norm.
    pub fn record_moments(&self, moments: BatchMoments) {
        lock(&self.moments).push(moments);
    }
}

pub(crate) fn missing(node: &str, name: &str) -> NetError {
    NetError::Graph {
        place: format!("node `{node}`"),
        reason: format!("`{name}` is not an initializer"),
    }
}
