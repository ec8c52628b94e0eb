//! Slices with step 1 take a run of channels; bounds follow what is left of it.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Slice.html> (opset 1-13).

use super::axes::axis_of;
use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::{IntValue, Parameter, ShapeContext};
use crate::graph::{Dim, Node};
use crate::labels::{LabelContext, Labels};

pub(super) struct Slice;

/// A cut of one axis.
struct Cut {
    /// Index in `starts` and `ends`.
    element: usize,
    axis: usize,
    /// `None` where computed.
    bounds: Option<(i64, i64)>,
    step: Option<i64>,
}

fn cuts(node: &Node, context: &ShapeContext<'_>, rank: usize) -> Option<Vec<Cut>> {
    let len = match node.attr_ints("starts") {
        Some(starts) => starts.len(),
        None => context.input(node, 1)?.first()?.fixed()?,
    };
    let list = |name: &str, slot: usize| context.list(node, name, slot);
    let starts = list("starts", 1).unwrap_or_default();
    let ends = list("ends", 2).unwrap_or_default();
    let axes: Vec<i64> = match context.parameter(node, "axes", 3) {
        Parameter::Known(axes) => axes,
        Parameter::Absent => (0..i64::try_from(len).ok()?).collect(),
        Parameter::Computed => return None,
    };
    let steps = match context.parameter(node, "steps", 4) {
        Parameter::Absent => vec![Some(1); len],
        _ => list("steps", 4).unwrap_or_else(|| vec![None; len]),
    };
    if axes.len() != len || steps.len() != len || len > rank {
        return None;
    }
    axes.iter()
        .enumerate()
        .map(|(element, &axis)| {
            let bound = |list: &[Option<i64>]| list.get(element).copied().flatten();
            Some(Cut {
                element,
                axis: axis_of(axis, rank)?,
                bounds: bound(&starts).zip(bound(&ends)),
                step: steps[element],
            })
        })
        .collect()
}

/// Positions that a cut of an axis of that extent takes, as first, count, step.
fn positions(cut: &Cut, extent: usize) -> Option<(usize, usize, i64)> {
    let (start, end) = cut.bounds?;
    let step = cut.step.filter(|&step| step != 0)?;
    let size = i64::try_from(extent).ok()?;
    let wrap = |bound: i64| {
        if bound < 0 {
            bound.saturating_add(size)
        } else {
            bound
        }
    };
    let (start, end) = if step > 0 {
        (wrap(start).clamp(0, size), wrap(end).clamp(0, size))
    } else {
        (
            wrap(start).clamp(-1, size - 1),
            wrap(end).clamp(-1, size - 1),
        )
    };
    let span = if step > 0 { end - start } else { start - end };
    let count = if span <= 0 {
        0
    } else {
        (span - 1) / step.checked_abs()? + 1
    };
    Some((
        usize::try_from(start).unwrap_or(0),
        usize::try_from(count).ok()?,
        step,
    ))
}

impl OpRule for Slice {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let mut shape = input.to_vec();
        let Some(cuts) = cuts(node, context, input.len()) else {
            return Ok(vec![Some(vec![Dim::Unknown; input.len()])]);
        };
        for cut in cuts {
            let whole = cut
                .bounds
                .is_some_and(|(a, b)| a == 0 && b >= i64::from(i32::MAX));
            let own = &mut shape[cut.axis];
            *own = match own.fixed() {
                Some(extent) => {
                    positions(&cut, extent).map_or(Dim::Unknown, |(_, count, _)| Dim::Fixed(count))
                }
                None if whole && cut.step == Some(1) => own.clone(),
                None => Dim::Unknown,
            };
        }
        Ok(vec![Some(shape)])
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let value = context.value(node, 0)?;
        let mut shape = value.shape.clone();
        let mut taken = Vec::new();
        for cut in cuts(node, context, shape.len())? {
            let (first, count, step) = positions(&cut, shape[cut.axis])?;
            shape[cut.axis] = count;
            taken.push((cut.axis, i64::try_from(first).ok()?, step));
        }
        let sliced = value.arranged(shape, |position| {
            let mut place = position.to_vec();
            for &(axis, first, step) in taken.iter().rev() {
                let at = step.checked_mul(i64::try_from(place[axis]).ok()?)?;
                place[axis] = usize::try_from(first.checked_add(at)?).ok()?;
            }
            Some(place)
        });
        sliced?.depending_on((1..node.inputs.len()).filter_map(|slot| context.value(node, slot)))
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let input = context.input(node, 0)?;
        let cuts = cuts(node, &context.shapes(), input.len()).ok_or("its axes are computed")?;
        let fresh = context.new_axes_of_rank(node, 0, input.len())?;
        let mut output = input.clone();
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        for cut in &cuts {
            let axis = cut.axis;
            let taken = input[axis].as_ref().and_then(|labels| {
                let (first, count, step) = positions(cut, labels.len())?;
                (step == 1).then(|| (labels.clone(), first, count))
            });
            let Some((labels, first, count)) = taken else {
                let both = [input[axis].clone(), fresh[axis].clone()];
                context.pin_axes(&both, node, "it slices by steps, or by computed bounds");
                output[axis] = fresh[axis].clone();
                continue;
            };
            let last = first + count;
            output[axis] = Some(labels[first..last].into());
            // Zero stays zero; a bound beyond the end stays beyond it.
            if cut.bounds.is_some_and(|(start, _)| start != 0) {
                starts.push((cut.element, Labels::from(&labels[..first])));
            }
            if last < labels.len() || cut.bounds.is_some_and(|(_, end)| end < 0) {
                ends.push((cut.element, Labels::from(&labels[..last])));
            } else if cut
                .bounds
                .is_some_and(|(_, end)| end == labels.len() as i64)
            {
                // A bound beyond what is left still means the end.
                ends.push((cut.element, labels.clone()));
            }
        }
        context.parameter_counts(node, "starts", 1, starts);
        context.parameter_counts(node, "ends", 2, ends);
        context.set_output(node, 0, output);
        Ok(())
    }
}
