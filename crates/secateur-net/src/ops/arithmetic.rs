//! Functions of two numbers, and of two tensors that broadcast.

use std::sync::Arc;

use secateur_cpu::memory::Buffer;

use super::broadcast::Broadcast;
use crate::extension::{FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::pass::Pass;
use crate::value::Dense;

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
    pub(super) fn of(op_type: &str) -> Option<Self> {
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

/// f(a, b) of tensors in one order of axes; `None` if they do not broadcast.
pub(super) fn on_device(pass: &Pass<'_>, f: Arithmetic, a: &Dense, b: &Dense) -> Option<Dense> {
    let walk = Broadcast::new(a.dims(), b.dims())?;
    Some(if pass.engine.is_fused() {
        let dims = walk.dims.clone();
        let call = Arc::new(ArithmeticCall { f, walk });
        let y = FusedInputs::new(a.untyped())
            .with(1, Some(b.untyped()))
            .run(call);
        Dense::from_untyped(y, &dims)
    } else {
        let rank = walk.dims.len();
        let padded = |x: &Dense| {
            let ones = std::iter::repeat_n(1, rank - x.dims().len());
            x.reshape(&ones.chain(x.dims().iter().copied()).collect::<Vec<_>>())
        };
        let flat = |x: Dense| if rank == 0 { x.reshape(&[1]) } else { x };
        f.stock(&flat(padded(a)), &flat(padded(b)))
            .reshape(&walk.dims)
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
