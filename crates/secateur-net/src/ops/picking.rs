//! Elements and slices picked by tensors of known indices.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__GatherElements.html> (opset 11, 13),
//! <https://onnx.ai/onnx/operators/onnx__GatherND.html> (11, 12, 13),
//! <https://onnx.ai/onnx/operators/onnx__ReverseSequence.html> (10).

use secateur_onnx::graph::Node;

use super::call::{Call, Planner, Rule, host};
use super::rows::Rows;
use crate::error::Result;
use crate::value::Value;

/// Rows `at` of `value`, seen as rows of `width` elements, in shape `dims`.
///
/// # Errors
/// [`crate::NetError::Shape`] for none: networks have no values without elements.
pub(super) fn pick(
    call: &Call<'_>,
    value: &Value,
    at: Vec<usize>,
    width: usize,
    dims: Vec<usize>,
) -> Result<Value> {
    if let Some(constant) = value.host() {
        let elements = at.iter().flat_map(|&row| row * width..(row + 1) * width);
        return Ok(host(constant.pick(dims, elements)));
    }
    if at.is_empty() || width == 0 {
        return Err(call.misfit("at least one index", "none"));
    }
    let x = value.dense(&call.pass.device);
    let rows = x.reshape(&[x.len() / width, width]);
    let at = at.into_iter().map(Some).collect();
    let picked = Rows::copies(at).read(call.pass, &rows, None);
    Ok(Value::Dense(picked.reshape(&dims)))
}

/// Product of extents.
pub(super) fn product(dims: &[usize]) -> usize {
    dims.iter().product()
}

/// Places in a tensor of shape `dims` of the elements that `indices`, of shape `of`, name along
/// `axis`.
///
/// # Errors
/// [`crate::NetError::Shape`] for shapes that do not fit, and indices outside.
pub(super) fn places_along(
    call: &Call<'_>,
    dims: &[usize],
    indices: &[i64],
    of: &[usize],
    axis: usize,
) -> Result<Vec<usize>> {
    let fits = of.len() == dims.len()
        && (0..dims.len()).all(|other| other == axis || of[other] <= dims[other]);
    if !fits {
        return Err(call.misfit(format!("indices within {dims:?}"), format!("{of:?}")));
    }
    let place = |(position, &index): (usize, &i64)| {
        let (mut rest, mut stride, mut place) = (position, 1, 0);
        for other in (0..dims.len()).rev() {
            let at = match other == axis {
                true => call.index(index, dims[axis])?,
                false => rest % of[other],
            };
            rest /= of[other];
            place += at * stride;
            stride *= dims[other];
        }
        Ok(place)
    };
    indices.iter().enumerate().map(place).collect()
}

/// Rows that indices of several numbers name: behind `batch` axes that data and indices share,
/// the numbers of the last axis of the indices are positions along the next axes of the data.
/// With the number of axes that the rows lie behind.
///
/// # Errors
/// As [`places_along`].
pub(super) fn named_rows(
    call: &Call<'_>,
    dims: &[usize],
    indices: &[i64],
    of: &[usize],
    batch: usize,
) -> Result<(Vec<usize>, usize)> {
    let named = of.last().copied().unwrap_or(0);
    let behind = batch + named;
    let fits =
        named > 0 && batch < of.len() && behind <= dims.len() && of[..batch] == dims[..batch];
    if !fits {
        return Err(call.misfit(format!("indices that fit {dims:?}"), format!("{of:?}")));
    }
    let of_each = product(&of[batch..of.len() - 1]);
    let row = |(position, index): (usize, &[i64])| {
        let mut row = position / of_each.max(1);
        for (&index, &extent) in index.iter().zip(&dims[batch..behind]) {
            row = row * extent + call.index(index, extent)?;
        }
        Ok(row)
    };
    let rows = indices.chunks_exact(named).enumerate().map(row);
    Ok((rows.collect::<Result<_>>()?, behind))
}

#[derive(Debug)]
struct GatherElements {
    axis: i64,
}

impl Rule for GatherElements {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let (value, of) = (call.value(0)?, call.value(1)?.onnx_dims());
        let dims = value.onnx_dims();
        let axis = call.axis(self.axis, dims.len())?;
        let at = places_along(call, &dims, &call.known_ints(1)?, &of, axis)?;
        pick(call, value, at, 1, of)
    }
}

/// Reads a `GatherElements` node with known indices.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed indices.
pub fn gather_elements(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 1)?;
    Ok(Box::new(GatherElements {
        axis: node.attr_i("axis", 0),
    }))
}

#[derive(Debug)]
struct GatherNd {
    batch: usize,
}

impl Rule for GatherNd {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let (value, of) = (call.value(0)?, call.value(1)?.onnx_dims());
        let dims = value.onnx_dims();
        let indices = call.known_ints(1)?;
        let (at, behind) = named_rows(call, &dims, &indices, &of, self.batch)?;
        let shape = [&of[..of.len() - 1], &dims[behind..]].concat();
        pick(call, value, at, product(&dims[behind..]), shape)
    }
}

/// Reads a `GatherND` node with known indices.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed indices.
pub fn gather_nd(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 1)?;
    Ok(Box::new(GatherNd {
        batch: usize::try_from(node.attr_i("batch_dims", 0)).unwrap_or(usize::MAX / 2),
    }))
}

#[derive(Debug)]
struct ReverseSequence {
    time: i64,
    batch: i64,
}

impl Rule for ReverseSequence {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        let lengths = call.known_ints(1)?;
        let axes = [
            call.axis(self.time, dims.len())?,
            call.axis(self.batch, dims.len())?,
        ];
        let fits = axes.contains(&0) && axes.contains(&1) && lengths.len() == dims[axes[1]];
        if !fits {
            return Err(call.misfit(
                "time and batch as the first two axes, and a length for each sample",
                format!("axes {axes:?} of {dims:?}, {} lengths", lengths.len()),
            ));
        }
        let at = (0..dims[0] * dims[1]).map(|row| {
            let mut place = [row / dims[1], row % dims[1]];
            let (t, len) = (place[axes[0]] as i64, lengths[place[axes[1]]]);
            if t < len {
                place[axes[0]] = call.index(len - 1 - t, dims[axes[0]])?;
            }
            Ok(place[0] * dims[1] + place[1])
        });
        let at = at.collect::<Result<_>>()?;
        pick(call, value, at, product(&dims[2..]), dims.clone())
    }
}

/// Reads a `ReverseSequence` node with known lengths.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed lengths.
pub fn reverse_sequence(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 1)?;
    Ok(Box::new(ReverseSequence {
        time: node.attr_i("time_axis", 0),
        batch: node.attr_i("batch_axis", 1),
    }))
}
