//! Elements and slices written into a tensor at known indices.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__ScatterElements.html> (opset 11 to 18; `Scatter`
//! before), <https://onnx.ai/onnx/operators/onnx__ScatterND.html> (11 to 18; reductions from 16).

use secateur_onnx::graph::Node;

use super::arithmetic::{self, Arithmetic};
use super::call::{Call, Planner, Rule, host};
use super::picking::{named_rows, places_along, product};
use super::rows::Rows;
use crate::error::Result;
use crate::value::{Dense, Host, HostData, Value};

#[derive(Debug)]
enum Target {
    /// An index for every element, along this axis.
    Elements(i64),
    /// Indices of several numbers name slices.
    Slices,
}

#[derive(Debug)]
struct Scatter {
    target: Target,
    /// What becomes of the old value and the new one; the new one takes its place without.
    reduction: Option<Arithmetic>,
}

impl Rule for Scatter {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let (value, of, updates) = (call.value(0)?, call.value(1)?.onnx_dims(), call.value(2)?);
        let dims = value.onnx_dims();
        let indices = call.known_ints(1)?;
        let (targets, behind) = match self.target {
            Target::Elements(axis) => {
                let axis = call.axis(axis, dims.len())?;
                (places_along(call, &dims, &indices, &of, axis)?, dims.len())
            }
            Target::Slices => named_rows(call, &dims, &indices, &of, 0)?,
        };
        let width = product(&dims[behind..]);
        if product(&updates.onnx_dims()) != targets.len() * width {
            let expected = format!("{} new values", targets.len() * width);
            return Err(call.misfit(expected, format!("{:?}", updates.onnx_dims())));
        }
        if let (None, Some(old), Some(new)) = (self.reduction, value.host(), updates.host()) {
            return Ok(host(write(old, new, &targets, width)));
        }
        if targets.is_empty() || width == 0 {
            return Ok(value.clone());
        }
        let rows = |value: &Value| {
            let x = value.dense(&call.pass.device);
            x.reshape(&[x.len() / width, width])
        };
        let y = self.on_device(call, &rows(value), &rows(updates), &targets);
        Ok(Value::Dense(y.reshape(&dims)))
    }
}

/// `old` with rows of `new` at `targets`.
fn write(old: &Host, new: &Host, targets: &[usize], width: usize) -> Host {
    fn place<T: Copy>(mut old: Vec<T>, new: &[T], targets: &[usize], width: usize) -> Vec<T> {
        for (index, target) in targets.iter().enumerate() {
            let row = &new[index * width..(index + 1) * width];
            old[target * width..(target + 1) * width].copy_from_slice(row);
        }
        old
    }
    let data = match (&old.data, &new.data) {
        (HostData::Int(a), HostData::Int(b)) => HostData::Int(place(a.clone(), b, targets, width)),
        (HostData::Bool(a), HostData::Bool(b)) => {
            HostData::Bool(place(a.clone(), b, targets, width))
        }
        _ => HostData::Float(place(old.floats(), &new.floats(), targets, width)),
    };
    Host {
        shape: old.shape.clone(),
        data,
    }
}

impl Scatter {
    /// Rows of `new` go to the rows `targets` of `old`: in rounds, of which each writes to a row
    /// once.
    fn on_device(&self, call: &Call<'_>, old: &Dense, new: &Dense, targets: &[usize]) -> Dense {
        let (n, width) = (old.dims()[0], old.dims()[1]);
        let mut rounds: Vec<Vec<Option<usize>>> = Vec::new();
        let mut writes = vec![0usize; n];
        for (index, &target) in targets.iter().enumerate() {
            let round = match self.reduction {
                Some(_) => writes[target],
                // The last one stays.
                None => 0,
            };
            writes[target] += 1;
            if rounds.len() == round {
                rounds.push(vec![None; n]);
            }
            rounds[round][target] = Some(index);
        }
        let mut y = old.clone();
        for at in rounds {
            let written = at
                .iter()
                .flat_map(|at| std::iter::repeat_n(at.is_some(), width));
            let written: Vec<bool> = written.collect();
            let part = Rows::copies(at).read(call.pass, new, None);
            let changed = match self.reduction {
                None => part,
                Some(f) => arithmetic::on_device(call.pass, f, &y, &part).unwrap_or(part),
            };
            y = changed.where_mask(&written, &y);
        }
        y
    }
}

/// Reads a `ScatterElements`, `Scatter` or `ScatterND` node with known indices.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed indices and unknown reductions.
pub fn scatter(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 1)?;
    let reduction = match node.attr_s("reduction").as_deref() {
        None | Some("none") => None,
        Some("add") => Some(Arithmetic::Add),
        Some("mul") => Some(Arithmetic::Mul),
        Some("max") => Some(Arithmetic::Max),
        Some("min") => Some(Arithmetic::Min),
        Some(other) => return Err(planner.refuse(node, format!("has reduction `{other}`"))),
    };
    Ok(Box::new(Scatter {
        target: match node.op_type.as_str() {
            "ScatterND" => Target::Slices,
            _ => Target::Elements(node.attr_i("axis", 0)),
        },
        reduction,
    }))
}
