//! Where values lie: the largest, the first few, those other than zero. Positions have no gradient
//! and stay in plain memory; values that are picked by them have.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__ArgMax.html> (opset 1 to 13),
//! <https://onnx.ai/onnx/operators/onnx__TopK.html> (1, 10, 11, 24),
//! <https://onnx.ai/onnx/operators/onnx__Hardmax.html> (1, 11, 13),
//! <https://onnx.ai/onnx/operators/onnx__NonZero.html> (9, 13).

use std::cmp::Ordering;

use secateur_onnx::graph::Node;

use super::call::{Call, MultiRule, Planner, Rule, Setting, host};
use super::picking::{pick, product};
use crate::error::Result;
use crate::value::{Host, HostData, Value};

/// A value's axes around one: outer parts, positions along it, inner positions.
#[derive(Debug, Clone, Copy)]
struct Lines {
    outer: usize,
    len: usize,
    inner: usize,
}

impl Lines {
    fn new(dims: &[usize], axis: usize) -> Self {
        Self {
            outer: product(&dims[..axis]),
            len: dims[axis],
            inner: product(&dims[axis + 1..]),
        }
    }

    /// Places of the elements of every line.
    fn places(self) -> impl Iterator<Item = Vec<usize>> {
        (0..self.outer * self.inner).map(move |line| {
            let (o, i) = (line / self.inner, line % self.inner);
            (0..self.len)
                .map(|k| (o * self.len + k) * self.inner + i)
                .collect()
        })
    }
}

/// The larger first if `largest`; NaN counts as largest.
fn compare(largest: bool, a: f32, b: f32) -> Ordering {
    let order = a
        .partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    if largest { order.reverse() } else { order }
}

#[derive(Debug)]
struct ArgExtreme {
    axis: i64,
    keep: bool,
    largest: bool,
    /// Of equal ones, the last.
    last: bool,
}

/// Place along its line of the first (or last) extreme of every line.
fn extremes(values: &[f32], lines: Lines, largest: bool, last: bool) -> Vec<usize> {
    let best = |places: Vec<usize>| {
        let mut best = 0;
        for (k, &place) in places.iter().enumerate().skip(1) {
            match compare(largest, values[place], values[places[best]]) {
                Ordering::Less => best = k,
                Ordering::Equal if last => best = k,
                _ => {}
            }
        }
        best
    };
    lines.places().map(best).collect()
}

impl Rule for ArgExtreme {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.in_memory(0)?;
        let mut dims = value.shape.clone();
        let axis = call.axis(self.axis, dims.len())?;
        let lines = Lines::new(&dims, axis);
        let found = extremes(&value.floats(), lines, self.largest, self.last);
        if self.keep {
            dims[axis] = 1;
        } else {
            dims.remove(axis);
        }
        Ok(host(Host {
            shape: dims,
            data: HostData::Int(found.into_iter().map(|k| k as i64).collect()),
        }))
    }
}

/// Reads an `ArgMax` or `ArgMin` node.
///
/// # Errors
/// None.
pub fn arg_extreme(_: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(ArgExtreme {
        axis: node.attr_i("axis", 0),
        keep: node.attr_i("keepdims", 1) != 0,
        largest: node.op_type == "ArgMax",
        last: node.attr_i("select_last_index", 0) != 0,
    }))
}

#[derive(Debug)]
struct Hardmax {
    axis: i64,
    /// Everything from the axis on is one line (before opset 13).
    whole_rows: bool,
}

impl Rule for Hardmax {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.in_memory(0)?;
        let axis = call.axis(self.axis, value.shape.len())?;
        let mut lines = Lines::new(&value.shape, axis);
        if self.whole_rows {
            (lines.len, lines.inner) = (lines.len * lines.inner, 1);
        }
        let found = extremes(&value.floats(), lines, true, false);
        let mut ones = vec![0.0; value.len()];
        for (places, k) in lines.places().zip(found) {
            ones[places[k]] = 1.0;
        }
        Ok(host(Host {
            shape: value.shape.clone(),
            data: HostData::Float(ones),
        }))
    }
}

/// Reads a `Hardmax` node.
///
/// # Errors
/// None.
pub fn hardmax(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let old = planner.graph.opset < 13;
    Ok(Box::new(Hardmax {
        axis: node.attr_i("axis", if old { 1 } else { -1 }),
        whole_rows: old,
    }))
}

#[derive(Debug)]
struct TopK {
    axis: i64,
    count: Setting,
    largest: bool,
}

impl MultiRule for TopK {
    fn apply(&self, call: &Call<'_>, slots: &[usize]) -> Result<Vec<Value>> {
        let value = call.in_memory(0)?;
        let mut dims = value.shape.clone();
        let axis = call.axis(self.axis, dims.len())?;
        let count = self
            .count
            .get(call)
            .and_then(|k| usize::try_from(*k.first()?).ok());
        let count = count
            .filter(|k| (1..=dims[axis]).contains(k))
            .ok_or_else(|| {
                call.misfit(
                    format!("1 to {} values", dims[axis]),
                    format!("{:?}", self.count.get(call)),
                )
            })?;
        let (values, lines) = (value.floats(), Lines::new(&dims, axis));
        dims[axis] = count;
        let len = product(&dims);
        let (mut at, mut indices) = (vec![0usize; len], vec![0i64; len]);
        let to = Lines::new(&dims, axis);
        for (places, to) in lines.places().zip(to.places()) {
            let mut order: Vec<usize> = (0..places.len()).collect();
            order.sort_by(|&a, &b| compare(self.largest, values[places[a]], values[places[b]]));
            for (&k, to) in order.iter().zip(to) {
                (at[to], indices[to]) = (places[k], k as i64);
            }
        }
        let outputs = slots.iter().map(|slot| match slot {
            0 => pick(call, call.value(0)?, at.clone(), 1, dims.clone()),
            _ => Ok(host(Host {
                shape: dims.clone(),
                data: HostData::Int(indices.clone()),
            })),
        });
        outputs.collect()
    }
}

/// Reads a `TopK` node of any opset.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for a computed number of values.
pub fn top_k(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn MultiRule>> {
    let count = match node.attributes.contains_key("k") {
        true => Setting::Fixed(vec![node.attr_i("k", 0)]),
        false => {
            planner.require_host(node, 1)?;
            Setting::Slot(1)
        }
    };
    Ok(Box::new(TopK {
        axis: node.attr_i("axis", -1),
        count,
        largest: node.attr_i("largest", 1) != 0,
    }))
}

#[derive(Debug)]
struct NonZero;

impl Rule for NonZero {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.in_memory(0)?;
        let found: Vec<usize> = (0..value.len())
            .zip(value.bools())
            .filter(|(_, on)| *on)
            .map(|(at, _)| at)
            .collect();
        let mut positions = Vec::with_capacity(found.len() * value.shape.len());
        for axis in 0..value.shape.len() {
            let inner = product(&value.shape[axis + 1..]);
            positions.extend(
                found
                    .iter()
                    .map(|at| (at / inner % value.shape[axis]) as i64),
            );
        }
        Ok(host(Host {
            shape: vec![value.shape.len(), found.len()],
            data: HostData::Int(positions),
        }))
    }
}

/// Reads a `NonZero` node.
///
/// # Errors
/// None.
pub fn non_zero(_: &Planner<'_>, _: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(NonZero))
}
