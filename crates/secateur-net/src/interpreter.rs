//! A trainable network, interpreted from an ONNX graph.
//!
//! The graph is planned once (`plan`): each step is an operator with the nodes
//! that were fused into it. A pass walks the steps with Burn tensors, channels
//! last. Two engines compute the same: fused CPU routines, and stock Burn
//! operations, which are the reference and serve every other device.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use burn::tensor::{Device, Tensor};
use secateur_onnx::graph::Graph;

use crate::error::{NetError, Result};
use crate::extension::tensor_from_vec;
use crate::ops::{NormNames, Operator};
use crate::plan;
use crate::score::Collector;
use crate::value::Value;
use crate::weights::{WeightRole, Weights};

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
    tensors: HashMap<String, Tensor<1>>,
    shapes: HashMap<String, Vec<usize>>,
    folded: HashMap<String, (Tensor<1>, Tensor<1>)>,
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
    bound: &'a Bound,
    moments: Mutex<Vec<BatchMoments>>,
}

impl Pass<'_> {
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

    /// Notes the batch statistics of a batch norm.
    pub fn record_moments(&self, moments: BatchMoments) {
        self.moments
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(moments);
    }
}

fn missing(node: &str, name: &str) -> NetError {
    NetError::Graph {
        place: format!("node `{node}`"),
        reason: format!("`{name}` is not an initializer"),
    }
}

/// A network ready to train and to evaluate. Holds no parameters: those are
/// [`Weights`], so that one network serves many sets of them.
#[derive(Debug)]
pub struct Network {
    steps: Vec<Box<dyn Operator>>,
    input: String,
    output: String,
    input_shape: [usize; 3],
    n_classes: usize,
    engine: Engine,
    device: Device,
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
    /// [`NetError::Graph`] for inputs or outputs that are not one image and one
    /// row of class scores.
    pub fn new(graph: &Graph, engine: Engine) -> Result<Self> {
        let plan = plan::plan(graph)?;
        Ok(Self {
            steps: plan.steps,
            input: plan.input,
            output: plan.output,
            input_shape: plan.input_shape,
            n_classes: plan.n_classes,
            engine,
            device: Device::flex(),
        })
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
        self.steps.iter().map(|step| step.describe()).collect()
    }

    /// Parameters as leaves of a gradient tape.
    pub fn bind_training(&self, weights: &Weights) -> Bound {
        let device = self.device.clone().autodiff();
        self.bind(
            weights,
            |weight_role, tensor| match weight_role {
                WeightRole::Running => tensor,
                WeightRole::Weight | WeightRole::Vector => tensor.require_grad(),
            },
            &device,
        )
    }

    /// Parameters for inference, batch norm folded.
    ///
    /// # Errors
    /// [`NetError::Graph`] for a missing parameter.
    pub fn bind_inference(&self, weights: &Weights) -> Result<Bound> {
        let mut bound = self.bind(weights, |_, tensor| tensor, &self.device);
        for step in &self.steps {
            if let Some(folded) = step.fold(weights)? {
                let (nw, nb) = (folded.weight.len(), folded.bias.len());
                let pair = (
                    tensor_from_vec(folded.weight, [nw], &self.device),
                    tensor_from_vec(folded.bias, [nb], &self.device),
                );
                bound.folded.insert(step.node().to_string(), pair);
            }
        }
        Ok(bound)
    }

    fn bind(
        &self,
        weights: &Weights,
        prepare: impl Fn(WeightRole, Tensor<1>) -> Tensor<1>,
        device: &Device,
    ) -> Bound {
        let mut tensors = HashMap::new();
        let mut shapes = HashMap::new();
        for (name, weight) in weights.iter() {
            let tensor = tensor_from_vec(weight.data.clone(), [weight.data.len()], device);
            tensors.insert(name.clone(), prepare(weight.role, tensor));
            shapes.insert(name.clone(), weight.shape.clone());
        }
        Bound {
            tensors,
            shapes,
            folded: HashMap::new(),
        }
    }

    /// Training pass over `images` (`n` of them, `[n, h, w, c]`).
    ///
    /// # Errors
    /// As [`Operator::forward`].
    pub fn forward_training(
        &self,
        bound: &Bound,
        images: Vec<f32>,
        n: usize,
        collector: Option<Arc<Collector>>,
    ) -> Result<TrainingPass> {
        let device = self.device.clone().autodiff();
        let pass = Pass {
            mode: Mode::Training,
            engine: self.engine,
            collector,
            bound,
            moments: Mutex::new(Vec::new()),
        };
        let logits = self.run(&pass, images, n, &device)?;
        let moments = pass
            .moments
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(TrainingPass { logits, moments })
    }

    /// Class scores of `images` (`n` of them, `[n, h, w, c]`), `[n, classes]` flat.
    ///
    /// # Errors
    /// As [`Operator::forward`].
    pub fn forward_inference(&self, bound: &Bound, images: Vec<f32>, n: usize) -> Result<Vec<f32>> {
        let pass = Pass {
            mode: Mode::Inference,
            engine: self.engine,
            collector: None,
            bound,
            moments: Mutex::new(Vec::new()),
        };
        let logits = self.run(&pass, images, n, &self.device)?;
        Ok(logits.into_data().iter::<f32>().collect())
    }

    fn run(
        &self,
        pass: &Pass<'_>,
        images: Vec<f32>,
        n: usize,
        device: &Device,
    ) -> Result<Tensor<2>> {
        let [c, h, w] = self.input_shape;
        if images.len() != n * c * h * w {
            return Err(NetError::Shape {
                node: self.input.clone(),
                expected: format!("{n} images of {h}x{w}x{c}"),
                got: format!("{} values", images.len()),
            });
        }
        let mut values: HashMap<&str, Value> = HashMap::new();
        let image = tensor_from_vec(images, [n, h, w, c], device);
        values.insert(&self.input, Value::Image(image));
        // A value is dropped after its last reader, so that its memory serves the next step.
        let mut readers: HashMap<&str, usize> = HashMap::new();
        for step in &self.steps {
            for name in step.inputs() {
                *readers.entry(name).or_default() += 1;
            }
        }
        *readers.entry(&self.output).or_default() += 1;
        for step in &self.steps {
            let names = step.inputs();
            let inputs = names
                .iter()
                .map(|name| {
                    values.get(name).cloned().ok_or_else(|| NetError::Graph {
                        place: format!("node `{}`", step.node()),
                        reason: format!("its input `{name}` has not been computed"),
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            let output = step.forward(pass, &inputs)?;
            for name in names {
                if let Some(count) = readers.get_mut(name) {
                    *count -= 1;
                    if *count == 0 {
                        values.remove(name);
                    }
                }
            }
            values.insert(step.output(), output);
        }
        match values.remove(self.output.as_str()) {
            Some(Value::Features(logits)) => Ok(logits),
            Some(Value::Image(x)) => {
                let [n, h, w, c] = x.dims();
                Ok(x.reshape([n, h * w * c]))
            }
            None => Err(missing(&self.output, "output")),
        }
    }
}
