//! A trainable network, interpreted from an ONNX graph.
//!
//! The graph is planned once (`plan`): each step is an operator with the nodes
//! that were fused into it. A pass walks the steps with Burn tensors, channels
//! last. Two engines compute the same: fused CPU routines, and stock Burn
//! operations, which are the reference and serve every other device.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use burn::tensor::{Device, Tensor};
use secateur_onnx::graph::Graph;

use crate::error::{NetError, Result};
use crate::extension::tensor_from_vec;
use crate::ops::NormNames;
use crate::plan;
use crate::program::Program;
use crate::score::Collector;
use crate::value::{Dense, Value};
use crate::weights::Weights;

/// Which code computes the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// Fused CPU routines behind Burn.
    #[default]
    Fused,
    /// Stock Burn operations.
    Stock,
}

/// What a pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Batch norm uses the statistics of the batch.
    Training,
    /// Batch norm uses the running statistics, folded into the convolutions.
    Inference,
}

/// Batch statistics of one batch norm in one training pass.
#[derive(Debug, Clone)]
pub struct BatchMoments {
    mean_name: String,
    variance_name: String,
    momentum: f32,
    mean: Vec<f32>,
    /// Unbiased, as the running variance of PyTorch and of ONNX (opset 15) is kept.
    variance: Vec<f32>,
}

impl BatchMoments {
    /// From the biased variance over `count` elements a channel.
    pub fn new(norm: &NormNames, mean: &[f32], biased_variance: &[f32], count: usize) -> Self {
        let unbias = if count > 1 {
            count as f32 / (count - 1) as f32
        } else {
            1.0
        };
        Self {
            mean_name: norm.mean.clone(),
            variance_name: norm.variance.clone(),
            momentum: norm.momentum,
            mean: mean.to_vec(),
            variance: biased_variance.iter().map(|v| v * unbias).collect(),
        }
    }

    /// Moves the running statistics: running · momentum + batch · (1 - momentum).
    pub fn apply(&self, weights: &mut Weights) {
        for (name, batch) in [
            (&self.mean_name, &self.mean),
            (&self.variance_name, &self.variance),
        ] {
            if let Some(weight) = weights.get_mut(name) {
                for (running, new) in weight.data.iter_mut().zip(batch) {
                    *running = *running * self.momentum + new * (1.0 - self.momentum);
                }
            }
        }
    }
}

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
}

/// Everything that operators may use during one pass.
pub struct Pass<'a> {
    /// Training or inference.
    pub mode: Mode,
    /// Which code computes.
    pub engine: Engine,
    /// Where scores of kernels are gathered, if wanted.
    pub collector: Option<Arc<Collector>>,
    /// Where tensors lie; of a training pass, one with a tape.
    pub device: Device,
    bound: &'a Bound,
    pub(crate) left_norms: Option<&'a HashSet<String>>,
    moments: Mutex<Vec<BatchMoments>>,
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
        mode: Mode,
        engine: Engine,
        collector: Option<Arc<Collector>>,
        device: Device,
        bound: &'a Bound,
    ) -> Self {
        Self {
            mode,
            engine,
            collector,
            device,
            bound,
            left_norms: None,
            moments: Mutex::new(Vec::new()),
        }
    }

    /// The parameter of that name in its ONNX shape, if it is one.
    pub(crate) fn parameter(&self, name: &str) -> Option<Dense> {
        let tensor = self.bound.tensors.get(name)?;
        let shape = self.bound.shapes.get(name)?;
        Some(Dense::from_tensor(tensor.clone()).reshape(shape))
    }

    pub(crate) fn into_moments(self) -> Vec<BatchMoments> {
        self.moments
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// True if the step that gives `value` leaves its batch norm to the one that reads it.
    pub(crate) fn leaves_norm(&self, value: &str) -> bool {
        self.left_norms.is_some_and(|left| left.contains(value))
    }

    /// Notes the batch statistics of a batch norm.
    pub fn record_moments(&self, moments: BatchMoments) {
        self.moments
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(moments);
    }
}

pub(crate) fn missing(node: &str, name: &str) -> NetError {
    NetError::Graph {
        place: format!("node `{node}`"),
        reason: format!("`{name}` is not an initializer"),
    }
}

