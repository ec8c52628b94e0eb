//! Arithmetic in plain memory: what exporters write to compute shapes.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Shape.html> (opset 1 to 25),
//! <https://onnx.ai/onnx/operators/onnx__Size.html>,
//! <https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html> (9 to 25),
//! <https://onnx.ai/onnx/operators/onnx__Range.html>, the comparisons (7 to 19), And, Or,
//! Xor, Not, Mod.

use std::sync::Arc;

use secateur_onnx::graph::{Attribute, Node};

use super::arithmetic::Arithmetic;
use super::broadcast::{Broadcast, broadcast_dims};
use super::call::{Call, Planner, Rule, host};
use crate::error::Result;
use crate::value::{Host, HostData, Value};

/// Most elements of a tensor made from a shape: 1 GiB of floats.
const MAX_LEN: usize = 1 << 28;

/// A number.
pub(super) fn scalar(value: f32) -> Value {
    host(Host {
        shape: Vec::new(),
        data: HostData::Float(vec![value]),
    })
}

/// Positions in two operands.
type Pair = (usize, usize);

/// Shape of the result of two operands, and the pairs of positions in its order.
fn pairs(a: &Host, b: &Host) -> Option<(Vec<usize>, Vec<Pair>)> {
    let walk = Broadcast::new(&a.shape, &b.shape)?;
    let (sa, sb) = walk.steps();
    let mut at = Vec::new();
    walk.rows(0..walk.n_rows(), |row| {
        at.extend((0..walk.row_len()).map(|i| (row.a + i * sa, row.b + i * sb)));
    });
    Some((walk.dims, at))
}

/// f(a, b), in integers if both are; `None` if shapes do not fit or numbers overflow.
pub(super) fn arithmetic(f: Arithmetic, a: &Host, b: &Host) -> Option<Host> {
    let (shape, at) = pairs(a, b)?;
    let data = if let (HostData::Int(a), HostData::Int(b)) = (&a.data, &b.data) {
        let each = |&(i, j): &Pair| whole(f, a[i], b[j]);
        HostData::Int(at.iter().map(each).collect::<Option<_>>()?)
    } else {
        let (a, b) = (a.floats(), b.floats());
        HostData::Float(at.iter().map(|&(i, j)| f.number(a[i], b[j])).collect())
    };
    Some(Host { shape, data })
}

fn whole(f: Arithmetic, a: i64, b: i64) -> Option<i64> {
    match f {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Sub => a.checked_sub(b),
        Arithmetic::Mul => a.checked_mul(b),
        Arithmetic::Div => a.checked_div(b),
        Arithmetic::Pow => a.checked_pow(u32::try_from(b).ok()?),
        Arithmetic::Min => Some(a.min(b)),
        Arithmetic::Max => Some(a.max(b)),
        Arithmetic::PRelu => {
            if a < 0 {
                a.checked_mul(b)
            } else {
                Some(a)
            }
        }
    }
}

/// a where the condition holds, else b.
pub(super) fn choose(condition: &Host, a: &Host, b: &Host) -> Option<Host> {
    let dims = broadcast_dims(&broadcast_dims(&a.shape, &b.shape)?, &condition.shape)?;
    let (a, b) = (expand(a, &dims)?, expand(b, &dims)?);
    let keep = expand(condition, &dims)?.bools();
    let data = if let (HostData::Int(a), HostData::Int(b)) = (&a.data, &b.data) {
        let each = keep.iter().zip(a.iter().zip(b));
        HostData::Int(each.map(|(&on, (&a, &b))| if on { a } else { b }).collect())
    } else if let (HostData::Bool(a), HostData::Bool(b)) = (&a.data, &b.data) {
        let each = keep.iter().zip(a.iter().zip(b));
        HostData::Bool(each.map(|(&on, (&a, &b))| if on { a } else { b }).collect())
    } else {
        let each = keep.iter().zip(a.floats().into_iter().zip(b.floats()));
        HostData::Float(each.map(|(&on, (a, b))| if on { a } else { b }).collect())
    };
    Some(Host { shape: dims, data })
}

