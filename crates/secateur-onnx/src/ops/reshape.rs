//! Reshape: axes are split and joined, elements keep their order.
//!
//! Input and output axes are matched in blocks of equal size. In a block, one
//! axis may hold kernels; an output axis can carry them if its positions partition
//! the channels: two channels that share a position are one. (Channel shuffle:
//! `[c]` to `[groups, c / groups]`; flattening: `[c, h, w]` to `[c · h · w]`.)
//! Removing whole classes takes the same elements from both sides, so the order of
//! the rest is kept.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Reshape.html>.

use std::ops::Range;

use super::{OpRule, OutputShapes, misfit};
use crate::coupling::{AxisLabels, LabelContext, Labels};
use crate::error::Result;
use crate::graph::{Dim, Node};
use crate::shape::{IntValue, Number, ShapeContext};

pub(super) struct Reshape;

/// Blocks of more elements are not followed, for the sake of time.
const MAX_BLOCK: usize = 1 << 22;

/// Output extents of a reshape.
fn target(
    node: &Node,
    input: &[Dim],
    target: &[Number],
) -> std::result::Result<Vec<Dim>, &'static str> {
    let allow_zero = node.attr_i("allowzero", 0) != 0;
    let mut shape = Vec::with_capacity(target.len());
    let mut open = None;
    for (axis, extent) in target.iter().enumerate() {
        shape.push(match extent.known() {
            Some(0) if !allow_zero => input
                .get(axis)
                .cloned()
                .ok_or("it copies an axis that the input lacks")?,
            Some(-1) => {
                if open.replace(axis).is_some() {
                    return Err("its target leaves two extents open");
                }
                Dim::Unknown
            }
            Some(extent) if extent < 0 => return Err("its target holds a negative extent"),
            _ => extent.dim(),
        });
    }
    let Some(open) = open else { return Ok(shape) };
    // The open extent is what remains. A batch that is copied cancels out.
    let mut left: Vec<&Dim> = input.iter().collect();
    let mut denominator = 1usize;
    for (axis, dim) in shape.iter().enumerate().filter(|(axis, _)| *axis != open) {
        match dim.fixed() {
            Some(size) => {
                denominator = denominator
                    .checked_mul(size)
                    .ok_or("its extents are too large")?;
            }
            None => match left.iter().position(|d| *d == dim && **d != Dim::Unknown) {
                Some(at) => drop(left.remove(at)),
                None => return Ok(shape),
            },
        }
        let _ = axis;
    }
    let total = left
        .iter()
        .filter_map(|dim| dim.fixed())
        .try_fold(1usize, usize::checked_mul)
        .ok_or("its extents are too large")?;
    let unknown: Vec<&&Dim> = left.iter().filter(|dim| dim.fixed().is_none()).collect();
    match unknown.as_slice() {
        [] if denominator > 0 && total % denominator == 0 => {
            shape[open] = Dim::Fixed(total / denominator);
        }
        [] if denominator > 0 => return Err("its target does not divide the input"),
        [dim] if total == denominator => shape[open] = (**dim).clone(),
        _ => {}
    }
    Ok(shape)
}

/// Splits two shapes of one size into the smallest blocks of equal size.
fn blocks(from: &[Dim], to: &[Dim]) -> Vec<(Range<usize>, Range<usize>)> {
    let alike = |a: &Dim, b: &Dim| a == b && *a != Dim::Unknown;
    let front = from.iter().zip(to).take_while(|(a, b)| alike(a, b)).count();
    let shorter = (from.len() - front).min(to.len() - front);
    let back = (0..shorter)
        .take_while(|i| alike(&from[from.len() - 1 - i], &to[to.len() - 1 - i]))
        .count();
    let mut found: Vec<_> = (0..front).map(|i| (i..i + 1, i..i + 1)).collect();
    let (end_from, end_to) = (from.len() - back, to.len() - back);
    let (mut i, mut j) = (front, front);
    while i < end_from || j < end_to {
        let (start_i, start_j) = (i, j);
        let (mut a, mut b) = (Some(1usize), Some(1usize));
        loop {
            // The smaller side takes the next axis; a side at its end leaves it to the other.
            let take_from = match (a, b) {
                _ if i == end_from => false,
                _ if j == end_to => true,
                (Some(a), Some(b)) => a <= b,
                _ => true,
            };
            if take_from {
                a = a
                    .zip(from[i].fixed())
                    .and_then(|(a, size)| a.checked_mul(size));
                i += 1;
            } else {
                b = b
                    .zip(to[j].fixed())
                    .and_then(|(b, size)| b.checked_mul(size));
                j += 1;
            }
            let both = i > start_i && j > start_j;
            let done = i == end_from && j == end_to;
            if done || (both && a.is_some() && a == b) {
                break;
            }
        }
        found.push((start_i..i, start_j..j));
    }
    found.extend((0..back).map(|k| (end_from + k..end_from + k + 1, end_to + k..end_to + k + 1)));
    found
}

