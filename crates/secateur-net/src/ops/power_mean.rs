//! Norms over windows, lines and neighbours: roots of sums of powers.
//!
//! Specs under <https://onnx.ai/onnx/operators/>: LpPool (opset 1 to 22), GlobalLpPool (1 to 22),
//! LpNormalization (1, 22), LRN (1, 13), MeanVarianceNormalization (9, 13).

use secateur_onnx::graph::Node;

use super::activation;
use super::arithmetic::{self, Arithmetic};
use super::axis_map::AxisMap;
use super::call::{Call, Planner, Rule};
use super::function::Function;
use super::pool::window_positions;
use super::reduce::{self, Reduction};
use super::window::Window;
use crate::error::Result;
use crate::pass::Pass;
use crate::value::{Dense, Value};

/// Sums below have no root: its slope would be infinite.
const SMALLEST: f32 = 1e-30;

/// f(x, number)
fn with_number(pass: &Pass<'_>, f: Arithmetic, x: &Dense, number: f32) -> Dense {
    let number = Dense::zeros(&[1], &pass.device).add_scalar(number);
    arithmetic::on_device(pass, f, x, &number).unwrap_or_else(|| x.clone())
}

/// |x|^p
fn powers(pass: &Pass<'_>, x: &Dense, p: f32) -> Dense {
    let size = activation::on_device(pass, Function::Abs, x);
    match p {
        1.0 => size,
        p => with_number(pass, Arithmetic::Pow, &size, p),
    }
}

/// The p-th root.
fn root(pass: &Pass<'_>, x: &Dense, p: f32) -> Dense {
    if p == 1.0 {
        return x.clone();
    }
    let bounded = Function::Clip(SMALLEST, f32::INFINITY);
    with_number(
        pass,
        Arithmetic::Pow,
        &activation::on_device(pass, bounded, x),
        1.0 / p,
    )
}

#[derive(Debug)]
struct LpPool {
    p: f32,
    /// A window over each axis alone.
    windows: Vec<Window>,
    ceil_mode: bool,
}

impl Rule for LpPool {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        if dims.len() != self.windows.len() + 2 {
            let expected = format!("{} axes", self.windows.len() + 2);
            return Err(call.misfit(expected, format!("{dims:?}")));
        }
        let x = value.laid(&call.pass.device);
        let mut sum = powers(call.pass, &x.data, self.p);
        for (axis, window) in self.windows.iter().enumerate() {
            let size = dims[axis + 2];
            let positions = window_positions(call, window, size, self.ceil_mode)?;
            let rows = positions
                .into_iter()
                .map(|at| at.into_iter().map(|i| (i, 1.0)).collect());
            sum = AxisMap::new(size, rows).on_device(call.pass, &sum, x.axis(axis + 2));
        }
        Ok(x.with(root(call.pass, &sum, self.p)))
    }
}

/// Reads an `LpPool` node.
///
/// # Errors
/// As [`Window::new`].
pub fn lp_pool(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let kernel_size = Window::stated_size(planner, node)?;
    let windows = (0..kernel_size.len()).map(|axis| {
        let own = Window::of_axes(node, &kernel_size, axis..axis + 1);
        Window::new(planner, &own, &kernel_size[axis..=axis])
    });
    Ok(Box::new(LpPool {
        p: node.attr_i("p", 2) as f32,
        windows: windows.collect::<Result<_>>()?,
        ceil_mode: node.attr_i("ceil_mode", 0) != 0,
    }))
}

#[derive(Debug)]
struct GlobalLpPool {
    p: f32,
}

impl Rule for GlobalLpPool {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let x = call.laid(0)?;
        let rank = x.data.dims().len();
        let mut axes: Vec<usize> = (2..rank).map(|axis| x.axis(axis)).collect();
        axes.sort_unstable();
        let sum = reduce::on_device(
            call.pass,
            Reduction::Sum,
            &powers(call.pass, &x.data, self.p),
            &axes,
        );
        Ok(x.with(root(call.pass, &sum, self.p)))
    }
}

/// Reads a `GlobalLpPool` node.
///
/// # Errors
/// None.
pub fn global_lp_pool(_: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(GlobalLpPool {
        p: node.attr_i("p", 2) as f32,
    }))
}

