//! Labels of operators that split and join axes and leave the elements in their order.
//!
//! Input and output axes are matched in blocks of equal size. In a block, one
//! axis may hold kernels; an output axis can carry them if its positions partition
//! the channels: two channels that share a position are one. (Channel shuffle:
//! `[c]` to `[groups, c / groups]`; flattening: `[c, h, w]` to `[c · h · w]`.)
//! Removing whole classes takes the same elements from both sides, so the order of
//! the rest is kept.

use std::ops::Range;

use crate::graph::{Dim, Node};
use crate::labels::{AxisLabels, LabelContext, Labels};

/// Blocks of more elements are not followed, for the sake of time.
const MAX_BLOCK: usize = 1 << 22;

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

/// True if a coordinate of an axis, as extent and stride, follows from the kernel alone.
fn is_of_kernels(
    (kernels, kernel_stride): (usize, usize),
    (extent, stride): (usize, usize),
) -> bool {
    let (whole, part) = (kernels * kernel_stride, extent * stride);
    stride.is_multiple_of(kernel_stride) && whole.is_multiple_of(part)
}

/// The one axis of several positions; `None` if there are more, or an extent is unknown.
fn only_axis(axes: &[AxisLabels]) -> Option<usize> {
    let lens = extents(axes)?;
    let mut long = (0..lens.len()).filter(|&axis| lens[axis] > 1);
    long.next().filter(|_| long.next().is_none())
}

/// Extents of the axes; `None` if one is unknown.
fn extents(axes: &[AxisLabels]) -> Option<Vec<usize>> {
    let extents = axes.iter().map(|labels| Some(labels.as_ref()?.len()));
    extents.collect()
}

/// The output axis of a block that carries the kernels of an input axis.
struct Carrier {
    axis: usize,
    /// Class of each kernel.
    channels: Vec<usize>,
    /// Class of each position of the output axis.
    coordinates: Vec<usize>,
}

impl Carrier {
    /// The axis of `to` that keeps most classes of axis `axis` of `from` apart, one of kernels
    /// alone before any other; `None` if all have one position.
    ///
    /// # Errors
    /// The reason if the block is too large, or the extents do not fit.
    fn find(from: &[usize], axis: usize, to: &[usize]) -> Result<Option<Self>, String> {
        let product = |extents: &[usize]| {
            let mut extents = extents.iter();
            extents.try_fold(1usize, |n, &extent| n.checked_mul(extent))
        };
        let total = product(from).filter(|&n| Some(n) == product(to) && n <= MAX_BLOCK && n > 0);
        let total = total.ok_or("its extents are too large, or do not fit")?;
        let stride = |extents: &[usize], axis: usize| extents[axis + 1..].iter().product();
        let kernels = (from[axis], stride(from, axis));
        let mut best: Option<((bool, usize), Self)> = None;
        for axis in (0..to.len()).filter(|&axis| to[axis] > 1) {
            let own = (to[axis], stride(to, axis));
            let (channels, coordinates, count) = partition(total, kernels, own);
            // An axis of channels alone goes first: along one that joins them with pixels a norm
            // takes its mean (the groups of a group norm, and the values of each).
            let rank = (is_of_kernels(kernels, own), count);
            if best.as_ref().is_none_or(|(most, _)| rank > *most) {
                let carrier = Self {
                    axis,
                    channels,
                    coordinates,
                };
                best = Some((rank, carrier));
            }
        }
        Ok(best.map(|(_, carrier)| carrier))
    }
}

/// Why axes of a block stay that cannot be followed.
const SPLITS: &str = "it splits or joins axes";

/// Labels of the output axes of a block.
fn relabel_block(
    node: &Node,
    context: &mut LabelContext<'_>,
    from: &[AxisLabels],
    to: &mut [AxisLabels],
) -> Result<(), String> {
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
    let mut switches = |labels: &Labels| labels.len() > 1 && context.may_switch(labels);
    let switching: Vec<usize> = (0..from.len())
        .filter(|&axis| from[axis].as_ref().is_some_and(&mut switches))
        .collect();
    let [axis] = switching[..] else {
        context.pin_axes(from, node, SPLITS);
        context.pin_axes(to, node, SPLITS);
        return Ok(());
    };
    // How positions map is not known without the extents of the other axes.
    let (Some(from_extents), Some(to_extents)) = (extents(from), extents(to)) else {
        let reason = "it joins channels with an axis of unknown extent";
        context.pin_axes(from, node, reason);
        context.pin_axes(to, node, SPLITS);
        return Ok(());
    };
    let carrier = Carrier::find(&from_extents, axis, &to_extents)?;
    if let (Some(carrier), Some(labels)) = (carrier, &from[axis]) {
        for (position, &class) in carrier.channels.iter().enumerate() {
            // A class is named after its first channel.
            context.merge_one(labels[position], labels[class]);
        }
        context.pin_axes(&from[..axis], node, SPLITS);
        context.pin_axes(&from[axis + 1..], node, SPLITS);
        context.pin_axes(&to[..carrier.axis], node, SPLITS);
        context.pin_axes(&to[carrier.axis + 1..], node, SPLITS);
        let carried = carrier.coordinates.iter().map(|&class| labels[class]);
        to[carrier.axis] = Some(carried.collect::<Labels>());
    }
    Ok(())
}

/// Labels of a node that reshapes its first input, by the inferred shapes.
pub(super) fn relabel(node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
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