/// Per element of a block, its position along the axis of that extent and stride.
fn coordinate(element: usize, stride: usize, extent: usize) -> usize {
    element / stride % extent
}

/// Partition of `channels` positions that arises where two of them share a coordinate
/// of an axis: class of each channel, class of each coordinate, number of classes.
fn partition(
    total: usize,
    (channels, channel_stride): (usize, usize),
    (extent, stride): (usize, usize),
) -> (Vec<usize>, Vec<usize>, usize) {
    // Union-find over channels and, behind them, coordinates.
    let mut parent: Vec<usize> = (0..channels + extent).collect();
    fn root(parent: &mut [usize], mut node: usize) -> usize {
        while parent[node] != node {
            parent[node] = parent[parent[node]];
            node = parent[node];
        }
        node
    }
    // Elements repeat in steps of the smaller stride: those in between add nothing.
    let step = if channel_stride % stride == 0 || stride % channel_stride == 0 {
        channel_stride.min(stride)
    } else {
        1
    };
    for element in (0..total).step_by(step) {
        let a = root(&mut parent, coordinate(element, channel_stride, channels));
        let b = root(&mut parent, channels + coordinate(element, stride, extent));
        parent[a.max(b)] = a.min(b);
    }
    let classes: Vec<usize> = (0..channels + extent)
        .map(|i| root(&mut parent, i))
        .collect();
    let count = classes
        .iter()
        .enumerate()
        .filter(|(i, class)| i == *class)
        .count();
    (
        classes[..channels].to_vec(),
        classes[channels..].to_vec(),
        count,
    )
}

/// The one axis of several positions; `None` if there are more, or an extent is unknown.
fn only_axis(axes: &[AxisLabels]) -> Option<usize> {
    let lens: Vec<usize> = axes
        .iter()
        .map(|labels| labels.as_ref().map(|labels| labels.len()))
        .collect::<Option<_>>()?;
    let mut long = (0..lens.len()).filter(|&axis| lens[axis] > 1);
    long.next().filter(|_| long.next().is_none())
}

