//! The same elements in another order: Transpose, DepthToSpace, SpaceToDepth.
//!
//! Specs under <https://onnx.ai/onnx/operators/>: Transpose, DepthToSpace (mode from opset 11),
//! SpaceToDepth.

use secateur_onnx::graph::Node;

use super::call::{Call, Planner, Rule, host};
use crate::error::Result;
use crate::value::{Dense, Host, Value};

#[derive(Debug)]
struct Transpose(Option<Vec<i64>>);

impl Rule for Transpose {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        let order: Vec<usize> = match &self.0 {
            Some(order) => order
                .iter()
                .map(|&axis| call.axis(axis, dims.len()))
                .collect::<Result<_>>()?,
            None => (0..dims.len()).rev().collect(),
        };
        let mut seen = order.clone();
        seen.sort_unstable();
        if !seen.iter().copied().eq(0..dims.len()) {
            return Err(call.misfit(
                format!("an order of {} axes", dims.len()),
                format!("{order:?}"),
            ));
        }
        Ok(match (value, order.as_slice()) {
            // A file that moves the channels to the end (or back) asks for the order in which images
            // lie anyway: nothing moves.
            (Value::Image(x), [0, 2, 3, 1]) => Value::Dense(Dense::from_tensor(x.clone())),
            (Value::Dense(x), [0, 3, 1, 2]) => Value::Image(x.tensor()),
            (Value::Host(x), order) => host(transpose_host(x, order)),
            (value, order) => Value::Dense(value.dense(&call.pass.device).permute(order)),
        })
    }
}

fn transpose_host(x: &Host, order: &[usize]) -> Host {
    let mut strides = vec![1usize; order.len()];
    for axis in (0..order.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * x.shape[axis + 1];
    }
    let shape: Vec<usize> = order.iter().map(|&axis| x.shape[axis]).collect();
    let indices = (0..x.len()).map(|mut rest| {
        let mut at = 0;
        for (&axis, &size) in order.iter().zip(&shape).rev() {
            at += rest % size * strides[axis];
            rest /= size;
        }
        at
    });
    x.pick(shape.clone(), indices)
}

/// Reads a `Transpose` node.
///
/// # Errors
/// None.
pub fn transpose(_: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(Transpose(
        node.attr_ints("perm").map(<[i64]>::to_vec),
    )))
}

/// `DepthToSpace` and `SpaceToDepth` on channels-last images.
#[derive(Debug)]
struct DepthSpace {
    block: usize,
    to_space: bool,
    /// Channels come first in the depth (mode CRD), not last (DCR).
    channels_first: bool,
}

impl Rule for DepthSpace {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let x = call.value(0)?.image(call.node, &call.pass.device)?;
        let [n, h, w, c] = x.dims();
        let b = self.block;
        let fits = if self.to_space {
            c % (b * b) == 0
        } else {
            h % b == 0 && w % b == 0
        };
        if !fits {
            return Err(call.misfit(
                format!("sizes that blocks of {b}x{b} divide"),
                format!("[{n}, {c}, {h}, {w}]"),
            ));
        }
        let x = Dense::from_tensor(x);
        let y = if self.to_space {
            let k = c / (b * b);
            let y = if self.channels_first {
                x.reshape(&[n, h, w, k, b, b]).permute(&[0, 1, 4, 2, 5, 3])
            } else {
                x.reshape(&[n, h, w, b, b, k]).permute(&[0, 1, 3, 2, 4, 5])
            };
            y.reshape(&[n, h * b, w * b, k])
        } else {
            let order: &[usize] = if self.channels_first {
                &[0, 1, 3, 5, 2, 4]
            } else {
                &[0, 1, 3, 2, 4, 5]
            };
            x.reshape(&[n, h / b, b, w / b, b, c])
                .permute(order)
                .reshape(&[n, h / b, w / b, b * b * c])
        };
        Ok(Value::Image(y.tensor()))
    }
}

/// Reads a `DepthToSpace` or `SpaceToDepth` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] without a block size.
pub fn depth_space(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let block = usize::try_from(node.attr_i("blocksize", 0)).unwrap_or(0);
    if !(1..=1 << 10).contains(&block) {
        return Err(planner.refuse(node, format!("has block size {block}")));
    }
    Ok(Box::new(DepthSpace {
        block,
        to_space: node.op_type == "DepthToSpace",
        channels_first: node.attr_s("mode").as_deref() == Some("CRD"),
    }))
}
