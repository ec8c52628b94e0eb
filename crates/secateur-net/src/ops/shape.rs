//! From images to features.

use secateur_onnx::graph::Node;

use super::{Operator, input_name, to_channels_first};
use crate::error::Result;
use crate::interpreter::Pass;
use crate::value::Value;

/// `[n, c, h, w]` to `[n, c · h · w]`, in the file's order of elements.
///
/// Spec: <https://onnx.ai/onnx/operators/onnx__Flatten.html>, axis 1; also the
/// `Reshape` nodes that exporters write for it.
#[derive(Debug)]
pub struct Flatten {
    node: String,
    input: String,
    output: String,
}

impl Flatten {
    /// Reads the node; the caller has checked that it flattens.
    ///
    /// # Errors
    /// [`crate::NetError::Graph`] without an input.
    pub fn new(node: &Node) -> Result<Self> {
        Ok(Self {
            node: node.name.clone(),
            input: input_name(node, 0)?.to_string(),
            output: node.outputs[0].clone(),
        })
    }
}

impl Operator for Flatten {
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
        format!("flatten from `{}`", self.node)
    }

    fn forward(&self, _: &Pass<'_>, inputs: &[Value]) -> Result<Value> {
        Ok(match &inputs[0] {
            Value::Image(x) => {
                let [n, h, w, c] = x.dims();
                // One pixel needs no change of order.
                let x = if h * w == 1 {
                    x.clone()
                } else {
                    to_channels_first(x.clone())
                };
                Value::Features(x.reshape([n, c * h * w]))
            }
            features => features.clone(),
        })
    }
}
