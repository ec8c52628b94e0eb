//! Parts of values: Slice, Split, Gather, Pad, Tile.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Slice.html> (ranges are attributes before
//! opset 10), <https://onnx.ai/onnx/operators/onnx__Split.html> (sizes are an input from 13,
//! a number of outputs from 18), <https://onnx.ai/onnx/operators/onnx__Gather.html>,
//! <https://onnx.ai/onnx/operators/onnx__Pad.html> (inputs from 11, axes from 18, `wrap` from
//! 19), <https://onnx.ai/onnx/operators/onnx__Tile.html>.

use secateur_onnx::graph::Node;

use super::axis_map::AxisMap;
use super::call::{Call, MultiRule, Planner, Rule, Setting};
use super::layout::reshape_value;
use crate::error::Result;
use crate::value::Value;

/// Most that an axis is padded by; a larger number is damage, not an image.
const MAX_PAD: i64 = 1 << 24;

#[derive(Debug)]
struct Slice {
    starts: Setting,
    ends: Setting,
    axes: Setting,
    steps: Setting,
}

/// Positions that a `Slice` takes; bounds are clamped as the standard says.
fn slice_positions(extent: usize, start: i64, end: i64, step: i64) -> Vec<Option<usize>> {
    let n = extent as i64;
    let from_front = |at: i64| if at < 0 { at.saturating_add(n) } else { at };
    let (mut at, end) = if step > 0 {
        (from_front(start).clamp(0, n), from_front(end).clamp(0, n))
    } else {
        (
            from_front(start).clamp(-1, n - 1),
            from_front(end).clamp(-1, n - 1),
        )
    };
    let mut positions = Vec::new();
    while if step > 0 { at < end } else { at > end } {
        positions.push(usize::try_from(at).ok());
        at = at.saturating_add(step);
    }
    positions
}

impl Rule for Slice {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let mut value = call.value(0)?.clone();
        let dims = value.onnx_dims();
        let starts = self.starts.get(call).unwrap_or_default();
        let ends = self.ends.get(call).unwrap_or_default();
        let axes = self.axes.get(call);
        let steps = self.steps.get(call);
        for (i, (&start, &end)) in starts.iter().zip(&ends).enumerate() {
            let axis = match &axes {
                Some(axes) => axes.get(i).copied().unwrap_or(i as i64),
                None => i as i64,
            };
            let axis = call.axis(axis, dims.len())?;
            let step = steps.as_ref().and_then(|s| s.get(i).copied()).unwrap_or(1);
            if step == 0 {
                return Err(call.misfit("steps other than 0", "0"));
            }
            let positions = slice_positions(dims[axis], start, end, step);
            if positions.is_empty() && value.host().is_none() {
                return Err(call.misfit(
                    format!("a part of axis {axis} of {dims:?}"),
                    format!("{start} to {end} by {step}, which is empty"),
                ));
            }
            value = AxisMap::select(dims[axis], &positions, 0.0).apply(call, &value, axis)?;
        }
        Ok(value)
    }
}

/// Reads a `Slice` node of any opset.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed ranges.
pub fn slice(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    Ok(Box::new(Slice {
        starts: Setting::new(planner, node, "starts", 1)?,
        ends: Setting::new(planner, node, "ends", 2)?,
        axes: Setting::new(planner, node, "axes", 3)?,
        steps: Setting::new(planner, node, "steps", 4)?,
    }))
}

#[derive(Debug)]
struct Split {
    axis: i64,
    sizes: Setting,
    count: usize,
}

impl MultiRule for Split {
    fn apply(&self, call: &Call<'_>, slots: &[usize]) -> Result<Vec<Value>> {
        slots.iter().map(|&slot| self.part(call, slot)).collect()
    }
}

