//! Convolution with what follows it: batch norm, ReLU, 2x2 max pooling.
//!
//! y = pool(relu(gamma · (conv(x, w) + b - mean) / sqrt(var + eps) + beta))
//!
//! Fusing matters because on a CPU the passes over memory for batch norm, ReLU
//! and pooling cost more than the arithmetic of narrow convolutions.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Conv.html> (opset 1, 11, 22).

use std::sync::{Arc, Mutex};

use burn::tensor::{Tensor, module, ops::ConvOptions};
use secateur_cpu::block::{self, ActivationStats, BlockSpec, Saved};
use secateur_cpu::conv::{self, Activation, ConvShape};
use secateur_cpu::memory::Buffer;
use secateur_onnx::graph::{Graph, Node};

use super::{
    Folded, Operator, input_name, norm, pool, to_channels_first, to_channels_last, unsupported,
};
use crate::error::{NetError, Result};
use crate::extension::{FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::interpreter::{BatchMoments, Engine, Mode, Pass};
use crate::score::Collector;
use crate::value::Value;
use crate::weights::Weights;

/// Names of a batch norm's parameters and its constants.
#[derive(Debug, Clone)]
pub struct NormNames {
    /// Node name.
    pub node: String,
    /// Scale, `[c]`.
    pub gamma: String,
    /// Shift, `[c]`.
    pub beta: String,
    /// Running mean, `[c]`.
    pub mean: String,
    /// Running variance, `[c]`.
    pub variance: String,
    /// Added to the variance.
    pub epsilon: f32,
    /// Share of the running statistics that is kept at each step (ONNX: 0.9).
    pub momentum: f32,
}

/// A convolution with the nodes that were fused into it.
#[derive(Debug, Clone)]
pub struct ConvBlock {
    node: String,
    input: String,
    output: String,
    weight: String,
    bias: Option<String>,
    kernel_size: [usize; 2],
    stride: [usize; 2],
    pads: [usize; 4],
    dilation: [usize; 2],
    groups: usize,
    norm: Option<NormNames>,
    relu: bool,
    pool: bool,
    fused_nodes: Vec<String>,
}

impl ConvBlock {
    /// Reads a `Conv` node.
    ///
    /// # Errors
    /// [`NetError::Unsupported`] for convolutions that are not 2-D.
    pub fn new(graph: &Graph, node: &Node) -> Result<Self> {
        let weight = input_name(node, 1)?.to_string();
        let shape = graph
            .initializers
            .get(&weight)
            .map(|t| t.shape.clone())
            .ok_or_else(|| unsupported(graph, node, "has weights that are computed, not stored"))?;
        let &[_, _, kh, kw] = shape.as_slice() else {
            return Err(unsupported(
                graph,
                node,
                format!(
                    "has weights of rank {}; training takes 2-D convolutions",
                    shape.len()
                ),
            ));
        };
        let kernel_size = [kh, kw];
        let stride = pool::pair(node, "strides", 1)?;
        let dilation = pool::pair(node, "dilations", 1)?;
        Ok(Self {
            node: node.name.clone(),
            input: input_name(node, 0)?.to_string(),
            output: node.outputs[0].clone(),
            weight,
            bias: node.inputs.get(2).cloned().flatten(),
            kernel_size,
            stride,
            pads: pool::pads(graph, node, kernel_size, dilation)?,
            dilation,
            groups: usize::try_from(node.attr_i("group", 1)).unwrap_or(1).max(1),
            norm: None,
            relu: false,
            pool: false,
            fused_nodes: Vec::new(),
        })
    }

    /// Takes in the batch norm that follows.
    pub fn fuse_norm(&mut self, norm: NormNames, output: &str) {
        self.fused_nodes.push(norm.node.clone());
        self.norm = Some(norm);
        self.output = output.to_string();
    }

    /// Takes in the ReLU that follows.
    pub fn fuse_relu(&mut self, node: &Node) {
        self.fused_nodes.push(node.name.clone());
        self.relu = true;
        self.output.clone_from(&node.outputs[0]);
    }

    /// Takes in the 2x2 max pooling with stride 2 that follows.
    pub fn fuse_pool(&mut self, node: &Node) {
        self.fused_nodes.push(node.name.clone());
        self.pool = true;
        self.output.clone_from(&node.outputs[0]);
    }

    /// True if a batch norm was fused in.
    pub fn has_norm(&self) -> bool {
        self.norm.is_some()
    }

    /// True if a ReLU was fused in.
    pub fn has_relu(&self) -> bool {
        self.relu
    }

    fn activation(&self) -> Activation {
        if self.relu {
            Activation::Relu
        } else {
            Activation::None
        }
    }

    fn conv_shape(&self, input: [usize; 4], weight: &[usize]) -> Result<ConvShape> {
        let [n, h, w, c_in] = input;
        ConvShape::new(
            [n, h, w],
            [c_in, weight[0]],
            self.kernel_size,
            self.stride,
            self.pads,
            self.dilation,
            self.groups,
        )
        .map_err(|error| NetError::Shape {
            node: self.node.clone(),
            expected: format!("an input that fits weights {weight:?}"),
            got: error.to_string(),
        })
    }

    fn spec(&self, conv: ConvShape) -> BlockSpec {
        let eps = self.norm.as_ref().map_or(0.0, |norm| norm.epsilon);
        BlockSpec {
            conv,
            eps,
            activation: self.activation(),
            pool: self.pool,
        }
    }

    fn forward_fused(&self, pass: &Pass<'_>, x: Tensor<4>) -> Result<Tensor<4>> {
        let weight_shape = pass.shape(&self.node, &self.weight)?;
        let spec = self.spec(self.conv_shape(x.dims(), weight_shape)?);
        if pass.mode == Mode::Inference {
            let (weight, bias) = pass.folded(&self.node)?;
            let call = Arc::new(InferenceCall { spec });
            return Ok(FusedInputs::new(x)
                .with(1, Some(weight))
                .with(2, Some(bias))
                .run(call));
        }
        let weight = pass.tensor(&self.node, &self.weight)?;
        let bias = self
            .bias
            .as_ref()
            .map(|name| pass.tensor(&self.node, name))
            .transpose()?;
        let Some(norm) = &self.norm else {
            let call = Arc::new(ConvCall {
                spec: BlockSpec {
                    pool: false,
                    ..spec
                },
                has_bias: bias.is_some(),
                output: Mutex::new(None),
                collector: pass.collector.clone(),
                node: self.node.clone(),
            });
            return Ok(FusedInputs::new(x)
                .with(1, Some(weight))
                .with(2, bias)
                .run(call));
        };
        let call = Arc::new(BlockCall {
            spec,
            has_bias: bias.is_some(),
            saved: Mutex::new(None),
            collector: pass.collector.clone(),
            node: self.node.clone(),
        });
        let y = FusedInputs::new(x)
            .with(1, Some(weight))
            .with(2, bias)
            .with(3, Some(pass.tensor(&self.node, &norm.gamma)?))
            .with(4, Some(pass.tensor(&self.node, &norm.beta)?))
            .run(call.clone());
        let saved = lock(&call.saved);
        if let Some(saved) = saved.as_ref() {
            let count = spec.conv.n * spec.conv.out_h() * spec.conv.out_w();
            pass.record_moments(BatchMoments::new(norm, &saved.mean, &saved.var, count));
        }
        drop(saved);
        Ok(y)
    }

    fn forward_stock(&self, pass: &Pass<'_>, x: Tensor<4>) -> Result<Tensor<4>> {
        let shape = pass.shape(&self.node, &self.weight)?;
        let dims = [shape[0], shape[1], shape[2], shape[3]];
        let (weight, bias) = if pass.mode == Mode::Inference {
            let (weight, bias) = pass.folded(&self.node)?;
            (weight, Some(bias))
        } else {
            let bias = self
                .bias
                .as_ref()
                .map(|name| pass.tensor(&self.node, name))
                .transpose()?;
            (pass.tensor(&self.node, &self.weight)?, bias)
        };
        let [top, left, bottom, right] = self.pads;
        let x = to_channels_first(x).pad((left, right, top, bottom), 0.0);
        let options = ConvOptions::new(self.stride, [0, 0], self.dilation, self.groups);
        let mut y = module::conv2d(x, weight.reshape(dims), bias, options);
        if let (Mode::Training, Some(norm)) = (pass.mode, &self.norm) {
            y = norm::normalise_batch(pass, &self.node, norm, y)?;
        }
        if self.relu {
            y = burn::tensor::activation::relu(y);
        }
        if self.pool {
            y = pool::max_pool_2x2(y);
        }
        Ok(to_channels_last(y))
    }
}

impl Operator for ConvBlock {
    fn node(&self) -> &str {
        &self.node
    }

    fn inputs(&self) -> Vec<&str> {
        vec![&self.input]
    }

    fn output(&self) -> &str {
        &self.output
    }

    fn describe(&self) -> String {
        let [kh, kw] = self.kernel_size;
        let mut parts = vec![format!("Conv {kh}x{kw}")];
        if self.norm.is_some() {
            parts.push("BatchNorm".to_string());
        }
        if self.relu {
            parts.push("ReLU".to_string());
        }
        if self.pool {
            parts.push("MaxPool 2x2".to_string());
        }
        format!("fused [{}] from `{}`", parts.join(" + "), {
            let mut nodes = vec![self.node.clone()];
            nodes.extend(self.fused_nodes.iter().cloned());
            nodes.join("`, `")
        })
    }

    fn forward(&self, pass: &Pass<'_>, inputs: &[Value]) -> Result<Value> {
        let x = inputs[0].image(&self.node)?;
        let y = match pass.engine {
            Engine::Fused => self.forward_fused(pass, x)?,
            Engine::Stock => self.forward_stock(pass, x)?,
        };
        Ok(Value::Image(y))
    }

    /// w' = w · s, b' = (b - mean) · s + beta with s = gamma / sqrt(var + eps).
    fn fold(&self, weights: &Weights) -> Result<Option<Folded>> {
        let weight = weights.require(&self.node, &self.weight)?;
        let c_out = weight.shape[0];
        let mut bias = match &self.bias {
            Some(name) => weights.require(&self.node, name)?.data.clone(),
            None => vec![0.0; c_out],
        };
        let mut data = weight.data.clone();
        if let Some(norm) = &self.norm {
            let get = |name: &str| weights.require(&norm.node, name).map(|w| &w.data);
            let (gamma, beta) = (get(&norm.gamma)?, get(&norm.beta)?);
            let (mean, variance) = (get(&norm.mean)?, get(&norm.variance)?);
            let per_kernel = data.len() / c_out.max(1);
            for k in 0..c_out {
                let scale = gamma[k] / (variance[k] + norm.epsilon).sqrt();
                for value in &mut data[k * per_kernel..(k + 1) * per_kernel] {
                    *value *= scale;
                }
                bias[k] = (bias[k] - mean[k]) * scale + beta[k];
            }
        }
        Ok(Some(Folded { weight: data, bias }))
    }
}

/// A lock whose holder cannot have panicked half-way through a change that matters.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn block_output_shape(spec: &BlockSpec) -> Vec<usize> {
    let (mut h, mut w) = (spec.conv.out_h(), spec.conv.out_w());
    if spec.pool {
        (h, w) = (h / 2, w / 2);
    }
    vec![spec.conv.n, h, w, spec.conv.c_out]
}

