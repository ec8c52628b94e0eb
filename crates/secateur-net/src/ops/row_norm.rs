//! Normalisation of single samples: instance, group and layer.
//!
//! y = γ · (x - μ) / √(σ² + ε) + β with mean and biased variance over a run of axes.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__InstanceNormalization.html> (opset 1, 6, 22),
//! <https://onnx.ai/onnx/operators/onnx__GroupNormalization.html> (18 with one γ a group, 21
//! with one a channel), <https://onnx.ai/onnx/operators/onnx__LayerNormalization.html> (17),
//! <https://onnx.ai/onnx/operators/onnx__RMSNormalization.html> (23), without the mean.
//! They behave alike in training and inference.

use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use secateur_cpu::memory::Buffer;
use secateur_onnx::graph::Node;

use super::activation;
use super::arithmetic::{Arithmetic, on_device};
use super::call::{Call, Planner, Rule};
use super::function::Function;
use super::reduce::{self, Reduction};
use crate::error::Result;
use crate::extension::{FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::lock::lock;
use crate::pass::Pass;
use crate::value::{Dense, Value};

/// Every row of `[rows, len]` to a mean square of 1.
fn scale_rows(pass: &Pass<'_>, x: &Dense, epsilon: f32) -> Dense {
    let with =
        |f: Arithmetic, a: &Dense, b: &Dense| on_device(pass, f, a, b).unwrap_or_else(|| a.clone());
    let squares = with(Arithmetic::Mul, x, x);
    let mean = reduce::on_device(pass, Reduction::Mean, &squares, &[1]).add_scalar(epsilon);
    with(
        Arithmetic::Div,
        x,
        &activation::on_device(pass, Function::Sqrt, &mean),
    )
}

/// Every row of `[rows, len]` to mean 0 and variance 1.
fn normalise_rows(pass: &Pass<'_>, x: &Dense, epsilon: f32) -> Dense {
    let [rows, len] = [x.dims()[0], x.dims()[1]];
    if pass.engine.is_fused() {
        let call = Arc::new(RowsCall {
            rows,
            len,
            epsilon,
            inverse: Mutex::default(),
        });
        Dense::from_untyped(FusedInputs::new(x.untyped()).run(call), &[rows, len])
    } else {
        let centred = x.sub(&x.mean(1));
        let variance = centred.mul(&centred).mean(1);
        centred.div(&variance.add_scalar(epsilon).sqrt())
    }
}

#[derive(Debug)]
struct RowsCall {
    rows: usize,
    len: usize,
    epsilon: f32,
    /// Mean and 1 / √(σ² + ε) of every row.
    inverse: Mutex<Vec<(f32, f32)>>,
}

impl FusedOp for RowsCall {
    fn output_shape(&self) -> Vec<usize> {
        vec![self.rows, self.len]
    }

    fn forward(&self, [x, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let mut y = Buffer::get(x.len());
        let len = self.len;
        let saved: Vec<(f32, f32)> = x
            .par_chunks_exact(len)
            .zip(y.par_chunks_exact_mut(len))
            .map(|(x, y)| {
                let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / len as f64;
                let mean = mean as f32;
                let square = |x: &f32| {
                    let d = f64::from(x - mean);
                    d * d
                };
                let variance = x.iter().map(square).sum::<f64>() / len as f64;
                let inverse = (1.0 / (variance + f64::from(self.epsilon)).sqrt()) as f32;
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = (x - mean) * inverse;
                }
                (mean, inverse)
            })
            .collect();
        *lock(&self.inverse) = saved;
        y.into()
    }

    /// dx = r · (dy - mean(dy) - x̂ · mean(dy · x̂))
    fn backward(
        &self,
        [x, ..]: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let mut gradients = InputGradients::default();
        if !wanted[0] {
            return gradients;
        }
        let len = self.len;
        let saved = lock(&self.inverse);
        let mut dx = Buffer::get(x.len());
        dx.par_chunks_exact_mut(len)
            .zip(x.par_chunks_exact(len))
            .zip(dy.par_chunks_exact(len))
            .zip(saved.par_iter())
            .for_each(|(((dx, x), dy), &(mean, inverse))| {
                let (mut sum, mut product) = (0.0f64, 0.0f64);
                for (&x, &dy) in x.iter().zip(dy) {
                    sum += f64::from(dy);
                    product += f64::from(dy) * f64::from((x - mean) * inverse);
                }
                let sum = (sum / len as f64) as f32;
                let product = (product / len as f64) as f32;
                for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                    *dx = inverse * (dy - sum - (x - mean) * inverse * product);
                }
            });
        gradients[0] = Some(dx);
        gradients
    }
}

