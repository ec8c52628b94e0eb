//! Convolution with what follows it: batch norm, residual sum, activation, 2x2 max pooling.
//!
//! y = pool(activation(gamma · (conv(x, w) + b - mean) / sqrt(var + eps) + beta + residual))
//!
//! Fusing matters because on a CPU the passes over memory for batch norm, residual,
//! activation and pooling cost more than the arithmetic of narrow convolutions.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Conv.html> (opset 1, 11, 22).

mod calls;
mod chain;
mod pending;

use std::sync::Arc;

use burn::tensor::{Tensor, activation, module, ops::ConvOptions};
use secateur_cpu::block::BlockSpec;
use secateur_cpu::conv::{self, Activation, ConvShape};
use secateur_onnx::graph::Node;

use self::calls::{BlockCall, ConvCall, InferenceCall};
use super::call::Planner;
use super::operator::{Folded, Operator, input_name, to_channels_first, to_channels_last};
use super::window::Window;
use super::{norm, pool};
use crate::error::{NetError, Result};
use crate::extension::FusedInputs;
use crate::pass::{BatchMoments, NormNames, Pass, Phase};
use crate::value::{PendingImage, PendingNorm, Value};
use crate::weights::Weights;

/// A convolution with the nodes that were fused into it.
#[derive(Debug, Clone)]
pub struct ConvBlock {
    node: String,
    input: String,
    output: String,
    weight: String,
    /// `[c_out, c_in / groups, kh, kw]` in the file.
    weight_shape: [usize; 4],
    /// `[c, h, w]` of the input, if the file fixes it; for descriptions.
    input_shape: Option<[usize; 3]>,
    bias: Option<String>,
    window: Window,
    groups: usize,
    norm: Option<NormNames>,
    residual: Option<String>,
    activation: Activation,
    pool: bool,
    fused_nodes: Vec<String>,
}

impl ConvBlock {
    /// Reads a `Conv` node; `None` for one that is not 2-D with stored parameters.
    ///
    /// # Errors
    /// [`NetError::Unsupported`] for a window that training does not take.
    pub fn new(planner: &Planner<'_>, node: &Node) -> Result<Option<Self>> {
        let weight = input_name(node, 1)?.to_string();
        let stored = &planner.graph.initializers;
        let Some(&[c_out, c_group, kh, kw]) = stored.get(&weight).map(|t| t.shape.as_slice())
        else {
            return Ok(None);
        };
        let bias = node.input(2).map(str::to_string);
        if bias.as_ref().is_some_and(|bias| !stored.contains_key(bias)) {
            return Ok(None);
        }
        Ok(Some(Self {
            node: node.name.clone(),
            input: input_name(node, 0)?.to_string(),
            output: node.outputs[0].clone(),
            weight,
            weight_shape: [c_out, c_group, kh, kw],
            input_shape: None,
            bias,
            window: Window::new(planner, node, &[kh, kw])?,
            groups: usize::try_from(node.attr_i("group", 1)).unwrap_or(1).max(1),
            norm: None,
            residual: None,
            activation: Activation::None,
            pool: false,
            fused_nodes: Vec::new(),
        }))
    }

    /// Takes in the batch norm that follows.
    pub fn fuse_norm(&mut self, norm: NormNames, output: &str) {
        self.fused_nodes.push(norm.node.clone());
        self.norm = Some(norm);
        self.output = output.to_string();
    }

    /// Takes in the sum with `other`, a value of the same shape, that follows.
    pub fn fuse_residual(&mut self, node: &Node, other: &str) {
        self.fused_nodes.push(node.name.clone());
        self.residual = Some(other.to_string());
        self.output.clone_from(&node.outputs[0]);
    }

    /// Takes in the activation that follows.
    pub fn fuse_activation(&mut self, node: &Node, activation: Activation) {
        self.fused_nodes.push(node.name.clone());
        self.activation = activation;
        self.output.clone_from(&node.outputs[0]);
    }

    /// Takes in the 2x2 max pooling with stride 2 that follows.
    pub fn fuse_pool(&mut self, node: &Node) {
        self.fused_nodes.push(node.name.clone());
        self.pool = true;
        self.output.clone_from(&node.outputs[0]);
    }