/// Inference with folded batch norm; has no gradient.
#[derive(Debug)]
struct InferenceCall {
    spec: BlockSpec,
}

impl FusedOp for InferenceCall {
    fn output_shape(&self) -> Vec<usize> {
        block_output_shape(&self.spec)
    }

    fn forward(&self, [x, weight, bias, ..]: [&[f32]; MAX_INPUTS]) -> Buffer {
        let mut y = Buffer::get(self.output_shape().iter().product());
        block::forward_folded(&self.spec, x, weight, bias, &mut y);
        y
    }

    fn backward(
        &self,
        _: [&[f32]; MAX_INPUTS],
        _: &[f32],
        _: [bool; MAX_INPUTS],
    ) -> InputGradients {
        unreachable!("inference runs without a tape")
    }
}

/// Convolution without batch norm, with bias and activation.
#[derive(Debug)]
struct ConvCall {
    spec: BlockSpec,
    has_bias: bool,
    /// The activated output, kept for the ReLU's gradient.
    output: Mutex<Option<Vec<f32>>>,
    collector: Option<Arc<Collector>>,
    node: String,
}

impl FusedOp for ConvCall {
    fn output_shape(&self) -> Vec<usize> {
        block_output_shape(&self.spec)
    }

    fn forward(&self, [x, weight, bias, ..]: [&[f32]; MAX_INPUTS]) -> Buffer {
        let mut y = Buffer::get(self.output_shape().iter().product());
        let bias = self.has_bias.then_some(bias);
        conv::forward(
            &self.spec.conv,
            x,
            weight,
            bias,
            self.spec.activation,
            &mut y,
        );
        if self.spec.activation == Activation::Relu || self.collector.is_some() {
            *lock(&self.output) = Some(y.to_vec());
        }
        y
    }

