//! Flatten and Reshape.
//!
//! Flattening repeats a channel's label over its pixels: a consumer loses as
//! many columns as the channel has pixels.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Flatten.html>,
//! <https://onnx.ai/onnx/operators/onnx__Reshape.html>.

use super::{OpRule, OutputShapes, misfit};
use crate::coupling::{AxisLabels, LabelContext, Labels};
use crate::error::Result;
use crate::graph::{Dim, Node};
use crate::shape::ShapeContext;

pub(super) struct Flatten;

fn product(dims: &[Dim]) -> Dim {
    match dims {
        [dim] => dim.clone(),
        _ => dims
            .iter()
            .try_fold(1usize, |product, dim| product.checked_mul(dim.fixed()?))
            .map_or(Dim::Unknown, Dim::Fixed),
    }
}

fn split(node: &Node, rank: usize) -> usize {
    let axis = node.attr_i("axis", 1);
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(axis).unwrap_or(0).min(rank)
}

/// Labels of `axes` flattened into one axis, in row-major order. At most one of them
/// may differ in labels that belong to kernels; the others just repeat it.
pub(super) fn flattened(
    context: &mut LabelContext<'_>,
    axes: &[AxisLabels],
) -> Result<AxisLabels, String> {
    match axes {
        [] => return Ok(Some(Labels::from(context.fresh(1)))),
        [one] => return Ok(one.clone()),
        _ => {}
    }
    let Some(axes) = axes.iter().map(Clone::clone).collect::<Option<Vec<_>>>() else {
        return Err("it joins axes of unknown extent".to_string());
    };
    let tracked: Vec<usize> = (0..axes.len())
        .filter(|&i| axes[i].len() > 1 && context.may_switch(&axes[i]))
        .collect();
    let axis = match tracked.as_slice() {
        [] => {
            let size = axes.iter().map(|a| a.len()).product();
            return Ok(Some(Labels::from(context.fresh(size))));
        }
        [axis] => *axis,
        _ => return Err("it joins two axes of channels".to_string()),
    };
    let outer: usize = axes[..axis].iter().map(|a| a.len()).product();
    let inner: usize = axes[axis + 1..].iter().map(|a| a.len()).product();
    let mut labels = Vec::with_capacity(outer * inner * axes[axis].len());
    for _ in 0..outer {
        for &label in axes[axis].iter() {
            labels.extend(std::iter::repeat_n(label, inner));
        }
    }
    Ok(Some(Labels::from(labels)))
}

impl OpRule for Flatten {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(shape) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let (rows, columns) = shape.split_at(split(node, shape.len()));
        let rows = if rows.is_empty() {
            Dim::Fixed(1)
        } else {
            product(rows)
        };
        Ok(vec![Some(vec![rows, product(columns)])])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        let (rows, columns) = axes.split_at(split(node, axes.len()));
        let rows = if rows.len() == 1 {
            rows[0].clone()
        } else {
            flattened(context, rows)?
        };
        let columns = flattened(context, columns)?;
        context.set_output(node, 0, vec![rows, columns]);
        Ok(())
    }
}

pub(super) struct Reshape;

/// Output extents of a reshape with constant target.
fn target(
    node: &Node,
    input: &[Dim],
    target: &[i64],
) -> std::result::Result<Vec<Dim>, &'static str> {
    let allow_zero = node.attr_i("allowzero", 0) != 0;
    let mut shape = Vec::with_capacity(target.len());
    for (axis, &extent) in target.iter().enumerate() {
        shape.push(match extent {
            0 if !allow_zero => input
                .get(axis)
                .cloned()
                .ok_or("it copies an axis that the input lacks")?,
            -1 => Dim::Unknown,
            extent => Dim::Fixed(
                usize::try_from(extent).map_err(|_| "its target holds a negative extent")?,
            ),
        });
    }
    if let Some(open) = target.iter().position(|&extent| extent == -1) {
        // The open extent is what remains. A batch copied by 0 cancels out.
        let mut numerator: Vec<&Dim> = input.iter().collect();
        let mut denominator = 1usize;
        let mut known = true;
        for (axis, dim) in shape.iter().enumerate() {
            if axis == open {
                continue;
            }
            match dim.fixed() {
                Some(size) => denominator = denominator.saturating_mul(size),
                None => match numerator.iter().position(|d| *d == dim) {
                    Some(at) if !matches!(dim, Dim::Unknown) => {
                        numerator.remove(at);
                    }
                    _ => known = false,
                },
            }
        }
        let unknown: Vec<&&Dim> = numerator.iter().filter(|d| d.fixed().is_none()).collect();
        let total = numerator
            .iter()
            .filter_map(|d| d.fixed())
            .try_fold(1usize, usize::checked_mul)
            .ok_or("its extents are too large")?;
        if known && denominator > 0 {
            match unknown.as_slice() {
                [] if total % denominator == 0 => shape[open] = Dim::Fixed(total / denominator),
                [] => return Err("its target does not divide the input"),
                [dim] if total == denominator => shape[open] = (**dim).clone(),
                _ => {}
            }
        }
    }
    Ok(shape)
}

impl OpRule for Reshape {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let (Some(input), Some(extents)) = (context.input(node, 0), context.constant(node, 1))
        else {
            return Ok(vec![None]);
        };
        target(node, input, extents)
            .map(|shape| vec![Some(shape)])
            .map_err(|reason| misfit(context, node, reason))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let axes = context.input(node, 0)?;
        let from = context
            .shape_of_input(node, 0)
            .ok_or("its input's shape is not known")?;
        let to = context
            .shape_of_output(node, 0)
            .ok_or("its output's shape is not known")?;
        // Axes are matched from the front: equal extents stay, a run of input axes may be joined.
        let mut output = Vec::with_capacity(to.len());
        let mut axis = 0;
        for (index, dim) in to.iter().enumerate() {
            if from
                .get(axis)
                .is_some_and(|d| d == dim && !matches!(d, Dim::Unknown))
            {
                output.push(axes[axis].clone());
                axis += 1;
                continue;
            }
            let is_last = index + 1 == to.len();
            let mut end = axis;
            let mut size = 1usize;
            while end < from.len() && (is_last || Some(size) != dim.fixed()) {
                size = from[end]
                    .fixed()
                    .and_then(|extent| size.checked_mul(extent))
                    .ok_or("it joins axes of unknown extent")?;
                end += 1;
            }
            if Some(size) != dim.fixed() {
                return Err("it splits or mixes axes".to_string());
            }
            let joined = flattened(context, &axes[axis..end])?;
            output.push(joined);
            axis = end;
        }
        if from[axis..].iter().any(|d| d.fixed() != Some(1)) {
            return Err("it splits or mixes axes".to_string());
        }
        context.set_output(node, 0, output);
        context.resize_constant(node, 1);
        Ok(())
    }
}
