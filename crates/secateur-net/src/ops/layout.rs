//! The same elements in another shape: Reshape, Flatten, Squeeze, Unsqueeze, Expand.
//!
//! Specs under <https://onnx.ai/onnx/operators/>: Reshape (opset 5 to 25), Flatten (1 to 25),
//! Squeeze and Unsqueeze (axes are an input from 13), Expand (8, 13).

use std::sync::Arc;

use burn::tensor::Tensor;
use secateur_cpu::layout::swap_planes;
use secateur_cpu::memory::Buffer;
use secateur_onnx::graph::Node;

use super::broadcast::broadcast_dims;
use super::call::{Call, Planner, Rule, Setting, host};
use super::integers;
use crate::error::Result;
use crate::extension::{FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::pass::Pass;
use crate::value::{Dense, Host, Value};

/// `value` in shape `dims`, which has the same number of elements.
pub(super) fn reshape_value(pass: &Pass<'_>, value: &Value, dims: &[usize]) -> Value {
    match value {
        Value::Host(constant) => host(constant.reshaped(dims.to_vec())),
        Value::Image(_) if value.onnx_dims() == dims => value.clone(),
        Value::Image(image) if pass.engine.is_fused() && is_moved(image) => {
            Value::Dense(channels_first(image).reshape(dims))
        }
        _ => Value::Dense(value.dense(&pass.device).reshape(dims)),
    }
}

/// True for images of several pixels and channels: of others the order in memory is that of
/// the file, and [`Value::dense`] only reshapes them.
fn is_moved(image: &Tensor<4>) -> bool {
    let [_, h, w, c] = image.dims();
    h * w > 1 && c > 1
}

/// Images in the file's order of axes, `[n, c, h, w]`.
fn channels_first(image: &Tensor<4>) -> Dense {
    let [n, h, w, c] = image.dims();
    let call = Arc::new(SwapCall([n, h * w, c]));
    let x = FusedInputs::new(image.clone());
    Dense::from_untyped(x.run(call), &[n, c, h, w])
}

/// Swaps the last two of three axes.
#[derive(Debug)]
struct SwapCall([usize; 3]);

impl FusedOp for SwapCall {
    fn output_shape(&self) -> Vec<usize> {
        vec![self.0.iter().product()]
    }

    fn forward(&self, [x, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let mut y = Buffer::get(x.len());
        swap_planes(self.0, x, &mut y);
        y.into()
    }

    fn backward(
        &self,
        [x, ..]: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        _: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let [n, rows, columns] = self.0;
        let mut dx = Buffer::get(x.len());
        swap_planes([n, columns, rows], dy, &mut dx);
        let mut gradients = InputGradients::default();
        gradients[0] = Some(dx);
        gradients
    }
}

/// Fails unless both shapes have the same number of elements.
fn same_len(call: &Call<'_>, from: &[usize], to: &[usize]) -> Result<()> {
    let len = |dims: &[usize]| dims.iter().product::<usize>();
    if len(from) == len(to) {
        return Ok(());
    }
    Err(call.misfit(
        format!("{} elements for shape {to:?}", len(to)),
        format!("{} of shape {from:?}", len(from)),
    ))
}

#[derive(Debug)]
struct Reshape {
    target: Setting,
    /// 0 stands for an extent of 0, not for that of the input (opset 14).
    allow_zero: bool,
    fixed_batch: Option<usize>,
    /// Axes of input and output with a fixed batch that is not the first.
    inner_batch: Option<(usize, usize)>,
}

impl Rule for Reshape {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        let mut target = self
            .target
            .get(call)
            .ok_or_else(|| call.misfit("a known target shape", "a computed one"))?;
        // A file exported for one batch size serves all of them.
        if let (Some(batch), Some(first), Some(&n)) =
            (self.fixed_batch, target.first_mut(), dims.first())
            && *first == batch as i64
        {
            *first = n as i64;
        }
        let len: usize = dims.iter().product();
        let shape = self.resolve(&target, &dims).or_else(|| {
            let (from, to) = self.inner_batch?;
            *target.get_mut(to)? = i64::try_from(*dims.get(from)?).ok()?;
            self.resolve(&target, &dims)
        });
        let shape = shape.ok_or_else(|| {
            call.misfit(
                format!("a target that holds {len} elements of {dims:?}"),
                format!("{target:?}"),
            )
        })?;
        Ok(reshape_value(call.pass, value, &shape))
    }
}

impl Reshape {
    /// The shape that `target` means for an input of shape `dims`; `None` if it does not hold as
    /// many elements.
    fn resolve(&self, target: &[i64], dims: &[usize]) -> Option<Vec<usize>> {
        let mut shape = Vec::with_capacity(target.len());
        let mut open = None;
        for (axis, &extent) in target.iter().enumerate() {
            shape.push(match extent {
                -1 if open.is_none() => {
                    open = Some(axis);
                    1
                }
                0 if !self.allow_zero => *dims.get(axis)?,
                extent => usize::try_from(extent).ok()?,
            });
        }
        let len: usize = dims.iter().product();
        let known = shape.iter().try_fold(1usize, |p, &e| p.checked_mul(e))?;
        if let Some(axis) = open {
            shape[axis] = len.checked_div(known).unwrap_or(0);
        }
        (shape.iter().product::<usize>() == len).then_some(shape)
    }
}

/// Reads a `Reshape` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for a computed shape.
pub fn reshape(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(Reshape {
        target: Setting::new(planner, node, "shape", 1)?,
        allow_zero: node.attr_i("allowzero", 0) != 0,
        fixed_batch: planner.fixed_batch(node),
        inner_batch: planner.inner_batch(node),
    }))
}