    fn backward(
        &self,
        [x, weight, bias, ..]: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let shape = &self.spec.conv;
        let output = lock(&self.output).take();
        if let (Some(collector), Some(y)) = (&self.collector, &output) {
            collector.add_from_output(&self.node, shape.n, shape.c_out, y, dy);
        }
        let mut masked = Buffer::get(dy.len());
        let dy: &[f32] = match &output {
            Some(y) if self.spec.activation == Activation::Relu => {
                for ((to, &d), &y) in masked.iter_mut().zip(dy).zip(y) {
                    *to = if y > 0.0 { d } else { 0.0 };
                }
                &masked
            }
            _ => dy,
        };
        let mut gradients = InputGradients::default();
        if wanted[0] {
            let mut dx = Buffer::get(x.len());
            conv::input_gradient(shape, dy, weight, &mut dx);
            gradients[0] = Some(dx);
        }
        if wanted[1] {
            let mut dw = Buffer::get(weight.len());
            conv::weight_gradient(shape, x, dy, &mut dw);
            gradients[1] = Some(dw);
        }
        if wanted[2] && self.has_bias {
            let mut db = Buffer::get(bias.len());
            conv::bias_gradient(shape, dy, &mut db);
            gradients[2] = Some(db);
        }
        gradients
    }
}