    /// Sets what the input's shape will be, `[c, h, w]`.
    pub fn set_input_shape(&mut self, shape: [usize; 3]) {
        self.input_shape = Some(shape);
    }

    /// True if a 2x2 max pooling may still be taken in. Without batch norm the backward pass
    /// does not know the winners of the pooling; a residual comes after them.
    pub fn accepts_pool(&self) -> bool {
        self.norm.is_some() && self.residual.is_none() && self.activation != Activation::None
    }

    fn conv_shape(&self, input: [usize; 4], weight: &[usize]) -> Result<ConvShape> {
        let [n, h, w, c_in] = input;
        ConvShape::new(
            [n, h, w],
            [c_in, weight[0]],
            self.window.kernel_size,
            self.window.stride,
            self.window.pads([h, w]),
            self.window.dilation,
            self.groups,
        )
        .map_err(|source| NetError::Window {
            node: self.node.clone(),
            expected: format!("an input that fits weights {weight:?}"),
            source,
        })
    }

    fn spec(&self, conv: ConvShape) -> BlockSpec {
        let eps = self.norm.as_ref().map_or(0.0, |norm| norm.epsilon);
        BlockSpec {
            conv,
            eps,
            activation: self.activation,
            pool: self.pool,
        }
    }

    /// How a batch of the planned shape is computed: method and sizes.
    fn describe_path(&self) -> Option<String> {
        let spec = self.planned_spec()?;
        let ConvShape { h, w, c_in: c, .. } = spec.conv;
        let method = conv::method(&spec.conv);
        let [_, oh, ow, co] = spec.output_shape();
        Some(format!(" {method}, {h}x{w}x{c} -> {oh}x{ow}x{co},"))
    }

    /// The second term of the sum, whose shape must be that of the output.
    fn checked_residual(
        &self,
        pass: &Pass<'_>,
        residual: &Value,
        output: [usize; 4],
    ) -> Result<Tensor<4>> {
        let residual = residual.image(&self.node, &pass.device)?;
        if residual.dims() != output {
            return Err(NetError::Shape {
                node: self.node.clone(),
                expected: format!("a second term of the sum of shape {output:?}"),
                got: format!("{:?}", residual.dims()),
            });
        }
        Ok(residual)
    }

    fn forward_fused(
        &self,
        pass: &Pass<'_>,
        x: Tensor<4>,
        pending: Option<Arc<PendingNorm>>,
        residual: Option<Tensor<4>>,
    ) -> Result<Value> {
        let weight_shape = pass.shape(&self.node, &self.weight)?;
        let spec = self.spec(self.conv_shape(x.dims(), weight_shape)?);
        let has_residual = residual.is_some();
        let inputs = FusedInputs::new(x).with(5, residual);
        if pass.phase == Phase::Inference {
            let (weight, bias) = pass.folded(&self.node)?;
            let call = InferenceCall {
                specs: vec![spec],
                has_residual,
            };
            let inputs = inputs.with(1, Some(weight)).with(2, Some(bias));
            return Ok(Value::Image(inputs.run(Arc::new(call))));
        }
        let weight = pass.tensor(&self.node, &self.weight)?;
        let bias = self
            .bias
            .as_ref()
            .map(|name| pass.tensor(&self.node, name))
            .transpose()?;
        let has_bias = bias.is_some();
        let inputs = inputs.with(1, Some(weight)).with(2, bias);
        let (node, collector) = (self.node.clone(), pass.collector.clone());
        let Some(norm) = &self.norm else {
            let call = ConvCall::new(spec, has_bias, has_residual, node, collector);
            return Ok(Value::Image(inputs.run(Arc::new(call))));
        };
        let mut call =
            BlockCall::new(spec, has_bias, has_residual, node, collector).with_input(pending);
        if pass.leaves_norm(&self.output) {
            call = call.leaving_norm();
        }
        let call = Arc::new(call);
        let y = inputs
            .with(3, Some(pass.tensor(&self.node, &norm.gamma)?))
            .with(4, Some(pass.tensor(&self.node, &norm.beta)?))
            .run(call.clone());
        call.with_statistics(|mean, variance| {
            let count = spec.conv.n * spec.conv.out_h() * spec.conv.out_w();
            pass.record_moments(BatchMoments::new(norm, mean, variance, count));
        });
        Ok(match call.left() {
            Some(norm) => Value::Pending(PendingImage { values: y, norm }),
            None => Value::Image(y),
        })
    }

