//! Operators of one input, element by element: activations, roots, exponentials.
//!
//! Specs: <https://onnx.ai/onnx/operators/> under the names of `function`, and
//! <https://onnx.ai/onnx/operators/onnx__Clip.html> (bounds are attributes before opset 11,
//! inputs since). They work on any layout, and images stay channels last.

use std::sync::Arc;

use rayon::prelude::*;
use secateur_cpu::memory::Buffer;
use secateur_onnx::graph::Node;

use super::call::{Call, Planner, Rule, host};
use super::function::{Apply, Function};
use crate::error::Result;
use crate::extension::{CHUNK, FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::pass::Pass;
use crate::value::{Dense, Host, HostData, Value};

/// Applies `function` to every element.
pub(super) fn apply(pass: &Pass<'_>, function: Function, value: &Value) -> Value {
    if let Some(value) = value.host() {
        return host(on_host(function, value));
    }
    let x = value.laid(&pass.device);
    x.with(on_device(pass, function, &x.data))
}

/// Applies `function` to every element of a computed value.
pub(super) fn on_device(pass: &Pass<'_>, function: Function, x: &Dense) -> Dense {
    if pass.engine.is_fused() {
        let call = Arc::new(FunctionCall {
            function,
            dims: x.dims().to_vec(),
        });
        Dense::from_untyped(FusedInputs::new(x.untyped()).run(call), x.dims())
    } else {
        function.stock(x)
    }
}

fn on_host(function: Function, value: &Host) -> Host {
    let data = match (&value.data, function) {
        (HostData::Int(v), Function::Abs) => HostData::Int(v.iter().map(|v| v.abs()).collect()),
        (HostData::Int(v), Function::Neg) => {
            HostData::Int(v.iter().map(|v| v.wrapping_neg()).collect())
        }
        (HostData::Int(v), Function::Sign) => HostData::Int(v.iter().map(|v| v.signum()).collect()),
        (HostData::Int(v), Function::Relu) => HostData::Int(v.iter().map(|&v| v.max(0)).collect()),
        (HostData::Int(v), Function::Clip(low, high)) => HostData::Int(
            v.iter()
                .map(|&v| v.max(low as i64).min(high as i64))
                .collect(),
        ),
        _ => {
            let x = value.floats();
            let mut y = vec![0.0; x.len()];
            function.with_value(Map { x: &x, y: &mut y });
            HostData::Float(y)
        }
    };
    Host {
        shape: value.shape.clone(),
        data,
    }
}

/// y = f(x)
pub(super) struct Map<'a> {
    pub x: &'a [f32],
    pub y: &'a mut [f32],
}

impl Apply for Map<'_> {
    fn apply(self, f: impl Fn(f32) -> f32 + Copy + Send + Sync) {
        let run = |(x, y): (&[f32], &mut [f32])| {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = f(x);
            }
        };
        if self.x.len() <= CHUNK {
            run((self.x, self.y));
        } else {
            let chunks = self.x.par_chunks(CHUNK);
            chunks.zip(self.y.par_chunks_mut(CHUNK)).for_each(run);
        }
    }
}

/// dx = dy · f'(x)
pub(super) struct Slope<'a> {
    pub x: &'a [f32],
    pub dy: &'a [f32],
    pub dx: &'a mut [f32],
}

impl Apply for Slope<'_> {
    fn apply(self, f: impl Fn(f32) -> f32 + Copy + Send + Sync) {
        let run = |((x, dy), dx): ((&[f32], &[f32]), &mut [f32])| {
            for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
                *dx = dy * f(x);
            }
        };
        if self.x.len() <= CHUNK {
            run(((self.x, self.dy), self.dx));
        } else {
            let chunks = self.x.par_chunks(CHUNK).zip(self.dy.par_chunks(CHUNK));
            chunks.zip(self.dx.par_chunks_mut(CHUNK)).for_each(run);
        }
    }
}

#[derive(Debug)]
struct FunctionCall {
    function: Function,
    dims: Vec<usize>,
}

impl FusedOp for FunctionCall {
    fn output_shape(&self) -> Vec<usize> {
        if self.dims.is_empty() {
            vec![1]
        } else {
            self.dims.clone()
        }
    }

    fn forward(&self, [x, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let mut y = Buffer::get(x.len());
        self.function.with_value(Map { x, y: &mut y });
        y.into()
    }

    fn backward(
        &self,
        [x, ..]: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let mut gradients = InputGradients::default();
        if wanted[0] {
            let mut dx = Buffer::get(x.len());
            self.function.with_slope(Slope { x, dy, dx: &mut dx });
            gradients[0] = Some(dx);
        }
        gradients
    }
}

#[derive(Debug)]
struct Unary(Function);

impl Rule for Unary {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        Ok(apply(call.pass, self.0, call.value(0)?))
    }
}

/// Reads a node of one of the functions.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for another operator.
pub fn unary(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    match Function::of(node) {
        Some(function) => Ok(Box::new(Unary(function))),
        None => Err(planner.refuse(node, "has no training rule")),
    }
}

/// Bounds that are inputs.
#[derive(Debug)]
struct Clip;

impl Rule for Clip {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let bound = |slot: usize, default: f32| {
            let values = call.floats(slot);
            values.and_then(|v| v.first().copied()).unwrap_or(default)
        };
        let function = Function::Clip(bound(1, f32::NEG_INFINITY), bound(2, f32::INFINITY));
        Ok(apply(call.pass, function, call.value(0)?))
    }
}

/// Reads a `Clip` node of any opset.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed bounds.
pub fn clip(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    if planner.graph.opset < 11 {
        return Ok(Box::new(Unary(Function::Clip(
            node.attr_f("min", f32::MIN),
            node.attr_f("max", f32::MAX),
        ))));
    }
    planner.require_host(node, 1)?;
    planner.require_host(node, 2)?;
    Ok(Box::new(Clip))
}

/// Values as they are: `Identity`, `Dropout` and `Cast` between floating point types.
#[derive(Debug)]
struct Same;

impl Rule for Same {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        Ok(call.value(0)?.clone())
    }
}

/// `Identity`, and `Dropout`, which files exported for inference carry without effect.
///
/// # Errors
/// None.
pub fn identity(_: &Planner<'_>, _: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(Same))
}

/// Kind of an ONNX data type.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Type {
    Float,
    Int,
    Bool,
}

#[derive(Debug)]
struct Cast(Type);

impl Rule for Cast {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        if self.0 == Type::Float && call.value(0)?.host().is_none() {
            return Ok(call.value(0)?.clone());
        }
        let value = call.in_memory(0)?;
        let data = match self.0 {
            Type::Float => HostData::Float(value.floats()),
            Type::Int => HostData::Int(value.ints()),
            Type::Bool => HostData::Bool(value.bools()),
        };
        Ok(host(Host {
            shape: value.shape.clone(),
            data,
        }))
    }
}

/// `Cast` (opset 6 to 25). Floating point types are all `f32` here; a cast to another type has no
/// slope, and brings a computed value to plain memory.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for texts and complex numbers.
pub fn cast(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let kind = match node.attr_i("to", 1) {
        1 | 10 | 11 | 16 => Type::Float,
        2..=7 | 12 | 13 => Type::Int,
        9 => Type::Bool,
        other => return Err(planner.refuse(node, format!("casts to type {other}"))),
    };
    Ok(Box::new(Cast(kind)))
}

/// As `Cast`, to the type of the second input.
///
/// # Errors
/// None.
pub fn cast_like(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    if planner.all_host(node) {
        return Err(planner.refuse(node, "casts a constant to the type of another value"));
    }
    Ok(Box::new(Same))
}
