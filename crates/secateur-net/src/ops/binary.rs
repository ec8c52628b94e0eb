//! Arithmetic of two values that broadcast: sums, products, powers, extremes, PRelu.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Add.html> (opset 7, 13, 14), also Sub, Mul,
//! Div, Pow (7 to 15), Min, Max (6 to 13), Sum, Mean (8, 13), PRelu (9, 16). A value that
//! broadcasts against images is brought into their order, so that they stay channels last.

use std::sync::Arc;

use secateur_cpu::memory::Buffer;
use secateur_onnx::graph::Node;

use super::broadcast::{Broadcast, broadcast_dims};
use super::call::{Call, Planner, Rule, host};
use super::integers;
use crate::error::Result;
use crate::extension::{FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::interpreter::{Engine, Pass};
use crate::value::{Dense, Laid, Value};

/// A function of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a · b
    Mul,
    /// a / b
    Div,
    /// a ^ b
    Pow,
    /// The smaller one.
    Min,
    /// The larger one.
    Max,
    /// a, or b · a where a is negative.
    PRelu,
}

/// Runs `$body` with `$value`, `$da` and `$db` as the function and its slopes.
macro_rules! with_function {
    ($arithmetic:expr, |$value:ident, $da:ident, $db:ident| $body:expr) => {
        match $arithmetic {
            Arithmetic::Add => with_function!(@ $value = |a, b| a + b, $da = |_, _| 1.0, $db = |_, _| 1.0, $body),
            Arithmetic::Sub => with_function!(@ $value = |a, b| a - b, $da = |_, _| 1.0, $db = |_, _| -1.0, $body),
            Arithmetic::Mul => with_function!(@ $value = |a, b| a * b, $da = |_, b| b, $db = |a, _| a, $body),
            Arithmetic::Div => with_function!(@ $value = |a, b| a / b, $da = |_, b| 1.0 / b, $db = |a, b| -a / (b * b), $body),
            Arithmetic::Pow => with_function!(@ $value = power, $da = power_slope, $db = |a, b| if a > 0.0 { a.powf(b) * a.ln() } else { 0.0 }, $body),
            Arithmetic::Min => with_function!(@ $value = |a, b| if a <= b || a.is_nan() { a } else { b }, $da = |a, b| if a <= b { 1.0 } else { 0.0 }, $db = |a, b| if a <= b { 0.0 } else { 1.0 }, $body),
            Arithmetic::Max => with_function!(@ $value = |a, b| if a >= b || a.is_nan() { a } else { b }, $da = |a, b| if a >= b { 1.0 } else { 0.0 }, $db = |a, b| if a >= b { 0.0 } else { 1.0 }, $body),
            Arithmetic::PRelu => with_function!(@ $value = |a, b| if a < 0.0 { a * b } else { a }, $da = |a, b| if a < 0.0 { b } else { 1.0 }, $db = |a, _| if a < 0.0 { a } else { 0.0 }, $body),
        }
    };
    (@ $value:ident = $f:expr, $da:ident = $fa:expr, $db:ident = $fb:expr, $body:expr) => {{
        fn typed(f: impl Fn(f32, f32) -> f32 + Copy + Send + Sync) -> impl Fn(f32, f32) -> f32 + Copy + Send + Sync { f }
        #[allow(unused_variables)]
        let ($value, $da, $db) = (typed($f), typed($fa), typed($fb));
        $body
    }};
}

/// a ^ b, with the powers that networks write as products and roots.
fn power(a: f32, b: f32) -> f32 {
    if b == 2.0 {
        a * a
    } else if b == 0.5 {
        a.sqrt()
    } else {
        a.powf(b)
    }
}

fn power_slope(a: f32, b: f32) -> f32 {
    if b == 0.0 { 0.0 } else { b * power(a, b - 1.0) }
}

impl Arithmetic {
    fn of(op_type: &str) -> Option<Self> {
        Some(match op_type {
            "Add" | "Sum" | "Mean" => Self::Add,
            "Sub" => Self::Sub,
            "Mul" => Self::Mul,
            "Div" => Self::Div,
            "Pow" => Self::Pow,
            "Min" => Self::Min,
            "Max" => Self::Max,
            "PRelu" => Self::PRelu,
            _ => return None,
        })
    }