/// Labels of the output axes of a block.
fn relabel_block(
    node: &Node,
    context: &mut LabelContext<'_>,
    from: &[AxisLabels],
    to: &mut [AxisLabels],
) -> std::result::Result<(), String> {
    if let ([one], [other]) = (from, &mut *to) {
        *other = one.clone();
        return Ok(());
    }
    // One axis among axes of one position: it moves as it is, even if nothing makes it a
    // kernel yet (a stored scale that is given the rank of an image).
    if let (Some(source), Some(target)) = (only_axis(from), only_axis(to)) {
        let len = |labels: &AxisLabels| labels.as_ref().map(|labels| labels.len());
        if len(&from[source]) == len(&to[target]) {
            to[target] = from[source].clone();
            return Ok(());
        }
    }
    let switching: Vec<usize> = (0..from.len())
        .filter(|&axis| {
            from[axis]
                .as_ref()
                .is_some_and(|l| l.len() > 1 && context.may_switch(l))
        })
        .collect();
    let reason = "it splits or joins axes";
    let [axis] = switching[..] else {
        context.pin_axes(from, node, reason);
        context.pin_axes(to, node, reason);
        return Ok(());
    };
    let sizes = |axes: &[AxisLabels]| -> Option<Vec<usize>> {
        axes.iter()
            .map(|labels| labels.as_ref().map(|labels| labels.len()))
            .collect()
    };
    let Some(labels) = from[axis].clone() else {
        return Ok(());
    };
    // Without the extents around it, an axis can only keep its place.
    let (Some(from_sizes), Some(to_sizes)) = (sizes(from), sizes(to)) else {
        context.pin_axes(
            from,
            node,
            "it joins channels with an axis of unknown extent",
        );
        context.pin_axes(to, node, reason);
        return Ok(());
    };
    let total = from_sizes
        .iter()
        .try_fold(1usize, |n, &size| n.checked_mul(size));
    let to_total = to_sizes
        .iter()
        .try_fold(1usize, |n, &size| n.checked_mul(size));
    let Some(total) = total.filter(|&n| Some(n) == to_total && n <= MAX_BLOCK && n > 0) else {
        return Err("its extents are too large, or do not fit".to_string());
    };
    let stride = |sizes: &[usize], axis: usize| sizes[axis + 1..].iter().product::<usize>();
    let channel = (from_sizes[axis], stride(&from_sizes, axis));
    let mut best: Option<(usize, Vec<usize>, Vec<usize>, usize)> = None;
    for carrier in (0..to.len()).filter(|&carrier| to_sizes[carrier] > 1) {
        let own = (to_sizes[carrier], stride(&to_sizes, carrier));
        let (channels, coordinates, count) = partition(total, channel, own);
        if best.as_ref().is_none_or(|(.., most)| count > *most) {
            best = Some((carrier, channels, coordinates, count));
        }
    }
    let Some((carrier, channels, coordinates, _)) = best else {
        return Ok(());
    };
    for (position, &class) in channels.iter().enumerate() {
        // A class is named after its first channel.
        context.merge_one(labels[position], labels[class]);
    }
    for (other, axis_labels) in from.iter().enumerate() {
        if other != axis {
            context.pin_axes(std::slice::from_ref(axis_labels), node, reason);
        }
    }
    for (other, axis_labels) in to.iter_mut().enumerate() {
        if other == carrier {
            *axis_labels = Some(
                coordinates
                    .iter()
                    .map(|&class| labels[class])
                    .collect::<Labels>(),
            );
        } else {
            context.pin_axes(std::slice::from_ref(axis_labels), node, reason);
        }
    }
    Ok(())
}

/// Labels of a node that reshapes its first input, by the inferred shapes.
pub(super) fn relabel(
    node: &Node,
    context: &mut LabelContext<'_>,
) -> std::result::Result<(), String> {
    let axes = context.input(node, 0)?;
    let mut output = context.new_axes(node, 0)?;
    let shapes = context.shapes();
    let from = shapes.input(node, 0).unwrap_or_default();
    let to = node
        .outputs
        .first()
        .and_then(|name| shapes.known.shapes.get(name));
    for (source, target) in blocks(from, to.map_or(&[], Vec::as_slice)) {
        relabel_block(node, context, &axes[source], &mut output[target])?;
    }
    context.set_output(node, 0, output);
    Ok(())
}

/// A constant target that gives the same shape, where dynamic extents allow it: an
/// extent is written out, copied by 0, or left open by -1.
fn constant_target(node: &Node, shapes: &ShapeContext<'_>) -> Option<Vec<i64>> {
    let (input, value) = (shapes.input(node, 0)?, shapes.value(node, 1)?);
    let allow_zero = node.attr_i("allowzero", 0) != 0;
    let mut open = value
        .elements
        .iter()
        .any(|element| element.number.known() == Some(-1));
    value
        .elements
        .iter()
        .enumerate()
        .map(|(axis, element)| match element.number.known() {
            Some(value) => Some(value),
            None if !allow_zero
                && matches!(element.number, Number::Named(_))
                && input.get(axis) == Some(&element.number.dim()) =>
            {
                Some(0)
            }
            None if !open => {
                open = true;
                Some(-1)
            }
            None => None,
        })
        .collect()
}