#[derive(Debug)]
struct Flatten {
    axis: i64,
}

impl Rule for Flatten {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        // The axis may lie behind the last one.
        let axis = match self.axis {
            axis if axis == dims.len() as i64 => dims.len(),
            axis => call.axis(axis, dims.len())?,
        };
        let len = |dims: &[usize]| dims.iter().product::<usize>();
        let shape = [len(&dims[..axis]), len(&dims[axis..])];
        Ok(reshape_value(call.pass, value, &shape))
    }
}

/// Reads a `Flatten` node.
///
/// # Errors
/// None.
pub fn flatten(_: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(Flatten {
        axis: node.attr_i("axis", 1),
    }))
}

#[derive(Debug)]
struct Squeeze(Setting);

impl Rule for Squeeze {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        let gone = match self.0.get(call) {
            Some(axes) => call.axes(&axes, dims.len())?,
            None => (0..dims.len()).filter(|&axis| dims[axis] == 1).collect(),
        };
        let kept = |axis: &usize| !gone.contains(axis);
        let shape: Vec<usize> = (0..dims.len())
            .filter(kept)
            .map(|axis| dims[axis])
            .collect();
        same_len(call, &dims, &shape)?;
        Ok(reshape_value(call.pass, value, &shape))
    }
}

/// Reads a `Squeeze` node of any opset.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed axes.
pub fn squeeze(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(Squeeze(Setting::new(planner, node, "axes", 1)?)))
}

#[derive(Debug)]
struct Unsqueeze(Setting);

impl Rule for Unsqueeze {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        let axes = self.0.get(call).unwrap_or_default();
        let rank = dims.len() + axes.len();
        let new = call.axes(&axes, rank)?;
        let mut old = dims.iter().copied();
        let shape: Vec<usize> = (0..rank)
            .map(|axis| {
                if new.contains(&axis) {
                    1
                } else {
                    old.next().unwrap_or(1)
                }
            })
            .collect();
        Ok(reshape_value(call.pass, value, &shape))
    }
}

/// Reads an `Unsqueeze` node of any opset.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed axes.
pub fn unsqueeze(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(Unsqueeze(Setting::new(planner, node, "axes", 1)?)))
}

#[derive(Debug)]
struct Expand {
    fixed_batch: Option<usize>,
}

impl Rule for Expand {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        let mut target = call.ints(1).unwrap_or_default();
        if let (Some(batch), Some(first), Some(&n)) =
            (self.fixed_batch, target.first_mut(), dims.first())
            && *first == batch as i64
        {
            *first = n as i64;
        }
        let misfit = || {
            call.misfit(
                format!("a shape that {dims:?} broadcasts to"),
                format!("{target:?}"),
            )
        };
        let extents = target
            .iter()
            .map(|&e| usize::try_from(e).ok().filter(|&e| e > 0))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(misfit)?;
        if let Some(constant) = value.host()
            && let Some(one) = alike_along(constant, &extents)
        {
            return integers::expand(&one, &extents)
                .map(host)
                .ok_or_else(misfit);
        }
        let shape = broadcast_dims(&dims, &extents).ok_or_else(misfit)?;
        if shape == dims {
            return Ok(value.clone());
        }
        if let Some(constant) = value.host() {
            return integers::expand(constant, &shape)
                .map(host)
                .ok_or_else(misfit);
        }
        let x = value.dense(&call.pass.device);
        let ones = std::iter::repeat_n(1, shape.len() - dims.len());
        let padded: Vec<usize> = ones.chain(dims.iter().copied()).collect();
        Ok(Value::Dense(x.reshape(&padded).expand(&shape)))
    }
}

/// A constant that a file stores for its own batch, such as the first states of a recurrent layer,
/// for `extents`: where one axis has another extent, the first of its positions, if all are alike.
fn alike_along(constant: &Host, extents: &[usize]) -> Option<Host> {
    let dims = &constant.shape;
    let differs = |&axis: &usize| dims[axis] != extents[axis] && dims[axis] != 1;
    let mut axes = (0..dims.len())
        .filter(|_| dims.len() == extents.len())
        .filter(differs);
    let axis = axes.next().filter(|_| axes.next().is_none())?;
    let inner: usize = dims[axis + 1..].iter().product();
    let mut shape = dims.clone();
    shape[axis] = 1;
    let kept = (0..constant.len()).filter(|at| (at / inner).is_multiple_of(dims[axis]));
    let one = constant.pick(shape, kept);
    (integers::expand(&one, dims)? == *constant).then_some(one)
}

/// Reads an `Expand` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for a computed shape.
pub fn expand(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 1)?;
    Ok(Box::new(Expand {
        fixed_batch: planner.fixed_batch(node),
    }))
}