    fn forward_stock(
        &self,
        pass: &Pass<'_>,
        x: Tensor<4>,
        residual: Option<Tensor<4>>,
    ) -> Result<Tensor<4>> {
        let shape = pass.shape(&self.node, &self.weight)?;
        let dims = [shape[0], shape[1], shape[2], shape[3]];
        let (weight, bias) = if pass.phase == Phase::Inference {
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
        let [_, h, w, _] = x.dims();
        let [top, left, bottom, right] = self.window.pads([h, w]);
        let x = to_channels_first(x).pad((left, right, top, bottom), 0.0);
        let options = ConvOptions::new(
            self.window.stride,
            [0, 0],
            self.window.dilation,
            self.groups,
        );
        let mut y = module::conv2d(x, weight.reshape(dims), bias, options);
        if let (Phase::Training, Some(norm)) = (pass.phase, &self.norm) {
            y = norm::normalise_batch(pass, &self.node, norm, y)?;
        }
        if let Some(residual) = residual {
            y = y + to_channels_first(residual);
        }
        y = match self.activation {
            Activation::Relu => activation::relu(y),
            Activation::Relu6 => y.clamp(0.0, 6.0),
            _ => y,
        };
        if self.pool {
            y = pool::max_pool_2x2(y);
        }
        // The routines sum up what the activation passes on, since the batch norm needs that.
        let passed_on = match self.norm {
            Some(_) => self.activation,
            None => Activation::None,
        };
        Ok(pass.scored(&self.node, passed_on, to_channels_last(y)))
    }
}

impl Operator for ConvBlock {
    fn node(&self) -> &str {
        &self.node
    }

    fn inputs(&self) -> Vec<&str> {
        let mut names = vec![self.input.as_str()];
        names.extend(self.residual.as_deref());
        names
    }

    fn outputs(&self) -> Vec<&str> {
        vec![&self.output]
    }

    fn describe(&self) -> String {
        let [kh, kw] = self.window.kernel_size;
        let mut parts = vec![format!("Conv {kh}x{kw}")];
        if self.norm.is_some() {
            parts.push("BatchNorm".to_string());
        }
        if let Some(residual) = &self.residual {
            parts.push(format!("`{residual}`"));
        }
        match self.activation {
            Activation::Relu => parts.push("ReLU".to_string()),
            Activation::Relu6 => parts.push("ReLU6".to_string()),
            _ => {}
        }
        if self.pool {
            parts.push("MaxPool 2x2".to_string());
        }
        let mut nodes = vec![self.node.clone()];
        nodes.extend(self.fused_nodes.iter().cloned());
        let path = self.describe_path().unwrap_or_default();
        format!(
            "fused [{}]{path} from `{}`",
            parts.join(" + "),
            nodes.join("`, `")
        )
    }

    fn normalises(&self) -> bool {
        self.norm.is_some()
    }

    fn forward(&self, pass: &Pass<'_>, inputs: &[Value]) -> Result<Vec<Value>> {
        let (x, pending) = match &inputs[0] {
            Value::Pending(image) => (image.values.clone(), Some(Arc::clone(&image.norm))),
            value => (value.image(&self.node, &pass.device)?, None),
        };
        let residual = match &self.residual {
            Some(_) => {
                let shape = self.conv_shape(x.dims(), &self.weight_shape)?;
                let output = [shape.n, shape.out_h(), shape.out_w(), shape.c_out];
                Some(self.checked_residual(pass, &inputs[1], output)?)
            }
            None => None,
        };
        Ok(vec![if pass.engine.is_fused() {
            self.forward_fused(pass, x, pending, residual)?
        } else {
            Value::Image(self.forward_stock(pass, x, residual)?)
        }])
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
