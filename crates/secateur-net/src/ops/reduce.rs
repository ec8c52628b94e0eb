//! Sums, means and extremes over axes, and global pooling.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__ReduceMean.html> and its family (axes are an
//! input from opset 18; of ReduceSum from 13), GlobalAveragePool, GlobalMaxPool (1, 22).

use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use secateur_cpu::memory::Buffer;
use secateur_onnx::graph::Node;

use super::activation;
use super::arithmetic::{self, Arithmetic};
use super::call::{Call, Planner, Rule, Setting, host};
use super::function::Function;
use super::layout::reshape_value;
use crate::error::Result;
use crate::extension::{FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::lock::lock;
use crate::pass::Pass;
use crate::value::{Dense, Host, HostData, Value};

/// What becomes of the values along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Σ x
    Sum,
    /// Σ x / n
    Mean,
    /// The largest; its gradient goes to the first of equal ones.
    Max,
    /// The smallest.
    Min,
}

/// Reduces `axes` (sorted, in the order in which `x` lies), which stay with extent 1.
pub(super) fn on_device(pass: &Pass<'_>, f: Reduction, x: &Dense, axes: &[usize]) -> Dense {
    if !pass.engine.is_fused() {
        return axes.iter().fold(x.clone(), |x, &axis| match f {
            Reduction::Sum => x.sum(axis),
            Reduction::Mean => x.mean(axis),
            Reduction::Max => x.max(axis),
            Reduction::Min => x.neg().max(axis).neg(),
        });
    }
    let mut y = x.clone();
    let mut rest = axes;
    // Neighbouring axes are reduced as one.
    while let Some(&first) = rest.first() {
        let count = rest
            .iter()
            .enumerate()
            .take_while(|&(i, &axis)| axis == first + i)
            .count();
        rest = &rest[count..];
        let dims = y.dims().to_vec();
        let product = |dims: &[usize]| dims.iter().product::<usize>();
        let call = Arc::new(ReduceCall {
            f,
            outer: product(&dims[..first]),
            len: product(&dims[first..first + count]),
            inner: product(&dims[first + count..]),
            chosen: Mutex::default(),
        });
        let mut dims = dims;
        dims[first..first + count].fill(1);
        y = Dense::from_untyped(FusedInputs::new(y.untyped()).run(call), &dims);
    }
    y
}

#[derive(Debug)]
struct ReduceCall {
    f: Reduction,
    outer: usize,
    len: usize,
    inner: usize,
    /// Positions of extremes.
    chosen: Mutex<Vec<u32>>,
}

impl ReduceCall {
    fn reduce(&self, x: &[f32], y: &mut [f32], chosen: &mut [u32]) {
        let inner = self.inner;
        match self.f {
            Reduction::Sum | Reduction::Mean => {
                let share = match self.f {
                    Reduction::Mean => 1.0 / self.len as f64,
                    _ => 1.0,
                };
                if inner == 1 {
                    y[0] = (x.iter().map(|&x| f64::from(x)).sum::<f64>() * share) as f32;
                    return;
                }
                let mut sums = vec![0.0f64; inner];
                for x in x.chunks_exact(inner) {
                    for (sum, &x) in sums.iter_mut().zip(x) {
                        *sum += f64::from(x);
                    }
                }
                for (y, sum) in y.iter_mut().zip(sums) {
                    *y = (sum * share) as f32;
                }
            }
            Reduction::Max | Reduction::Min => {
                let sign = if self.f == Reduction::Max { 1.0 } else { -1.0 };
                y.copy_from_slice(&x[..inner]);
                for (i, x) in x.chunks_exact(inner).enumerate() {
                    for ((y, chosen), &x) in y.iter_mut().zip(chosen.iter_mut()).zip(x) {
                        if sign * x > sign * *y || (x.is_nan() && !y.is_nan()) {
                            (*y, *chosen) = (x, i as u32);
                        }
                    }
                }
            }
        }
    }
}

/// Elements below which one thread does all.
const SERIAL: usize = 32_768;

impl FusedOp for ReduceCall {
    fn output_shape(&self) -> Vec<usize> {
        vec![self.outer, 1, self.inner]
    }