/// y = x · scale + shift with broadcasting.
fn affine(
    call: &Call<'_>,
    x: &Dense,
    scale: Option<&Dense>,
    shift: Option<&Dense>,
) -> Result<Dense> {
    let mut y = x.clone();
    for (f, operand) in [(Arithmetic::Mul, scale), (Arithmetic::Add, shift)] {
        if let Some(operand) = operand {
            y = on_device(call.pass, f, &y, operand)
                .filter(|result| result.dims() == x.dims())
                .ok_or_else(|| {
                    call.misfit(
                        format!("scale and shift that broadcast to {:?}", x.dims()),
                        format!("{:?}", operand.dims()),
                    )
                })?;
        }
    }
    Ok(y)
}

#[derive(Debug)]
struct LayerNorm {
    axis: i64,
    epsilon: f32,
    /// The mean is taken off first.
    centred: bool,
}

impl Rule for LayerNorm {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let x = call.dense(0)?;
        let dims = x.dims().to_vec();
        let axis = call.axis(self.axis, dims.len())?;
        let product = |dims: &[usize]| dims.iter().product::<usize>();
        let rows = x.reshape(&[product(&dims[..axis]), product(&dims[axis..])]);
        let y = match self.centred {
            true => normalise_rows(call.pass, &rows, self.epsilon),
            false => scale_rows(call.pass, &rows, self.epsilon),
        };
        let y = y.reshape(&dims);
        let operand = |slot: usize| {
            let given = call.optional(slot);
            given.map(|value| value.dense(&call.pass.device))
        };
        let y = affine(call, &y, operand(1).as_ref(), operand(2).as_ref())?;
        Ok(Value::Dense(y))
    }
}

/// Reads a `LayerNormalization`, `RMSNormalization` or `SimplifiedLayerNormalization` node.
///
/// # Errors
/// None.
pub fn layer(_: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(LayerNorm {
        axis: node.attr_i("axis", -1),
        epsilon: node.attr_f("epsilon", 1e-5),
        centred: node.op_type == "LayerNormalization",
    }))
}

/// `InstanceNormalization` (one channel a group) and `GroupNormalization`.
#[derive(Debug)]
struct GroupNorm {
    /// `None`: as many as channels.
    groups: Option<usize>,
    epsilon: f32,
}

impl Rule for GroupNorm {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let x = value.dense(&call.pass.device);
        let dims = x.dims().to_vec();
        let &[n, c, ..] = dims.as_slice() else {
            return Err(call.misfit("[n, c, ...]", format!("{dims:?}")));
        };
        let groups = self.groups.unwrap_or(c);
        if groups == 0 || c % groups != 0 {
            return Err(call.misfit(
                format!("channels that {groups} groups divide"),
                format!("{dims:?}"),
            ));
        }
        let rows = x.reshape(&[n * groups, x.len() / (n * groups)]);
        let y = normalise_rows(call.pass, &rows, self.epsilon);
        let mut operands = Vec::new();
        for slot in [1, 2] {
            let vector = call.dense(slot)?;
            operands.push(match vector.len() {
                len if len == c => vector.reshape(&[1, c, 1]),
                len if len == groups => vector
                    .reshape(&[groups, 1])
                    .expand(&[groups, c / groups])
                    .reshape(&[1, c, 1]),
                len => {
                    return Err(
                        call.misfit(format!("{c} values of scale and shift"), len.to_string())
                    );
                }
            });
        }
        let y = y.reshape(&[n, c, x.len() / (n * c)]);
        let y = affine(call, &y, Some(&operands[0]), Some(&operands[1]))?;
        let y = Value::Dense(y.reshape(&dims));
        Ok(match value {
            Value::Image(_) => Value::Image(y.image(call.node, &call.pass.device)?),
            _ => y,
        })
    }
}

/// Reads an `InstanceNormalization` or `GroupNormalization` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for a number of groups below 1.
pub fn group(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let groups = match node.op_type.as_str() {
        "GroupNormalization" => {
            let groups = usize::try_from(node.attr_i("num_groups", 0)).unwrap_or(0);
            if groups == 0 {
                return Err(planner.refuse(node, "has no positive number of groups"));
            }
            Some(groups)
        }
        _ => None,
    };
    Ok(Box::new(GroupNorm {
        groups,
        epsilon: node.attr_f("epsilon", 1e-5),
    }))
}