/// The whole block in training mode.
#[derive(Debug)]
struct BlockCall {
    spec: BlockSpec,
    has_bias: bool,
    saved: Mutex<Option<Saved>>,
    collector: Option<Arc<Collector>>,
    node: String,
}

impl FusedOp for BlockCall {
    fn output_shape(&self) -> Vec<usize> {
        block_output_shape(&self.spec)
    }

    fn forward(&self, [x, weight, bias, gamma, beta, _]: [&[f32]; MAX_INPUTS]) -> Buffer {
        let bias = self.has_bias.then_some(bias);
        let mut stats = self.collector.as_ref().map(|_| ActivationStats::default());
        let (y, saved) =
            block::forward_train(&self.spec, x, weight, bias, gamma, beta, stats.as_mut());
        if let (Some(collector), Some(stats)) = (&self.collector, stats) {
            collector.add_activation(&self.node, &stats.mean, &stats.positive);
        }
        *lock(&self.saved) = Some(saved);
        y
    }

    fn backward(
        &self,
        [x, weight, _, gamma, beta, _]: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let mut gradients = InputGradients::default();
        let Some(saved) = lock(&self.saved).take() else {
            return gradients;
        };
        let mut taylor = self.collector.as_ref().map(|_| vec![0.0f64; gamma.len()]);
        let result = block::backward(
            &self.spec,
            x,
            weight,
            gamma,
            beta,
            &saved,
            dy,
            wanted[0],
            taylor.as_deref_mut(),
        );
        if let (Some(collector), Some(taylor)) = (&self.collector, taylor) {
            collector.add_taylor(&self.node, &taylor);
        }
        gradients[0] = result.dx;
        gradients[1] = Some(Buffer::from(result.dw.as_slice()));
        if wanted[2] && self.has_bias {
            gradients[2] = result.dbias.map(|db| Buffer::from(db.as_slice()));
        }
        gradients[3] = Some(Buffer::from(result.dgamma.as_slice()));
        gradients[4] = Some(Buffer::from(result.dbeta.as_slice()));
        gradients
    }
}