/// Repeated to `dims`, which its shape must broadcast to.
pub(super) fn expand(value: &Host, dims: &[usize]) -> Option<Host> {
    let like = Host {
        shape: dims.to_vec(),
        data: HostData::Bool(Vec::new()),
    };
    let (shape, at) = pairs(value, &like)?;
    (shape == dims).then(|| value.pick(shape, at.into_iter().map(|(i, _)| i)))
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    And,
    Or,
    Xor,
    Mod { floating: bool },
}

impl Rule for Comparison {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let (a, b) = (call.in_memory(0)?, call.in_memory(1)?);
        let (a, b) = (a.as_ref(), b.as_ref());
        let misfit = || {
            call.misfit(
                "shapes that broadcast",
                format!("{:?}, {:?}", a.shape, b.shape),
            )
        };
        let (shape, at) = pairs(a, b).ok_or_else(misfit)?;
        // Exact up to 2^53, which no size exceeds.
        let wide = |value: &Host| -> Vec<f64> {
            match &value.data {
                HostData::Int(values) => values.iter().map(|&v| v as f64).collect(),
                other => Host {
                    shape: Vec::new(),
                    data: other.clone(),
                }
                .floats()
                .into_iter()
                .map(f64::from)
                .collect(),
            }
        };
        let (x, y) = (wide(a), wide(b));
        let each = at.iter().map(|&(i, j)| (x[i], y[j]));
        let test =
            |f: fn(f64, f64) -> bool| HostData::Bool(each.clone().map(|(a, b)| f(a, b)).collect());
        let data = match self {
            Self::Equal => test(|a, b| a == b),
            Self::Greater => test(|a, b| a > b),
            Self::GreaterOrEqual => test(|a, b| a >= b),
            Self::Less => test(|a, b| a < b),
            Self::LessOrEqual => test(|a, b| a <= b),
            Self::And => test(|a, b| a != 0.0 && b != 0.0),
            Self::Or => test(|a, b| a != 0.0 || b != 0.0),
            Self::Xor => test(|a, b| (a != 0.0) != (b != 0.0)),
            Self::Mod { floating } => {
                let f = |(a, b): (f64, f64)| remainder(*floating, a, b);
                match (&a.data, &b.data) {
                    (HostData::Int(_), HostData::Int(_)) => {
                        if y.contains(&0.0) {
                            return Err(call.misfit("a divisor other than 0", "0"));
                        }
                        HostData::Int(each.map(|pair| f(pair) as i64).collect())
                    }
                    _ => HostData::Float(each.map(|pair| f(pair) as f32).collect()),
                }
            }
        };
        Ok(host(Host { shape, data }))
    }
}

/// What remains of a / b, with the sign of the dividend for floats (C's fmod), of the divisor
/// for integers.
fn remainder(floating: bool, a: f64, b: f64) -> f64 {
    let rest = a % b;
    if !floating && rest != 0.0 && (rest < 0.0) != (b < 0.0) {
        rest + b
    } else {
        rest
    }
}

/// Reads a comparison or a logical operator, or `Mod` of what shapes are computed with.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for `Mod` of computed values.
pub fn comparison(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    if node.op_type == "Mod" {
        planner.require_host(node, 0)?;
        planner.require_host(node, 1)?;
    }
    Ok(Box::new(match node.op_type.as_str() {
        "Equal" => Comparison::Equal,
        "Greater" => Comparison::Greater,
        "GreaterOrEqual" => Comparison::GreaterOrEqual,
        "Less" => Comparison::Less,
        "LessOrEqual" => Comparison::LessOrEqual,
        "And" => Comparison::And,
        "Or" => Comparison::Or,
        "Xor" => Comparison::Xor,
        "Mod" => Comparison::Mod {
            floating: node.attr_i("fmod", 0) != 0,
        },
        _ => return Err(planner.refuse(node, "has no training rule")),
    }))
}

#[derive(Debug)]
struct Not;

impl Rule for Not {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.in_memory(0)?;
        Ok(host(Host {
            shape: value.shape.clone(),
            data: HostData::Bool(value.bools().iter().map(|&v| !v).collect()),
        }))
    }
}