    fn forward(&self, [x, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let mut y = Buffer::get(self.outer * self.inner);
        let mut chosen = vec![0u32; y.len()];
        let part = self.len * self.inner;
        let each = |((x, y), chosen): ((&[f32], &mut [f32]), &mut [u32])| self.reduce(x, y, chosen);
        if x.len() < SERIAL {
            x.chunks_exact(part)
                .zip(y.chunks_exact_mut(self.inner))
                .zip(chosen.chunks_exact_mut(self.inner))
                .for_each(each);
        } else {
            x.par_chunks_exact(part)
                .zip(y.par_chunks_exact_mut(self.inner))
                .zip(chosen.par_chunks_exact_mut(self.inner))
                .with_min_len((SERIAL / part).max(1))
                .for_each(each);
        }
        *lock(&self.chosen) = chosen;
        y.into()
    }

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
        let mut dx = Buffer::zeroed(x.len());
        let (part, inner) = (self.len * self.inner, self.inner);
        let share = match self.f {
            Reduction::Mean => 1.0 / self.len as f32,
            _ => 1.0,
        };
        let chosen = lock(&self.chosen);
        let each = |(o, dx): (usize, &mut [f32])| {
            let dy = &dy[o * inner..(o + 1) * inner];
            match self.f {
                Reduction::Sum | Reduction::Mean => {
                    for dx in dx.chunks_exact_mut(inner) {
                        for (dx, &dy) in dx.iter_mut().zip(dy) {
                            *dx = dy * share;
                        }
                    }
                }
                Reduction::Max | Reduction::Min => {
                    let chosen = &chosen[o * inner..(o + 1) * inner];
                    for (k, (&at, &dy)) in chosen.iter().zip(dy).enumerate() {
                        dx[at as usize * inner + k] = dy;
                    }
                }
            }
        };
        if x.len() < SERIAL {
            dx.chunks_exact_mut(part).enumerate().for_each(each);
        } else {
            dx.par_chunks_exact_mut(part)
                .enumerate()
                .with_min_len((SERIAL / part).max(1))
                .for_each(each);
        }
        gradients[0] = Some(dx);
        gradients
    }
}

/// What is done before and after the reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain(Reduction),
    /// Σ |x|
    L1,
    /// √Σ x²
    L2,
    /// Σ x²
    SumSquare,
    /// ln Σ x
    LogSum,
    /// ln Σ e^x
    LogSumExp,
    /// Π x, of constants only.
    Prod,
}

#[derive(Debug)]
struct Reduce {
    kind: Kind,
    axes: Setting,
    keep: bool,
    /// No axes mean none, instead of all.
    noop: bool,
}

/// Reduces `axes` of the file; they go, or stay with extent 1.
fn reduce(call: &Call<'_>, kind: Kind, value: &Value, axes: &[usize], keep: bool) -> Result<Value> {
    let dims = value.onnx_dims();
    let mut kept = dims.clone();
    axes.iter().for_each(|&axis| kept[axis] = 1);
    let squeezed: Vec<usize> = (0..dims.len())
        .filter(|axis| !axes.contains(axis))
        .map(|axis| dims[axis])
        .collect();
    let shape = if keep { kept } else { squeezed };
    if let Some(constant) = value.host() {
        return Ok(host(reduce_host(kind, constant, axes, shape)));
    }
    let pass = call.pass;
    let x = value.laid(&pass.device);
    let mut lies: Vec<usize> = axes.iter().map(|&axis| x.axis(axis)).collect();
    lies.sort_unstable();
    let square =
        |x: &Dense| arithmetic::on_device(pass, Arithmetic::Mul, x, x).unwrap_or_else(|| x.clone());
    let sum = |x: &Dense| on_device(pass, Reduction::Sum, x, &lies);
    let then = |f: Function, x: Dense| activation::on_device(pass, f, &x);
    let y = match kind {
        Kind::Plain(f) => on_device(pass, f, &x.data, &lies),
        Kind::L1 => sum(&then(Function::Abs, x.data.clone())),
        Kind::L2 => then(Function::Sqrt, sum(&square(&x.data))),
        Kind::SumSquare => sum(&square(&x.data)),
        Kind::LogSum => then(Function::Log, sum(&x.data)),
        Kind::LogSumExp => {
            // Subtracting the largest value first keeps e^x from overflowing.
            let top = on_device(pass, Reduction::Max, &x.data, &lies).detach();
            let shifted = arithmetic::on_device(pass, Arithmetic::Sub, &x.data, &top);
            let shifted = shifted.unwrap_or_else(|| x.data.clone());
            let log = then(Function::Log, sum(&then(Function::Exp, shifted)));
            arithmetic::on_device(pass, Arithmetic::Add, &log, &top).unwrap_or(log)
        }
        Kind::Prod => return Err(call.misfit("a constant", "a computed value")),
    };
    Ok(reshape_value(pass, &x.with(y), &shape))
}

