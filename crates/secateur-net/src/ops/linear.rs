//! Fully connected layers: y = x · Wᵀ + b, with the ReLU that follows.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Gemm.html> (opset 1-13) with
//! alpha = beta = 1 and transA = 0; `MatMul` of values of any rank with stored weights. Other
//! forms are in `matmul`.

use std::sync::{Arc, Mutex};

use burn::tensor::{Tensor, activation};
use secateur_cpu::conv::Activation;
use secateur_cpu::linear;
use secateur_cpu::memory::Buffer;
use secateur_onnx::graph::{Graph, Node};

use super::operator::{Operator, input_name};
use crate::error::{NetError, Result};
use crate::extension::{FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::lock::lock;
use crate::pass::Pass;
use crate::score::{Collector, LayerPass};
use crate::value::{Dense, Value};

/// A fully connected layer.
#[derive(Debug)]
pub struct Linear {
    node: String,
    input: String,
    output: String,
    weight: String,
    /// True if the weights are stored `[c_out, c_in]` (Gemm with transB).
    transposed: bool,
    bias: Option<String>,
    c_out: usize,
    relu: bool,
    fused_nodes: Vec<String>,
}

impl Linear {
    /// Reads a `Gemm` or `MatMul` node; `None` for scaled or transposed forms, and computed
    /// weights or biases.
    ///
    /// # Errors
    /// [`NetError::Graph`] if an input is missing.
    pub fn new(graph: &Graph, node: &Node) -> Result<Option<Self>> {
        let weight = input_name(node, 1)?.to_string();
        let gemm = node.op_type == "Gemm";
        let transposed = gemm && node.attr_i("transB", 0) != 0;
        let Some(&[rows, columns]) = graph.initializers.get(&weight).map(|t| t.shape.as_slice())
        else {
            return Ok(None);
        };
        let c_out = if transposed { rows } else { columns };
        let bias = node.input(2).filter(|_| gemm).map(str::to_string);
        let is_vector = |name: &String| {
            let tensor = graph.initializers.get(name);
            tensor.is_some_and(|t| t.shape.last() == Some(&c_out) && t.len() == c_out)
        };
        let plain = !gemm
            || (node.attr_f("alpha", 1.0) == 1.0
                && node.attr_f("beta", 1.0) == 1.0
                && node.attr_i("transA", 0) == 0
                && bias.as_ref().is_none_or(is_vector));
        let input = input_name(node, 0)?.to_string();
        if !plain || graph.initializers.contains_key(&input) {
            return Ok(None);
        }
        Ok(Some(Self {
            node: node.name.clone(),
            input,
            output: node.outputs[0].clone(),
            weight,
            transposed,
            bias,
            c_out,
            relu: false,
            fused_nodes: Vec::new(),
        }))
    }

    /// Takes in the ReLU that follows.
    pub fn fuse_relu(&mut self, node: &Node) {
        self.fused_nodes.push(node.name.clone());
        self.relu = true;
        self.output.clone_from(&node.outputs[0]);
    }

    /// Takes in the `Add` of a stored bias that follows a `MatMul`.
    pub fn fuse_bias(&mut self, node: &Node, bias: &str) {
        self.fused_nodes.push(node.name.clone());
        self.bias = Some(bias.to_string());
        self.output.clone_from(&node.outputs[0]);
    }

    /// Number of values that it gives for each row.
    pub fn c_out(&self) -> usize {
        self.c_out
    }

    /// True if it may still take in a bias.
    pub fn accepts_bias(&self) -> bool {
        self.bias.is_none() && !self.relu
    }

    /// True if a ReLU was fused in.
    pub fn has_relu(&self) -> bool {
        self.relu
    }
}

impl Operator for Linear {
    fn node(&self) -> &str {
        &self.node
    }

    fn inputs(&self) -> Vec<&str> {
        vec![&self.input]
    }

    fn outputs(&self) -> Vec<&str> {
        vec![&self.output]
    }

    fn describe(&self) -> String {
        let relu = if self.relu { " + ReLU" } else { "" };
        let mut nodes = vec![self.node.clone()];
        nodes.extend(self.fused_nodes.iter().cloned());
        format!("fused [Linear{relu}] from `{}`", nodes.join("`, `"))
    }

    fn forward(&self, pass: &Pass<'_>, inputs: &[Value]) -> Result<Vec<Value>> {
        // The last axis holds the features; all others count rows.
        let x = inputs[0].dense(&pass.device);
        let mut dims = x.dims().to_vec();
        let c_in = dims.last().copied().unwrap_or(0);
        let n = x.len() / c_in.max(1);
        let x: Tensor<2> = x.reshape(&[n, c_in]).tensor();
        let shape = pass.shape(&self.node, &self.weight)?;
        let (c_out, expected) = if self.transposed {
            (shape[0], shape[1])
        } else {
            (shape[1], shape[0])
        };
        if c_in != expected {
            return Err(NetError::Shape {
                node: self.node.clone(),
                expected: format!("features [n, {expected}]"),
                got: format!("[{n}, {c_in}]"),
            });
        }
        let weight = pass.tensor(&self.node, &self.weight)?;
        // Both engines take the weights as `[c_out, c_in]`.
        let weight = if self.transposed {
            weight
        } else {
            let columns = weight.reshape([c_in, c_out]);
            columns.transpose().reshape([c_out * c_in])
        };
        let bias = self
            .bias
            .as_ref()
            .map(|name| pass.tensor(&self.node, name))
            .transpose()?;
        let y = if pass.engine.is_fused() {
            let call = LinearCall {
                collector: pass.collector.clone(),
                node: self.node.clone(),
                ..LinearCall::new(x.dims(), c_out, bias.is_some(), self.relu)
            };
            call.run(x, weight, bias)
        } else {
            let y = forward_stock(x, c_out, weight, bias, self.relu);
            pass.scored(&self.node, Activation::None, y)
        };
        if let Some(last) = dims.last_mut() {
            *last = c_out;
        }
        Ok(vec![Value::Dense(Dense::from_tensor(y).reshape(&dims))])
    }
}

/// x · wᵀ + b with `x` `[n, c_in]` and `weight` `[c_out, c_in]`, for operators that are made of
/// such products.
pub(super) fn product(
    pass: &Pass<'_>,
    x: Tensor<2>,
    c_out: usize,
    weight: Tensor<1>,
    bias: Option<Tensor<1>>,
) -> Tensor<2> {
    if pass.engine.is_fused() {
        LinearCall::new(x.dims(), c_out, bias.is_some(), false).run(x, weight, bias)
    } else {
        forward_stock(x, c_out, weight, bias, false)
    }
}

fn forward_stock(
    x: Tensor<2>,
    c_out: usize,
    weight: Tensor<1>,
    bias: Option<Tensor<1>>,
    relu: bool,
) -> Tensor<2> {
    let [_, c_in] = x.dims();
    let mut y = x.matmul(weight.reshape([c_out, c_in]).transpose());
    if let Some(bias) = bias {
        y = y + bias.reshape([1, c_out]);
    }
    if relu { activation::relu(y) } else { y }
}

#[derive(Debug)]
struct LinearCall {
    n: usize,
    c_in: usize,
    c_out: usize,
    has_bias: bool,
    activation: Activation,
    output: Mutex<Option<Arc<Buffer>>>,
    collector: Option<Arc<Collector>>,
    node: String,
}

impl LinearCall {
    /// Of inputs `[n, c_in]`, without scores.
    fn new([n, c_in]: [usize; 2], c_out: usize, has_bias: bool, relu: bool) -> Self {
        Self {
            n,
            c_in,
            c_out,
            has_bias,
            activation: if relu {
                Activation::Relu
            } else {
                Activation::None
            },
            output: Mutex::new(None),
            collector: None,
            node: String::new(),
        }
    }

    fn run(self, x: Tensor<2>, weight: Tensor<1>, bias: Option<Tensor<1>>) -> Tensor<2> {
        let inputs = FusedInputs::new(x).with(1, Some(weight)).with(2, bias);
        inputs.run(Arc::new(self))
    }
}

impl FusedOp for LinearCall {
    fn output_shape(&self) -> Vec<usize> {
        vec![self.n, self.c_out]
    }

    fn forward(&self, [x, weight, bias, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let mut y = Buffer::get(self.n * self.c_out);
        let bias = self.has_bias.then_some(bias);
        linear::forward(
            self.n,
            self.c_in,
            self.c_out,
            x,
            weight,
            bias,
            self.activation,
            &mut y,
        );
        let y = Arc::new(y);
        *lock(&self.output) = Some(Arc::clone(&y));
        y
    }

    fn backward(
        &self,
        [x, weight, ..]: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let mut gradients = InputGradients::default();
        let output = lock(&self.output).take();
        let Some(y) = output else { return gradients };
        if let Some(collector) = &self.collector {
            let layer = LayerPass {
                n: self.n,
                channels: self.c_out,
                output: &y,
                gradient: dy,
            };
            collector.add_layer(&self.node, &layer);
        }
        let mut masked = Buffer::get(dy.len());
        let dy: &[f32] = if self.activation == Activation::Relu {
            for ((to, &d), &y) in masked.iter_mut().zip(dy).zip(y.iter()) {
                *to = if y > 0.0 { d } else { 0.0 };
            }
            &masked
        } else {
            dy
        };
        let mut dx = wanted[0].then(|| Buffer::get(x.len()));
        let mut dw = Buffer::get(weight.len());
        let mut db = (wanted[2] && self.has_bias).then(|| Buffer::get(self.c_out));
        linear::backward(
            self.n,
            self.c_in,
            self.c_out,
            x,
            weight,
            dy,
            dx.as_deref_mut(),
            &mut dw,
            db.as_deref_mut(),
        );
        gradients[0] = dx;
        gradients[1] = Some(dw);
        gradients[2] = db;
        gradients
    }
}
