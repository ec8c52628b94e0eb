//! Ones and zeros, and what is kept by them: OneHot, EyeLike, Trilu, IsNaN, IsInf.
//!
//! Specs under <https://onnx.ai/onnx/operators/>: OneHot (opset 9, 11), EyeLike (9, 22), Trilu (14),
//! IsNaN (9, 13, 20), IsInf (10, 20).

use secateur_onnx::graph::Node;

use super::call::{Call, Planner, Rule, host, is_float_type};
use super::picking::product;
use crate::error::Result;
use crate::value::{Dense, Host, HostData, Value};

/// Most elements of a tensor made from indices: 1 GiB of floats.
const MAX_LEN: usize = 1 << 28;

#[derive(Debug)]
struct OneHot {
    axis: i64,
}

impl Rule for OneHot {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let (indices, of) = (call.known_ints(0)?, call.value(0)?.onnx_dims());
        let axis = call.axis(self.axis, of.len() + 1)?;
        let values = call.in_memory(2)?;
        let depth = call
            .known_ints(1)?
            .first()
            .and_then(|&depth| usize::try_from(depth).ok());
        let depth = depth.filter(|&depth| {
            let len = indices.len().checked_mul(depth);
            depth > 0 && values.len() == 2 && len.is_some_and(|len| len <= MAX_LEN)
        });
        let depth =
            depth.ok_or_else(|| call.misfit("a positive depth and two values", "others"))?;
        let inner = product(&of[axis..]);
        let mut at = vec![0usize; indices.len() * depth];
        for (position, &index) in indices.iter().enumerate() {
            // An index outside marks nothing.
            if let Ok(index) = call.index(index, depth) {
                at[(position / inner * depth + index) * inner + position % inner] = 1;
            }
        }
        let shape = [&of[..axis], &[depth], &of[axis..]].concat();
        Ok(host(values.pick(shape, at.into_iter())))
    }
}

/// Reads a `OneHot` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed indices and values.
pub fn one_hot(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    for slot in 0..3 {
        planner.require_host(node, slot)?;
    }
    Ok(Box::new(OneHot {
        axis: node.attr_i("axis", -1),
    }))
}

#[derive(Debug)]
struct EyeLike {
    diagonal: i64,
    is_float: bool,
}

impl Rule for EyeLike {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let shape = call.value(0)?.onnx_dims();
        let &[rows, columns] = shape.as_slice() else {
            return Err(call.misfit("a matrix", format!("{shape:?}")));
        };
        let on = move |row: usize, column: usize| {
            column as i64 == (row as i64).saturating_add(self.diagonal)
        };
        let ones =
            (0..rows).flat_map(|row| (0..columns).map(move |column| i64::from(on(row, column))));
        let data = if self.is_float {
            HostData::Float(ones.map(|one| one as f32).collect())
        } else {
            HostData::Int(ones.collect())
        };
        Ok(host(Host { shape, data }))
    }
}

/// Reads an `EyeLike` node.
///
/// # Errors
/// None.
pub fn eye_like(_: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(EyeLike {
        diagonal: node.attr_i("k", 0),
        is_float: is_float_type(node.attr_i("dtype", 1)),
    }))
}

#[derive(Debug)]
struct Trilu {
    upper: bool,
}

impl Rule for Trilu {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        let [.., rows, columns] = dims[..] else {
            return Err(call.misfit("matrices", format!("{dims:?}")));
        };
        let diagonal = call.ints(1).and_then(|k| k.first().copied()).unwrap_or(0);
        let keep: Vec<bool> = (0..product(&dims))
            .map(|at| {
                let (row, column) = ((at / columns % rows) as i64, (at % columns) as i64);
                let edge = row.saturating_add(diagonal);
                if self.upper {
                    column >= edge
                } else {
                    column <= edge
                }
            })
            .collect();
        let Some(constant) = value.host() else {
            let x = value.dense(&call.pass.device);
            let zeros = Dense::zeros(&dims, &call.pass.device);
            return Ok(Value::Dense(x.where_mask(&keep, &zeros)));
        };
        fn kept<T: Copy + Default>(values: &[T], keep: &[bool]) -> Vec<T> {
            let each = values.iter().zip(keep);
            each.map(|(&v, &keep)| if keep { v } else { T::default() })
                .collect()
        }
        let data = match &constant.data {
            HostData::Float(values) => HostData::Float(kept(values, &keep)),
            HostData::Int(values) => HostData::Int(kept(values, &keep)),
            HostData::Bool(values) => HostData::Bool(kept(values, &keep)),
        };
        Ok(host(Host { shape: dims, data }))
    }
}

/// Reads a `Trilu` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for a computed diagonal.
pub fn trilu(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 1)?;
    Ok(Box::new(Trilu {
        upper: node.attr_i("upper", 1) != 0,
    }))
}

#[derive(Debug)]
enum Test {
    IsNan,
    IsInf { negative: bool, positive: bool },
}

impl Rule for Test {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.in_memory(0)?;
        let test = |v: f32| match *self {
            Self::IsNan => v.is_nan(),
            Self::IsInf { negative, positive } => {
                v == f32::INFINITY && positive || v == f32::NEG_INFINITY && negative
            }
        };
        Ok(host(Host {
            shape: value.shape.clone(),
            data: HostData::Bool(value.floats().into_iter().map(test).collect()),
        }))
    }
}

/// Reads an `IsNaN` or `IsInf` node.
///
/// # Errors
/// None.
pub fn test(_: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(match node.op_type.as_str() {
        "IsNaN" => Test::IsNan,
        _ => Test::IsInf {
            negative: node.attr_i("detect_negative", 1) != 0,
            positive: node.attr_i("detect_positive", 1) != 0,
        },
    }))
}