impl OpRule for Reshape {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(input) = context.input(node, 0) else {
            return Ok(vec![None]);
        };
        let extents: Vec<Number> = match (context.value(node, 1), node.attr_ints("shape")) {
            (Some(value), _) => value.elements.iter().map(|e| e.number.clone()).collect(),
            // Before opset 5.
            (None, Some(shape)) => shape.iter().map(|&extent| Number::Known(extent)).collect(),
            (None, None) => return Ok(vec![None]),
        };
        target(node, input, &extents)
            .map(|shape| vec![Some(shape)])
            .map_err(|reason| misfit(context, node, reason))
    }

    fn fold(&self, node: &Node, context: &ShapeContext<'_>) -> Option<IntValue> {
        let value = context.value(node, 0)?;
        let target = context.integers(node, 1)?;
        (target.len() <= 1).then(|| IntValue {
            scalar: target.is_empty(),
            ..value.clone()
        })
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        relabel(node, context)?;
        let output = match node.outputs.first() {
            Some(name) => context.value(name).unwrap_or_default(),
            None => Vec::new(),
        };
        let shapes = context.shapes();
        let written = |element: usize| match (node.attr_ints("shape"), shapes.value(node, 1)) {
            (Some(shape), _) => shape.get(element).copied(),
            (None, value) => value.and_then(|value| value.elements.get(element)?.number.known()),
        };
        // Extents that are copied or left open follow by themselves.
        let counts = output
            .iter()
            .enumerate()
            .filter(|(element, _)| written(*element).is_some_and(|extent| extent > 0))
            .filter_map(|(element, labels)| Some((element, labels.clone()?)))
            .collect();
        if node.attr_ints("shape").is_some() {
            context.parameter_counts(node, "shape", 1, counts);
        } else {
            let template = constant_target(node, &shapes);
            context.input_counts(node, 1, counts, template);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dims(sizes: &[usize]) -> Vec<Dim> {
        sizes
            .iter()
            .map(|&size| {
                if size == 0 {
                    Dim::Named("N".to_string())
                } else {
                    Dim::Fixed(size)
                }
            })
            .collect()
    }

    #[test]
    fn blocks_are_the_smallest_of_equal_size() {
        let check = |from: &[usize], to: &[usize], expected: &[(Range<usize>, Range<usize>)]| {
            assert_eq!(
                blocks(&dims(from), &dims(to)),
                expected,
                "{from:?} to {to:?}"
            );
        };
        // 0 stands for the batch.
        check(&[0, 6, 4, 4], &[0, 96], &[(0..1, 0..1), (1..4, 1..2)]);
        check(
            &[0, 6, 5],
            &[0, 2, 3, 5],
            &[(0..1, 0..1), (1..2, 1..3), (2..3, 3..4)],
        );
        check(
            &[0, 2, 3, 5],
            &[0, 6, 5],
            &[(0..1, 0..1), (1..3, 1..2), (3..4, 2..3)],
        );
        check(&[6, 35], &[2, 3, 5, 7], &[(0..1, 0..2), (1..2, 2..4)]);
        check(
            &[0, 6, 1, 1],
            &[0, 6],
            &[(0..1, 0..1), (1..2, 1..2), (2..4, 2..2)],
        );
        check(
            &[4, 0],
            &[4, 0, 1],
            &[(0..1, 0..1), (1..2, 1..2), (2..2, 2..3)],
        );
    }

    #[test]
    fn the_axis_of_a_shuffle_that_keeps_most_classes_carries_them() {
        // [6] to [2, 3]: the second axis keeps 3 classes, {0, 3}, {1, 4}, {2, 5}.
        let (channels, coordinates, count) = partition(6, (6, 1), (3, 1));
        assert_eq!(
            (channels, coordinates, count),
            (vec![0, 1, 2, 0, 1, 2], vec![0, 1, 2], 3)
        );
        let (.., count) = partition(6, (6, 1), (2, 3));
        assert_eq!(count, 2);
        // [2, 3] to [6] with kernels on the second axis.
        let (channels, coordinates, count) = partition(6, (3, 1), (6, 1));
        assert_eq!(
            (channels, coordinates, count),
            (vec![0, 1, 2], vec![0, 1, 2, 0, 1, 2], 3)
        );
    }
}