/// A network ready to train and to evaluate. Holds no parameters: those are
/// [`Weights`], so that one network serves many sets of them.
#[derive(Debug)]
pub struct Network {
    program: Program,
    input: String,
    channels_last: bool,
    output: String,
    input_shape: [usize; 3],
    n_classes: usize,
}

/// What a training pass returns.
pub struct TrainingPass {
    /// Scores before softmax, `[n, classes]`.
    pub logits: Tensor<2>,
    /// Batch statistics, to apply after the step.
    pub moments: Vec<BatchMoments>,
}

impl Network {
    /// Plans `graph` for training.
    ///
    /// # Errors
    /// [`NetError::Unsupported`] names the first node without a training rule;
    /// [`NetError::Task`] for inputs or outputs that are not one image and one
    /// row of class scores.
    pub fn new(graph: &Graph, engine: Engine) -> Result<Self> {
        let task = plan::task(graph)?;
        Ok(Self {
            program: Program::new(graph, &[&task.output], engine)?,
            input: task.input,
            channels_last: task.channels_last,
            output: task.output,
            input_shape: task.input_shape,
            n_classes: task.n_classes,
        })
    }

    /// Which code computes it.
    pub fn engine(&self) -> Engine {
        self.program.engine()
    }

    /// Input as `[c, h, w]`.
    pub fn input_shape(&self) -> [usize; 3] {
        self.input_shape
    }

    /// Number of class scores.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// The plan, a line a step.
    pub fn describe(&self) -> Vec<String> {
        self.program.describe()
    }

    /// True if it has a normalisation; files whose exporter folded batch norms into the
    /// convolutions have none.
    pub fn is_normalised(&self) -> bool {
        self.program.is_normalised()
    }

    /// Parameters as leaves of a gradient tape.
    pub fn bind_training(&self, weights: &Weights) -> Bound {
        self.program.bind_training(weights)
    }

    /// Parameters for inference, batch norm folded.
    ///
    /// # Errors
    /// [`NetError::Graph`] for a missing parameter.
    pub fn bind_inference(&self, weights: &Weights) -> Result<Bound> {
        self.program.bind_inference(weights)
    }

    /// Training pass over `images` (`n` of them, `[n, h, w, c]`).
    ///
    /// # Errors
    /// As [`crate::ops::Operator::forward`].
    pub fn forward_training(
        &self,
        bound: &Bound,
        images: Vec<f32>,
        n: usize,
        collector: Option<Arc<Collector>>,
    ) -> Result<TrainingPass> {
        let pass = self.program.pass(Mode::Training, bound, collector);
        let logits = self.run(&pass, images, n)?;
        let moments = pass.into_moments();
        Ok(TrainingPass { logits, moments })
    }

    /// Class scores of `images` (`n` of them, `[n, h, w, c]`), `[n, classes]` flat.
    ///
    /// # Errors
    /// As [`crate::ops::Operator::forward`].
    pub fn forward_inference(&self, bound: &Bound, images: Vec<f32>, n: usize) -> Result<Vec<f32>> {
        let pass = self.program.pass(Mode::Inference, bound, None);
        let logits = self.run(&pass, images, n)?;
        Ok(logits.into_data().iter::<f32>().collect())
    }

    fn run(&self, pass: &Pass<'_>, images: Vec<f32>, n: usize) -> Result<Tensor<2>> {
        let [c, h, w] = self.input_shape;
        if images.len() != n * c * h * w {
            return Err(NetError::Shape {
                node: self.input.clone(),
                expected: format!("{n} images of {h}x{w}x{c}"),
                got: format!("{} values", images.len()),
            });
        }
        let images = tensor_from_vec(images, [n, h, w, c], &pass.device);
        let input = if self.channels_last {
            Value::Dense(Dense::from_tensor(images))
        } else {
            Value::Image(images)
        };
        let outputs = self
            .program
            .run(pass, &[(self.input.as_str(), input)], &[&self.output])?;
        let Some(scores) = outputs.into_iter().next() else {
            return Err(missing(&self.output, "output"));
        };
        let dims = scores.onnx_dims();
        let scores = scores.dense(&pass.device);
        if dims.first() != Some(&n) || scores.len() != n * self.n_classes() {
            return Err(NetError::Shape {
                node: self.output.clone(),
                expected: format!("class scores [{n}, {}]", self.n_classes),
                got: format!("{dims:?}"),
            });
        }
        Ok(scores.reshape(&[n, self.n_classes]).tensor())
    }
}
