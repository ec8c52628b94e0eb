//! Values side by side along an axis.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Concat.html> (opset 4 to 13).

use secateur_onnx::graph::Node;

use super::call::{Call, Planner, Rule, host};
use crate::error::Result;
use crate::value::{Dense, Host, HostData, Value};

#[derive(Debug)]
struct Concat {
    axis: i64,
}

impl Rule for Concat {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let parts: Vec<&Value> = (0..call.len())
            .map(|slot| call.value(slot))
            .collect::<Result<_>>()?;
        let first = parts[0].onnx_dims();
        let axis = call.axis(self.axis, first.len())?;
        for part in &parts {
            let dims = part.onnx_dims();
            let fits = dims.len() == first.len()
                && (0..dims.len()).all(|i| i == axis || dims[i] == first[i]);
            if !fits {
                return Err(call.misfit(
                    format!("parts that fit {first:?} along axis {axis}"),
                    format!("{dims:?}"),
                ));
            }
        }
        if let Some(constants) = call.hosts() {
            return Ok(host(concat_hosts(&constants, axis)));
        }
        // Parts without elements add nothing, and Burn takes no empty tensors.
        let parts: Vec<&Value> = parts
            .into_iter()
            .filter(|part| part.onnx_dims()[axis] > 0)
            .collect();
        if parts.iter().any(|part| matches!(part, Value::Image(_))) {
            let images = parts
                .iter()
                .map(|part| part.image(call.node, &call.pass.device))
                .map(|image| image.map(Dense::from_tensor))
                .collect::<Result<Vec<_>>>()?;
            let lies = [0, 3, 1, 2][axis];
            return Ok(Value::Image(Dense::concat(images, lies).tensor()));
        }
        let parts = parts.iter().map(|part| part.dense(&call.pass.device));
        Ok(Value::Dense(Dense::concat(parts.collect(), axis)))
    }
}

fn concat_hosts(parts: &[&Host], axis: usize) -> Host {
    let mut shape = parts[0].shape.clone();
    shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
    let outer: usize = shape[..axis].iter().product();
    let is = |f: fn(&HostData) -> bool| parts.iter().all(|part| f(&part.data));
    // Blocks of every part, outer index by outer index.
    fn blocks<T: Copy>(parts: &[Vec<T>], outer: usize) -> Vec<T> {
        let each = |o: usize| {
            parts.iter().flat_map(move |part| {
                let len = part.len() / outer.max(1);
                part[o * len..(o + 1) * len].iter().copied()
            })
        };
        (0..outer).flat_map(each).collect()
    }
    let data = if is(|d| matches!(d, HostData::Int(_))) {
        HostData::Int(blocks(
            &parts.iter().map(|p| p.ints()).collect::<Vec<_>>(),
            outer,
        ))
    } else if is(|d| matches!(d, HostData::Bool(_))) {
        HostData::Bool(blocks(
            &parts.iter().map(|p| p.bools()).collect::<Vec<_>>(),
            outer,
        ))
    } else {
        HostData::Float(blocks(
            &parts.iter().map(|p| p.floats()).collect::<Vec<_>>(),
            outer,
        ))
    };
    Host { shape, data }
}

/// Reads a `Concat` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] without inputs.
pub fn concat(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    if node.inputs.is_empty() {
        return Err(planner.refuse(node, "has no inputs"));
    }
    Ok(Box::new(Concat {
        axis: node.attr_i("axis", 1),
    }))
}
