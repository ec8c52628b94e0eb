//! Element by element: ReLU, residual sum, concatenation of channels, and the
//! operators that do nothing in this setting.

use burn::tensor::{Tensor, activation};
use secateur_onnx::graph::{Graph, Node};

use super::{Operator, input_name, unsupported};
use crate::error::{NetError, Result};
use crate::interpreter::Pass;
use crate::value::Value;

macro_rules! operator_names {
    () => {
        fn node(&self) -> &str {
            &self.node
        }

        fn inputs(&self) -> Vec<&str> {
            self.inputs.iter().map(String::as_str).collect()
        }

        fn output(&self) -> &str {
            &self.output
        }
    };
}

/// max(x, 0).
#[derive(Debug)]
pub struct Relu {
    node: String,
    inputs: [String; 1],
    output: String,
}

impl Relu {
    /// Reads a `Relu` node.
    ///
    /// # Errors
    /// [`NetError::Graph`] without an input.
    pub fn new(node: &Node) -> Result<Self> {
        Ok(Self {
            node: node.name.clone(),
            inputs: [input_name(node, 0)?.to_string()],
            output: node.outputs[0].clone(),
        })
    }
}

impl Operator for Relu {
    operator_names!();

    fn describe(&self) -> String {
        format!("ReLU from `{}`", self.node)
    }

    fn forward(&self, _: &Pass<'_>, inputs: &[Value]) -> Result<Value> {
        Ok(match &inputs[0] {
            Value::Image(x) => Value::Image(activation::relu(x.clone())),
            Value::Features(x) => Value::Features(activation::relu(x.clone())),
        })
    }
}

/// The value itself: `Identity`, and `Dropout`, which files exported for
/// inference carry without effect.
#[derive(Debug)]
pub struct Identity {
    node: String,
    inputs: [String; 1],
    output: String,
}

impl Identity {
    /// Reads the node.
    ///
    /// # Errors
    /// [`NetError::Graph`] without an input.
    pub fn new(node: &Node) -> Result<Self> {
        Ok(Self {
            node: node.name.clone(),
            inputs: [input_name(node, 0)?.to_string()],
            output: node.outputs[0].clone(),
        })
    }
}

impl Operator for Identity {
    operator_names!();

    fn describe(&self) -> String {
        format!("no operation, from `{}`", self.node)
    }

    fn forward(&self, _: &Pass<'_>, inputs: &[Value]) -> Result<Value> {
        Ok(inputs[0].clone())
    }
}

/// Sum of two values of one shape (residual connection).
#[derive(Debug)]
pub struct Add {
    node: String,
    inputs: [String; 2],
    output: String,
}

impl Add {
    /// Reads an `Add` node of two computed values.
    ///
    /// # Errors
    /// [`NetError::Graph`] if an input is missing.
    pub fn new(node: &Node) -> Result<Self> {
        Ok(Self {
            node: node.name.clone(),
            inputs: [
                input_name(node, 0)?.to_string(),
                input_name(node, 1)?.to_string(),
            ],
            output: node.outputs[0].clone(),
        })
    }
}

impl Operator for Add {
    operator_names!();

    fn describe(&self) -> String {
        format!("sum from `{}`", self.node)
    }

    fn forward(&self, _: &Pass<'_>, inputs: &[Value]) -> Result<Value> {
        match (&inputs[0], &inputs[1]) {
            (Value::Image(a), Value::Image(b)) if a.dims() == b.dims() => {
                Ok(Value::Image(a.clone() + b.clone()))
            }
            (Value::Features(a), Value::Features(b)) if a.dims() == b.dims() => {
                Ok(Value::Features(a.clone() + b.clone()))
            }
            (a, b) => Err(NetError::Shape {
                node: self.node.clone(),
                expected: format!("a second input of shape {:?}", a.onnx_dims()),
                got: format!("{:?}", b.onnx_dims()),
            }),
        }
    }
}

/// Channels of several values side by side.
#[derive(Debug)]
pub struct Concat {
    node: String,
    inputs: Vec<String>,
    output: String,
}

impl Concat {
    /// Reads a `Concat` node over axis 1.
    ///
    /// # Errors
    /// [`NetError::Unsupported`] for another axis.
    pub fn new(graph: &Graph, node: &Node) -> Result<Self> {
        let axis = node.attr_i("axis", 1);
        if axis != 1 && axis != -3 {
            return Err(unsupported(
                graph,
                node,
                format!("joins axis {axis}, not channels"),
            ));
        }
        let inputs = (0..node.inputs.len())
            .map(|slot| input_name(node, slot).map(str::to_string))
            .collect::<Result<_>>()?;
        Ok(Self {
            node: node.name.clone(),
            inputs,
            output: node.outputs[0].clone(),
        })
    }
}

impl Operator for Concat {
    operator_names!();

    fn describe(&self) -> String {
        format!(
            "concatenation of {} values from `{}`",
            self.inputs.len(),
            self.node
        )
    }

    fn forward(&self, _: &Pass<'_>, inputs: &[Value]) -> Result<Value> {
        if matches!(inputs[0], Value::Image(_)) {
            let parts = inputs
                .iter()
                .map(|v| v.image(&self.node))
                .collect::<Result<Vec<Tensor<4>>>>()?;
            Ok(Value::Image(Tensor::cat(parts, 3)))
        } else {
            let parts = inputs
                .iter()
                .map(|v| v.features(&self.node))
                .collect::<Result<Vec<Tensor<2>>>>()?;
            Ok(Value::Features(Tensor::cat(parts, 1)))
        }
    }
}