#[derive(Debug)]
struct LpNormalization {
    p: f32,
    axis: i64,
}

impl Rule for LpNormalization {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let x = call.laid(0)?;
        let axis = x.axis(call.axis(self.axis, x.data.dims().len())?);
        let powers = powers(call.pass, &x.data, self.p);
        let sum = reduce::on_device(call.pass, Reduction::Sum, &powers, &[axis]);
        let bounded = Function::Clip(SMALLEST, f32::INFINITY);
        let length = activation::on_device(call.pass, bounded, &root(call.pass, &sum, self.p));
        let y = arithmetic::on_device(call.pass, Arithmetic::Div, &x.data, &length);
        Ok(x.with(y.unwrap_or_else(|| x.data.clone())))
    }
}

/// Reads an `LpNormalization` node.
///
/// # Errors
/// None.
pub fn lp_normalization(_: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(LpNormalization {
        p: node.attr_i("p", 2) as f32,
        axis: node.attr_i("axis", -1),
    }))
}

/// x / (bias + alpha / size · Σ x² over `size` channels around)^beta
#[derive(Debug)]
struct LocalResponse {
    size: usize,
    alpha: f32,
    beta: f32,
    bias: f32,
}

impl Rule for LocalResponse {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let (pass, x) = (call.pass, call.laid(0)?);
        if x.data.dims().len() < 2 {
            return Err(call.misfit("[n, c, ...]", format!("{:?}", x.data.dims())));
        }
        let axis = x.axis(1);
        let channels = x.data.dims()[axis];
        let rows = (0..channels).map(|c| {
            let first = c.saturating_sub((self.size - 1) / 2);
            let behind = (c + self.size / 2 + 1).min(channels);
            (first..behind).map(|i| (i, 1.0)).collect()
        });
        let squares = powers(pass, &x.data, 2.0);
        let sum = AxisMap::new(channels, rows).on_device(pass, &squares, axis);
        let scale = sum
            .mul_scalar(self.alpha / self.size as f32)
            .add_scalar(self.bias);
        let scale = with_number(pass, Arithmetic::Pow, &scale, -self.beta);
        let y = arithmetic::on_device(pass, Arithmetic::Mul, &x.data, &scale);
        Ok(x.with(y.unwrap_or_else(|| x.data.clone())))
    }
}

/// Reads an `LRN` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] without a size.
pub fn local_response(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let size = usize::try_from(node.attr_i("size", 0)).unwrap_or(0);
    if size == 0 {
        return Err(planner.refuse(node, "has no positive size"));
    }
    Ok(Box::new(LocalResponse {
        size,
        alpha: node.attr_f("alpha", 1e-4),
        beta: node.attr_f("beta", 0.75),
        bias: node.attr_f("bias", 1.0),
    }))
}

/// (x - μ) / (σ + ε) over axes.
#[derive(Debug)]
struct MeanVariance {
    axes: Vec<i64>,
}

/// Added to the deviation, as the standard's function of this operator has it.
const DEVIATION: f32 = 1e-9;

impl Rule for MeanVariance {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let (pass, x) = (call.pass, call.laid(0)?);
        let axes = call.axes(&self.axes, x.data.dims().len())?;
        let mut axes: Vec<usize> = axes.into_iter().map(|axis| x.axis(axis)).collect();
        axes.sort_unstable();
        let with = |f: Arithmetic, a: &Dense, b: &Dense| {
            arithmetic::on_device(pass, f, a, b).unwrap_or_else(|| a.clone())
        };
        let mean = reduce::on_device(pass, Reduction::Mean, &x.data, &axes);
        let centred = with(Arithmetic::Sub, &x.data, &mean);
        let squares = with(Arithmetic::Mul, &centred, &centred);
        let variance = reduce::on_device(pass, Reduction::Mean, &squares, &axes);
        let deviation = root(pass, &variance, 2.0).add_scalar(DEVIATION);
        Ok(x.with(with(Arithmetic::Div, &centred, &deviation)))
    }
}

/// Reads a `MeanVarianceNormalization` node.
///
/// # Errors
/// None.
pub fn mean_variance(_: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(MeanVariance {
        axes: node.attr_ints("axes").unwrap_or(&[0, 2, 3]).to_vec(),
    }))
}
