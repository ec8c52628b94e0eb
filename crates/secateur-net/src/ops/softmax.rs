//! Softmax and its logarithm.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Softmax.html>. Before opset 13 everything from
//! `axis` (1 by default) on is one row; since then one axis (the last by default) is
//! normalised.

use burn::tensor::{Tensor, activation};
use secateur_onnx::graph::Node;

use super::call::{Call, Planner, Rule};
use crate::error::Result;
use crate::value::{Dense, Value};

#[derive(Debug)]
struct Softmax {
    axis: i64,
    whole_rows: bool,
    log: bool,
}

impl Rule for Softmax {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        let axis = call.axis(self.axis, dims.len())?;
        let mut x = value.laid(&call.pass.device);
        if self.whole_rows && x.channels_last {
            x = Value::Dense(value.dense(&call.pass.device)).laid(&call.pass.device);
        }
        let at = x.axis(axis);
        let lies = x.data.dims().to_vec();
        let end = if self.whole_rows { lies.len() } else { at + 1 };
        let product = |dims: &[usize]| dims.iter().product::<usize>();
        let rows: Tensor<3> = x
            .data
            .reshape(&[
                product(&lies[..at]),
                product(&lies[at..end]),
                product(&lies[end..]),
            ])
            .tensor();
        let y = if self.log {
            activation::log_softmax(rows, 1)
        } else {
            activation::softmax(rows, 1)
        };
        Ok(x.with(Dense::from_tensor(y).reshape(&lies)))
    }
}

/// Reads a `Softmax` or `LogSoftmax` node of any opset.
///
/// # Errors
/// None.
pub fn softmax(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let old = planner.graph.opset < 13;
    Ok(Box::new(Softmax {
        axis: node.attr_i("axis", if old { 1 } else { -1 }),
        whole_rows: old,
        log: node.op_type == "LogSoftmax",
    }))
}