impl Split {
    fn part(&self, call: &Call<'_>, index: usize) -> Result<Value> {
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        let axis = call.axis(self.axis, dims.len())?;
        let extent = dims[axis];
        let (start, len) = match self.sizes.get(call) {
            Some(sizes) => {
                let size = |v: &i64| usize::try_from(*v).unwrap_or(usize::MAX);
                let start = sizes.iter().take(index).map(size);
                let start = start.fold(0usize, usize::saturating_add);
                (start, sizes.get(index).map_or(0, size))
            }
            None => {
                // Equal parts, the last one smaller if need be (opset 18).
                let even = extent.div_ceil(self.count);
                let start = even * index;
                (start, even.min(extent.saturating_sub(start)))
            }
        };
        let end = start.saturating_add(len);
        if end > extent || len == 0 {
            return Err(call.misfit(
                format!("parts of axis {axis} of {dims:?}"),
                format!("{start} to {end}"),
            ));
        }
        AxisMap::range(extent, start..end).apply(call, value, axis)
    }
}

/// Reads a `Split` node of any opset.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed sizes.
pub fn split(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn MultiRule>> {
    Ok(Box::new(Split {
        axis: node.attr_i("axis", 0),
        sizes: Setting::new(planner, node, "split", 1)?,
        count: node.outputs.len(),
    }))
}

#[derive(Debug)]
struct Gather {
    axis: i64,
}

impl Rule for Gather {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        let axis = call.axis(self.axis, dims.len())?;
        let indices = call.value(1)?;
        let places = call
            .known_ints(1)?
            .iter()
            .map(|&i| call.index(i, dims[axis]).map(Some))
            .collect::<Result<Vec<_>>>()?;
        let taken = AxisMap::select(dims[axis], &places, 0.0).apply(call, value, axis)?;
        let mut shape = dims[..axis].to_vec();
        shape.extend(indices.onnx_dims());
        shape.extend(&dims[axis + 1..]);
        Ok(reshape_value(call.pass, &taken, &shape))
    }
}

/// Reads a `Gather` node (opset 1, 11, 13) with known indices.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed indices.
pub fn gather(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 1)?;
    Ok(Box::new(Gather {
        axis: node.attr_i("axis", 0),
    }))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum PadMode {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

/// Where every padded position comes from; negative padding cuts off.
fn padded_positions(extent: usize, before: i64, after: i64, mode: PadMode) -> Vec<Option<usize>> {
    let n = extent as i64;
    (-before..n + after)
        .map(|at| {
            let inside = match mode {
                PadMode::Constant => at,
                PadMode::Edge => at.clamp(0, n - 1),
                PadMode::Wrap => at.rem_euclid(n),
                PadMode::Reflect if n == 1 => 0,
                PadMode::Reflect => {
                    let period = at.rem_euclid(2 * (n - 1));
                    if period < n {
                        period
                    } else {
                        2 * (n - 1) - period
                    }
                }
            };
            usize::try_from(inside).ok().filter(|&at| at < extent)
        })
        .collect()
}

#[derive(Debug)]
struct Pad {
    pads: Setting,
    mode: PadMode,
    /// The value of an attribute (opset 2); otherwise it is input 2.
    value: Option<f32>,
}

impl Rule for Pad {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let mut value = call.value(0)?.clone();
        let dims = value.onnx_dims();
        let pads = self.pads.get(call).unwrap_or_default();
        let fill = self
            .value
            .or_else(|| call.floats(2)?.first().copied())
            .unwrap_or(0.0);
        let axes: Vec<i64> = match call.ints(3) {
            Some(axes) if self.value.is_none() => axes,
            _ => (0..dims.len() as i64).collect(),
        };
        if pads.len() != 2 * axes.len() {
            return Err(call.misfit(
                format!("{} numbers of padding", 2 * axes.len()),
                pads.len().to_string(),
            ));
        }
        for (i, &axis) in axes.iter().enumerate() {
            let axis = call.axis(axis, dims.len())?;
            let (before, after) = (pads[i], pads[axes.len() + i]);
            let room = dims[axis] as i64 + before.min(0) + after.min(0);
            if before.max(after) > MAX_PAD || room < 1 {
                return Err(call.misfit(
                    format!("padding that fits axis {axis} of {dims:?}"),
                    format!("{before} and {after}"),
                ));
            }
            let positions = padded_positions(dims[axis], before, after, self.mode);
            value = AxisMap::select(dims[axis], &positions, fill).apply(call, &value, axis)?;
        }
        Ok(value)
    }
}