    /// Through stock Burn; shapes have equal rank.
    fn stock(self, a: &Dense, b: &Dense) -> Dense {
        match self {
            Self::Add => a.add(b),
            Self::Sub => a.sub(b),
            Self::Mul => a.mul(b),
            Self::Div => a.div(b),
            Self::Pow => a.pow(b),
            // max(a, b) = max(a - b, 0) + b, and the mirror image.
            Self::Max => a.sub(b).clamp_min(0.0).add(b),
            Self::Min => a.sub(b).clamp_max(0.0).add(b),
            Self::PRelu => {
                let below = a.clamp_max(0.0).mul(b);
                a.clamp_min(0.0).add(&below)
            }
        }
    }

    /// f(a, b) of plain numbers.
    pub(super) fn number(self, a: f32, b: f32) -> f32 {
        with_function!(self, |f, _da, _db| f(a, b))
    }
}

/// The operands of a broadcast in one order of axes: channels last if one is an image.
fn aligned(pass: &Pass<'_>, a: &Value, b: &Value) -> [Laid; 2] {
    let to_image = |value: &Value| -> Option<Laid> {
        let dims = value.onnx_dims();
        let padded: Vec<usize> = std::iter::repeat_n(1, 4usize.checked_sub(dims.len())?)
            .chain(dims)
            .collect();
        let file = value.dense(&pass.device).reshape(&padded);
        let image = Value::Dense(file).image("").ok()?;
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

/// f(a, b) of tensors in one order of axes; `None` if they do not broadcast.
pub(super) fn on_device(pass: &Pass<'_>, f: Arithmetic, a: &Dense, b: &Dense) -> Option<Dense> {
    let walk = Broadcast::new(a.dims(), b.dims())?;
    Some(match pass.engine {
        Engine::Fused => {
            let dims = walk.dims.clone();
            let call = Arc::new(ArithmeticCall { f, walk });
            let y = FusedInputs::new(a.untyped())
                .with(1, Some(b.untyped()))
                .run(call);
            Dense::from_untyped(y, &dims)
        }
        Engine::Stock => {
            let rank = walk.dims.len();
            let padded = |x: &Dense| {
                let ones = std::iter::repeat_n(1, rank - x.dims().len());
                x.reshape(&ones.chain(x.dims().iter().copied()).collect::<Vec<_>>())
            };
            let flat = |x: Dense| if rank == 0 { x.reshape(&[1]) } else { x };
            f.stock(&flat(padded(a)), &flat(padded(b)))
                .reshape(&walk.dims)
        }
    })
}

#[derive(Debug)]
struct ArithmeticCall {
    f: Arithmetic,
    walk: Broadcast,
}

impl FusedOp for ArithmeticCall {
    fn output_shape(&self) -> Vec<usize> {
        if self.walk.dims.is_empty() {
            vec![1]
        } else {
            self.walk.dims.clone()
        }
    }

    fn forward(&self, [a, b, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let mut y = Buffer::get(self.walk.dims.iter().product());
        with_function!(self.f, |f, _da, _db| self.walk.map(a, b, &mut y, f));
        y.into()
    }

    fn backward(
        &self,
        [a, b, ..]: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let mut gradients = InputGradients::default();
        with_function!(self.f, |_f, fa, fb| {
            if wanted[0] {
                let mut da = Buffer::get(a.len());
                let slope = move |a: f32, b: f32, d: f32| d * fa(a, b);
                if a.len() == dy.len() {
                    self.walk.map3(a, b, Some(dy), &mut da, slope);
                } else {
                    self.walk.sum(false, [a, b, dy], &mut da, slope);
                }
                gradients[0] = Some(da);
            }
            if wanted[1] {
                let mut db = Buffer::get(b.len());
                let slope = move |a: f32, b: f32, d: f32| d * fb(a, b);
                if b.len() == dy.len() {
                    self.walk.map3(a, b, Some(dy), &mut db, slope);
                } else {
                    self.walk.sum(true, [a, b, dy], &mut db, slope);
                }
                gradients[1] = Some(db);
            }
        });
        gradients
    }
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
