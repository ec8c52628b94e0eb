//! Physical removal: edits the model's message in place.
//!
//! Stored tensors are sliced in the storage that they have; shapes kept in
//! constants, `group` attributes and `value_info` follow. Names, inputs, outputs,
//! opset, metadata and unknown fields stay.

mod edit;
mod mixing;
mod slice;
mod zero;

use std::collections::BTreeMap;

use crate::coupling::{ChannelGroups, Masks, Member, Role, kept_positions};
use crate::error::{OnnxError, Result};
use crate::graph::Graph;
use crate::model::{Model, StoredMut};
use crate::shape::infer_shapes;

/// Checks that masks fit the groups, leave one kernel each and respect pins.
fn check(groups: &ChannelGroups, masks: &Masks) -> Result<()> {
    let fail = |group: &str, reason: String| OnnxError::Surgery {
        group: group.to_string(),
        reason,
    };
    if masks.0.len() != groups.groups.len() {
        return Err(fail(
            "(all)",
            format!(
                "expected masks for {} groups, got {}",
                groups.groups.len(),
                masks.0.len()
            ),
        ));
    }
    for (index, group) in groups.groups.iter().enumerate() {
        let (width, active) = (masks.0[index].len(), masks.active(index));
        if width != group.width {
            return Err(fail(
                &group.name,
                format!("expected a mask for {} kernels, got {width}", group.width),
            ));
        }
        if active == 0 && width > 0 {
            return Err(fail(
                &group.name,
                "at least one kernel must stay".to_string(),
            ));
        }
        if let Some(pinned) = group.pinned.as_ref().filter(|_| active < width) {
            return Err(fail(
                &group.name,
                format!(
                    "its kernels are pinned by {}: {}",
                    pinned.node, pinned.reason
                ),
            ));
        }
    }
    Ok(())
}

/// The model without its dormant kernels.
///
/// The masked network ([`zero_inputs`]) gives the same outputs.
///
/// # Errors
/// [`OnnxError::Surgery`] for masks that empty a group, cut a pinned one, or do not fit;
/// also if the result contradicts itself, which no valid model should bring about.
pub fn remove(model: &Model, groups: &ChannelGroups, masks: &Masks) -> Result<Model> {
    check(groups, masks)?;
    let mut result = model.clone();
    if masks.0.iter().flatten().all(|&active| active) {
        return Ok(result);
    }
    let kept = kept_positions(groups, masks);
    for stored in result.stored_mut() {
        if let Some(axes) = kept.get(&stored.name)
            && axes.iter().any(Option::is_some)
        {
            cut(stored, axes)?;
        }
    }
    for mut numbers in result.numbers_mut() {
        if let Some([Some(positions)]) = kept.get(&numbers.name).map(Vec::as_slice) {
            slice::keep(numbers.floats(), positions);
            slice::keep(numbers.ints(), positions);
        }
    }
    let mut graph = result.rewriter();
    edit::apply(&mut graph, &groups.edits, masks);
    graph.set_extents(|value, axis| {
        let kernels = groups.axes.get(value)?.get(axis)?.as_ref()?;
        Some(edit::kept(masks, kernels))
    });
    confirm(&result, groups, masks)?;
    Ok(result)
}

/// Cuts one stored tensor where it lies.
fn cut(mut stored: StoredMut<'_>, axes: &[Option<Vec<usize>>]) -> Result<()> {
    let kept = stored.raw()?.map(|raw| {
        let bytes = slice::select_bytes(&raw.shape, raw.width, &raw.bytes, axes);
        (slice::select_shape(&raw.shape, axes), bytes)
    });
    match kept {
        Some((shape, bytes)) => stored.store_raw(&shape, bytes),
        None => {
            let tensor = stored.decode()?;
            stored.store(&slice::select(&tensor, axes));
        }
    }
    Ok(())
}

/// Infers the shapes of the result and compares them with what the masks leave.
fn confirm(model: &Model, groups: &ChannelGroups, masks: &Masks) -> Result<()> {
    let fail = |value: &str, reason: String| OnnxError::Surgery {
        group: format!("of value {value}"),
        reason,
    };
    let graph = Graph::outline(model)?;
    let shapes = infer_shapes(&graph, None)?;
    for (value, axes) in &groups.axes {
        for (axis, kernels) in axes.iter().enumerate() {
            let Some(kernels) = kernels else { continue };
            let expected = edit::kept(masks, kernels);
            let found = shapes.get(value).and_then(|shape| shape.get(axis)?.fixed());
            if found.is_some_and(|found| found as i64 != expected) {
                return Err(fail(
                    value,
                    format!("axis {axis} should keep {expected} positions, got {found:?}"),
                ));
            }
        }
    }
    Ok(())
}

/// The masked network: consumers' weights of dormant kernels set to zero, nothing removed.
/// Nodes that mix channels, such as a mean over them, compute on the active ones alone.
///
/// # Errors
/// As [`remove`].
pub fn zero_inputs(model: &Model, groups: &ChannelGroups, masks: &Masks) -> Result<Model> {
    check(groups, masks)?;
    let mut result = model.clone();
    let mut zeroed: BTreeMap<&str, Vec<(&Member, usize)>> = BTreeMap::new();
    for (group, mask) in groups.groups.iter().zip(&masks.0) {
        for member in group.members.iter().filter(|m| m.role == Role::Input) {
            let dormant = (0..mask.len()).filter(|&kernel| !mask[kernel]);
            let kernels = zeroed.entry(&member.tensor).or_default();
            kernels.extend(dormant.map(|kernel| (member, kernel)));
        }
    }
    zeroed.retain(|_, kernels| !kernels.is_empty());
    let mut tensors = result.stored_mut();
    let zero_points = zero::ZeroPoints::read(groups, &tensors)?;
    for stored in &mut tensors {
        let Some(kernels) = zeroed.get(stored.name.as_str()) else {
            continue;
        };
        let mut tensor = stored.decode()?;
        let shape = tensor.shape.clone();
        for (member, kernel) in kernels {
            for block in member.blocks(&shape, *kernel) {
                zero_points.clear(&stored.name, &mut tensor, block);
            }
        }
        stored.store(&tensor);
    }
    for mut numbers in result.numbers_mut() {
        let kernels = zeroed.get(numbers.name.as_str());
        let floats = numbers.floats();
        for (member, kernel) in kernels.into_iter().flatten() {
            for block in member.blocks(&[floats.len()], *kernel) {
                if let Some(values) = floats.get_mut(block) {
                    values.fill(0.0);
                }
            }
        }
    }
    mixing::compact(&mut result, groups, masks)?;
    Ok(result)
}