fn reduce_host(kind: Kind, x: &Host, axes: &[usize], shape: Vec<usize>) -> Host {
    let mut strides = vec![0usize; x.shape.len()];
    let mut len = 1;
    for axis in (0..x.shape.len()).rev() {
        if !axes.contains(&axis) {
            strides[axis] = len;
            len *= x.shape[axis];
        }
    }
    let mut parts: Vec<Vec<f64>> = vec![Vec::new(); len];
    let is_int = matches!(x.data, HostData::Int(_));
    let values: Vec<f64> = match &x.data {
        HostData::Int(values) => values.iter().map(|&v| v as f64).collect(),
        _ => x.floats().into_iter().map(f64::from).collect(),
    };
    for (i, value) in values.into_iter().enumerate() {
        let (mut rest, mut at) = (i, 0);
        for (&size, &stride) in x.shape.iter().zip(&strides).rev() {
            at += rest % size * stride;
            rest /= size;
        }
        parts[at].push(value);
    }
    let sum = |part: &[f64], f: fn(f64) -> f64| part.iter().map(|&v| f(v)).sum::<f64>();
    let each = |part: &Vec<f64>| match kind {
        Kind::Plain(Reduction::Sum) => sum(part, |v| v),
        // Integers are divided with truncation.
        Kind::Plain(Reduction::Mean) if is_int => (sum(part, |v| v) / part.len() as f64).trunc(),
        Kind::Plain(Reduction::Mean) => sum(part, |v| v) / part.len() as f64,
        Kind::Plain(Reduction::Max) => part.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Kind::Plain(Reduction::Min) => part.iter().copied().fold(f64::INFINITY, f64::min),
        Kind::L1 => sum(part, f64::abs),
        Kind::L2 => sum(part, |v| v * v).sqrt(),
        Kind::SumSquare => sum(part, |v| v * v),
        Kind::LogSum => sum(part, |v| v).ln(),
        Kind::LogSumExp => sum(part, f64::exp).ln(),
        Kind::Prod => part.iter().product(),
    };
    let values = parts.iter().map(each);
    let data = if is_int {
        HostData::Int(values.map(|v| v as i64).collect())
    } else {
        HostData::Float(values.map(|v| v as f32).collect())
    };
    Host { shape, data }
}

impl Rule for Reduce {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let rank = value.onnx_dims().len();
        let axes = match self.axes.get(call) {
            Some(axes) if !axes.is_empty() => call.axes(&axes, rank)?,
            _ if self.noop => return Ok(value.clone()),
            _ => (0..rank).collect(),
        };
        reduce(call, self.kind, value, &axes, self.keep)
    }
}

/// Reads a node of the family of `ReduceSum`, of any opset.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed axes, and products of computed values.
pub fn reduction(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let kind = match node.op_type.as_str() {
        "ReduceSum" => Kind::Plain(Reduction::Sum),
        "ReduceMean" => Kind::Plain(Reduction::Mean),
        "ReduceMax" => Kind::Plain(Reduction::Max),
        "ReduceMin" => Kind::Plain(Reduction::Min),
        "ReduceL1" => Kind::L1,
        "ReduceL2" => Kind::L2,
        "ReduceSumSquare" => Kind::SumSquare,
        "ReduceLogSum" => Kind::LogSum,
        "ReduceLogSumExp" => Kind::LogSumExp,
        "ReduceProd" => {
            planner.require_host(node, 0)?;
            Kind::Prod
        }
        _ => return Err(planner.refuse(node, "has no training rule")),
    };
    Ok(Box::new(Reduce {
        kind,
        axes: Setting::new(planner, node, "axes", 1)?,
        keep: node.attr_i("keepdims", 1) != 0,
        noop: node.attr_i("noop_with_empty_axes", 0) != 0,
    }))
}

/// Over all pixels.
#[derive(Debug)]
struct Global(Reduction);

impl Rule for Global {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let axes: Vec<usize> = (2..value.onnx_dims().len()).collect();
        reduce(call, Kind::Plain(self.0), value, &axes, true)
    }
}

/// Reads a `GlobalAveragePool` or `GlobalMaxPool` node.
///
/// # Errors
/// None.
pub fn global(_: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(Global(if node.op_type == "GlobalMaxPool" {
        Reduction::Max
    } else {
        Reduction::Mean
    })))
}