/// Reads a `Pad` node of any opset.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed padding and unknown modes.
pub fn pad(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let mode = match node.attr_s("mode").as_deref() {
        None | Some("constant") => PadMode::Constant,
        Some("reflect") => PadMode::Reflect,
        Some("edge") => PadMode::Edge,
        Some("wrap") => PadMode::Wrap,
        Some(other) => return Err(planner.refuse(node, format!("has unknown mode `{other}`"))),
    };
    let pads = Setting::new(planner, node, "pads", 1)?;
    let attribute = matches!(pads, Setting::Fixed(_));
    if !attribute {
        planner.require_host(node, 2)?;
        planner.require_host(node, 3)?;
    }
    Ok(Box::new(Pad {
        pads,
        mode,
        value: attribute.then(|| node.attr_f("value", 0.0)),
    }))
}

#[derive(Debug)]
struct Tile;

impl Rule for Tile {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let mut value = call.value(0)?.clone();
        let dims = value.onnx_dims();
        let repeats = call.ints(1).unwrap_or_default();
        if repeats.len() != dims.len() {
            return Err(call.misfit(format!("{} repeats", dims.len()), format!("{repeats:?}")));
        }
        for (axis, &times) in repeats.iter().enumerate() {
            let count = usize::try_from(times)
                .ok()
                .filter(|&t| t > 0 && t <= 1 << 20)
                .ok_or_else(|| call.misfit("positive repeats", format!("{repeats:?}")))?;
            let positions: Vec<_> = (0..count * dims[axis])
                .map(|i| Some(i % dims[axis]))
                .collect();
            value = AxisMap::select(dims[axis], &positions, 0.0).apply(call, &value, axis)?;
        }
        Ok(value)
    }
}

/// Reads a `Tile` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed repeats.
pub fn tile(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 1)?;
    Ok(Box::new(Tile))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_take_the_positions_of_the_standard() {
        let check = |(n, start, end, step), expected: &[usize]| {
            let got: Vec<usize> = slice_positions(n, start, end, step)
                .into_iter()
                .map(Option::unwrap)
                .collect();
            assert_eq!(got, expected, "{start}..{end} by {step} of {n}");
        };
        check((5, 1, 4, 1), &[1, 2, 3]);
        check((5, -2, i64::MAX, 1), &[3, 4]);
        check((5, 0, 100, 2), &[0, 2, 4]);
        check((5, -1, i64::MIN, -1), &[4, 3, 2, 1, 0]);
        check((5, 3, 0, -2), &[3, 1]);
        check((5, 20, 0, -4), &[4]);
        check((5, 4, 2, 1), &[]);
    }

    #[test]
    fn padding_comes_from_where_the_standard_says() {
        let check = |(n, before, after), mode, expected: &[i64]| {
            let got: Vec<i64> = padded_positions(n, before, after, mode)
                .into_iter()
                .map(|p| p.map_or(-1, |p| p as i64))
                .collect();
            assert_eq!(got, expected, "{before}, {after} around {n}: {mode:?}");
        };
        check((3, 2, 1), PadMode::Constant, &[-1, -1, 0, 1, 2, -1]);
        check((3, 2, 2), PadMode::Reflect, &[2, 1, 0, 1, 2, 1, 0]);
        check((3, 2, 1), PadMode::Edge, &[0, 0, 0, 1, 2, 2]);
        check((3, 2, 4), PadMode::Wrap, &[1, 2, 0, 1, 2, 0, 1, 2, 0]);
        check((4, -1, -2), PadMode::Constant, &[1]);
    }
}