/// Reads a `Not` node.
///
/// # Errors
/// None.
pub fn not(_: &Planner<'_>, _: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(Not))
}

/// `Shape`, from opset 15 on with a range of axes.
#[derive(Debug)]
struct Shape {
    start: i64,
    end: i64,
}

impl Rule for Shape {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let dims = call.value(0)?.onnx_dims();
        let rank = dims.len() as i64;
        let bound = |at: i64| (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank);
        let (start, end) = (bound(self.start) as usize, bound(self.end) as usize);
        let extents = dims.get(start..end.max(start)).unwrap_or_default();
        Ok(Value::ints(extents.iter().map(|&d| d as i64).collect()))
    }
}

/// Reads a `Shape` node.
///
/// # Errors
/// None.
pub fn shape(_: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(Shape {
        start: node.attr_i("start", 0),
        end: node.attr_i("end", i64::MAX),
    }))
}

#[derive(Debug)]
struct Size;

impl Rule for Size {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let len: usize = call.value(0)?.onnx_dims().iter().product();
        Ok(host(Host {
            shape: Vec::new(),
            data: HostData::Int(vec![len as i64]),
        }))
    }
}

/// Reads a `Size` node.
///
/// # Errors
/// None.
pub fn size(_: &Planner<'_>, _: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(Size))
}

#[derive(Debug)]
struct ConstantOfShape {
    filling: Host,
}

impl Rule for ConstantOfShape {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let extents = call.ints(0).unwrap_or_default();
        let shape = extents
            .iter()
            .map(|&e| usize::try_from(e).ok())
            .collect::<Option<Vec<_>>>();
        let len = shape.as_ref().and_then(|shape| {
            let len = shape.iter().try_fold(1usize, |p, &e| p.checked_mul(e))?;
            (len <= MAX_LEN).then_some(len)
        });
        let (Some(shape), Some(len)) = (shape, len) else {
            return Err(call.misfit("extents of a tensor", format!("{extents:?}")));
        };
        Ok(Value::Host(Arc::new(
            self.filling.pick(shape, std::iter::repeat_n(0, len)),
        )))
    }
}

/// Reads a `ConstantOfShape` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for a value of a type that operators do not read.
pub fn constant_of_shape(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 0)?;
    let filling = match node.attributes.get("value") {
        Some(Attribute::Tensor(tensor)) => Host::from_stored(tensor).filter(|v| v.len() == 1),
        None => Some(Host {
            shape: Vec::new(),
            data: HostData::Float(vec![0.0]),
        }),
        Some(_) => None,
    };
    match filling {
        Some(filling) => Ok(Box::new(ConstantOfShape { filling })),
        None => Err(planner.refuse(node, "fills with a value that cannot be read")),
    }
}

#[derive(Debug)]
struct Range;

impl Rule for Range {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let all = call.hosts().unwrap_or_default();
        let [start, limit, delta] = all.as_slice() else {
            return Err(call.misfit("three constants", format!("{}", all.len())));
        };
        let is_int = |v: &Host| matches!(v.data, HostData::Int(_));
        let first = |v: &Host| v.floats().first().copied().map_or(0.0, f64::from);
        let (from, to, by) = (first(start), first(limit), first(delta));
        let count = ((to - from) / by).ceil().max(0.0);
        if !count.is_finite() || count > MAX_LEN as f64 {
            return Err(call.misfit("a finite range", format!("{from} to {to} by {by}")));
        }
        let values = (0..count as usize).map(|i| from + i as f64 * by);
        let data = if [start, limit, delta].into_iter().all(|v| is_int(v)) {
            HostData::Int(values.map(|v| v as i64).collect())
        } else {
            HostData::Float(values.map(|v| v as f32).collect())
        };
        Ok(host(Host {
            shape: vec![count as usize],
            data,
        }))
    }
}

/// Reads a `Range` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed bounds.
pub fn range(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    for slot in 0..3 {
        planner.require_host(node, slot)?;
    }
    Ok(Box::new(Range))
}
