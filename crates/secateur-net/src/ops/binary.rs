//! Arithmetic of two values that broadcast: sums, products, powers, extremes, PRelu.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Add.html> (opset 7, 13, 14), also Sub, Mul,
//! Div, Pow (7 to 15), Min, Max (6 to 13), Sum, Mean (8, 13), PRelu (9, 16). A value that
//! broadcasts against images is brought into their order, so that they stay channels last.

use secateur_onnx::graph::Node;

use super::arithmetic::{Arithmetic, on_device};
use super::broadcast::broadcast_dims;
use super::call::{Call, Planner, Rule, host};
use super::integers;
use crate::error::Result;
use crate::pass::Pass;
use crate::value::{Laid, Value};

/// The operands of a broadcast in one order of axes: channels last if one is an image.
fn aligned(pass: &Pass<'_>, a: &Value, b: &Value) -> [Laid; 2] {
    let to_image = |value: &Value| -> Option<Laid> {
        let dims = value.onnx_dims();
        let padded: Vec<usize> = std::iter::repeat_n(1, 4usize.checked_sub(dims.len())?)
            .chain(dims)
            .collect();
        let file = value.dense(&pass.device).reshape(&padded);
        let image = Value::Dense(file).image("", &pass.device).ok()?;
        Some(Value::Image(image).laid(&pass.device))
    };
    let plain = || [a.laid(&pass.device), b.laid(&pass.device)];
    match (a, b) {
        (Value::Image(_), Value::Image(_)) => plain(),
        (Value::Image(_), other) => match to_image(other) {
            Some(other) => [a.laid(&pass.device), other],
            None => file_order(pass, a, b),
        },
        (other, Value::Image(_)) => match to_image(other) {
            Some(other) => [other, b.laid(&pass.device)],
            None => file_order(pass, a, b),
        },
        _ => plain(),
    }
}

/// Both in the file's order.
fn file_order(pass: &Pass<'_>, a: &Value, b: &Value) -> [Laid; 2] {
    [a, b].map(|value| Laid {
        data: value.dense(&pass.device),
        channels_last: false,
    })
}

/// f(a, b) with broadcasting.
///
/// # Errors
/// [`crate::NetError::Shape`] for shapes that do not fit.
pub(super) fn apply(call: &Call<'_>, f: Arithmetic, a: &Value, b: &Value) -> Result<Value> {
    let misfit = || {
        call.misfit(
            format!("a second input that broadcasts to {:?}", a.onnx_dims()),
            format!("{:?}", b.onnx_dims()),
        )
    };
    if let (Some(a), Some(b)) = (a.host(), b.host()) {
        return integers::arithmetic(f, a, b).map(host).ok_or_else(misfit);
    }
    let [a_laid, b_laid] = aligned(call.pass, a, b);
    let order = Laid {
        data: a_laid.data.clone(),
        channels_last: a_laid.channels_last,
    };
    let y = on_device(call.pass, f, &a_laid.data, &b_laid.data).ok_or_else(misfit)?;
    Ok(order.with(y))
}

#[derive(Debug)]
struct Binary {
    f: Arithmetic,
    mean: bool,
}

impl Rule for Binary {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let mut sum = call.value(0)?.clone();
        for slot in 1..call.len() {
            sum = apply(call, self.f, &sum, call.value(slot)?)?;
        }
        if self.mean {
            let share = integers::scalar(1.0 / call.len() as f32);
            sum = apply(call, Arithmetic::Mul, &sum, &share)?;
        }
        Ok(sum)
    }
}

/// Reads a node of arithmetic with two, or for some operators any number of, inputs.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for another operator.
pub fn binary(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    match Arithmetic::of(&node.op_type) {
        Some(f) => Ok(Box::new(Binary {
            f,
            mean: node.op_type == "Mean",
        })),
        None => Err(planner.refuse(node, "has no training rule")),
    }
}

#[derive(Debug)]
struct Where;

impl Rule for Where {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let (condition, a, b) = (call.value(0)?, call.value(1)?, call.value(2)?);
        let misfit = || {
            call.misfit(
                "inputs that broadcast",
                format!(
                    "{:?}, {:?}, {:?}",
                    condition.onnx_dims(),
                    a.onnx_dims(),
                    b.onnx_dims()
                ),
            )
        };
        let Some(condition) = condition.host() else {
            return Err(call.misfit("a condition that is a constant", "a computed one"));
        };
        if let (Some(a), Some(b)) = (a.host(), b.host()) {
            return integers::choose(condition, a, b)
                .map(host)
                .ok_or_else(misfit);
        }
        let dims = broadcast_dims(&a.onnx_dims(), &b.onnx_dims())
            .and_then(|dims| broadcast_dims(&dims, &condition.shape))
            .ok_or_else(misfit)?;
        let spread = |value: &Value| {
            let x = value.dense(&call.pass.device);
            let ones = std::iter::repeat_n(1, dims.len() - x.dims().len());
            let padded: Vec<usize> = ones.chain(x.dims().iter().copied()).collect();
            x.reshape(&padded).expand(&dims)
        };
        let keep = integers::expand(condition, &dims)
            .ok_or_else(misfit)?
            .bools();
        Ok(Value::Dense(spread(a).where_mask(&keep, &spread(b))))
    }
}

/// Reads a `Where` node (opset 9, 16) with a condition from constants or shapes.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed conditions.
pub fn choose(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 0)?;
    Ok(Box::new(Where))
}
