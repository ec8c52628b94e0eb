//! Matrix products that the fused linear layer does not take: of two computed values, of any
//! rank, and every form of Gemm.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__MatMul.html> (opset 1, 9, 13),
//! <https://onnx.ai/onnx/operators/onnx__Gemm.html> (7 to 13).

use secateur_onnx::graph::Node;

use super::arithmetic::{Arithmetic, on_device};
use super::broadcast::broadcast_dims;
use super::call::{Call, Planner, Rule};
use crate::error::Result;
use crate::value::{Dense, Value};

#[derive(Debug)]
struct MatMul;

impl Rule for MatMul {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let (a, b) = (call.dense(0)?, call.dense(1)?);
        let misfit = || {
            call.misfit(
                format!("matrices that fit {:?}", a.dims()),
                format!("{:?}", b.dims()),
            )
        };
        if a.dims().is_empty() || b.dims().is_empty() {
            return Err(misfit());
        }
        // A vector counts as a matrix of one row (left) or one column (right); that axis is left
        // out of the result.
        let (row, column) = (a.dims().len() == 1, b.dims().len() == 1);
        let x = if row {
            a.reshape(&[1, a.len()])
        } else {
            a.clone()
        };
        let y = if column {
            b.reshape(&[b.len(), 1])
        } else {
            b.clone()
        };
        let (xs, ys) = (x.dims().to_vec(), y.dims().to_vec());
        let (x_batch, xm) = xs.split_at(xs.len() - 2);
        let (y_batch, ym) = ys.split_at(ys.len() - 2);
        let batch = broadcast_dims(x_batch, y_batch)
            .filter(|_| xm[1] == ym[0])
            .ok_or_else(misfit)?;
        let spread = |t: &Dense, own: &[usize], matrix: &[usize]| {
            let ones = std::iter::repeat_n(1, batch.len() - own.len());
            let padded: Vec<usize> = ones.chain(own.iter().chain(matrix).copied()).collect();
            let full: Vec<usize> = batch.iter().chain(matrix).copied().collect();
            let count = batch.iter().product();
            t.reshape(&padded)
                .expand(&full)
                .reshape(&[count, matrix[0], matrix[1]])
        };
        let product = spread(&x, x_batch, xm).matmul(&spread(&y, y_batch, ym));
        let mut dims = batch.clone();
        if !row {
            dims.push(xm[0]);
        }
        if !column {
            dims.push(ym[1]);
        }
        Ok(Value::Dense(product.reshape(&dims)))
    }
}

/// Reads a `MatMul` node.
///
/// # Errors
/// None.
pub fn matmul(_: &Planner<'_>, _: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(MatMul))
}

/// y = α · A' · B' + β · C
#[derive(Debug)]
struct Gemm {
    alpha: f32,
    beta: f32,
    transpose: [bool; 2],
}

impl Rule for Gemm {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let mut operands = Vec::new();
        for slot in 0..2 {
            let matrix = call.dense(slot)?;
            if matrix.dims().len() != 2 {
                return Err(call.misfit("matrices", format!("{:?}", matrix.dims())));
            }
            operands.push(if self.transpose[slot] {
                matrix.permute(&[1, 0])
            } else {
                matrix
            });
        }
        let (a, b) = (&operands[0], &operands[1]);
        if a.dims()[1] != b.dims()[0] {
            return Err(call.misfit(
                format!("a matrix that fits {:?}", a.dims()),
                format!("{:?}", b.dims()),
            ));
        }
        let scaled = |x: Dense, by: f32| if by == 1.0 { x } else { x.mul_scalar(by) };
        let y = scaled(a.matmul(b), self.alpha);
        let Some(c) = call.optional(2) else {
            return Ok(Value::Dense(y));
        };
        let c = scaled(c.dense(&call.pass.device), self.beta);
        on_device(call.pass, Arithmetic::Add, &y, &c)
            .filter(|sum| sum.dims() == y.dims())
            .map(Value::Dense)
            .ok_or_else(|| {
                call.misfit(
                    format!("a third input that broadcasts to {:?}", y.dims()),
                    format!("{:?}", c.dims()),
                )
            })
    }
}

/// Reads a `Gemm` node.
///
/// # Errors
/// None.
pub fn gemm(_: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(Gemm {
        alpha: node.attr_f("alpha", 1.0),
        beta: node.attr_f("beta", 1.0),
        transpose: ["transA", "transB"].map(|name| node.attr_i(name, 0) != 0),
    }))
}
