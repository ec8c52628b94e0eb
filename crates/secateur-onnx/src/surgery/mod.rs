//! Physical removal: edits the model's message in place.
//!
//! Stored tensors are sliced in the storage that they have; shapes kept in
//! constants, `group` attributes and `value_info` follow. Names, inputs, outputs,
//! opset, metadata and unknown fields stay.

mod edit;
mod slice;

use std::collections::BTreeMap;
use std::path::Path;

use crate::coupling::{ChannelGroups, Masks, Role, kept_positions};
use crate::error::{OnnxError, Result};
use crate::graph::Graph;
use crate::model::initializer::{NamedTensor, Raw};
use crate::model::{Model, Tensor, initializer};
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
/// With the consumers' weights of those kernels set to zero ([`zero_inputs`]), the
/// original gives the same outputs.
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
    let base_dir = model.base_dir.clone();
    let graph = result.proto.graph.mut_or_insert_default();
    for named in initializer::tensors_mut(graph) {
        if let Some(axes) = kept.get(&named.name)
            && axes.iter().any(Option::is_some)
        {
            cut(named, axes, base_dir.as_deref())?;
        }
    }
    for (name, list) in initializer::lists_mut(graph) {
        if let Some([Some(positions)]) = kept.get(&name).map(Vec::as_slice) {
            slice::keep(&mut list.floats, positions);
            slice::keep(&mut list.ints, positions);
        }
    }
    edit::apply(graph, &groups.edits, masks);
    edit::set_extents(graph, |value, axis| {
        let kernels = groups.axes.get(value)?.get(axis)?.as_ref()?;
        Some(edit::kept(masks, kernels))
    });
    confirm(&result, groups, masks)?;
    Ok(result)
}

/// Cuts one stored tensor where it lies.
fn cut(
    NamedTensor { name, proto }: NamedTensor<'_>,
    axes: &[Option<Vec<usize>>],
    base_dir: Option<&Path>,
) -> Result<()> {
    let kept = initializer::raw(proto, &name, base_dir)?.map(|raw: Raw<'_>| {
        let bytes = slice::select_bytes(&raw.shape, raw.width, &raw.bytes, axes);
        (slice::select_shape(&raw.shape, axes), bytes)
    });
    match kept {
        Some((shape, bytes)) => initializer::store_raw(proto, &shape, bytes),
        None => {
            let tensor = initializer::decode(proto, &name, base_dir)?;
            initializer::store(proto, &slice::select(&tensor, axes));
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
///
/// # Errors
/// As [`remove`].
pub fn zero_inputs(model: &Model, groups: &ChannelGroups, masks: &Masks) -> Result<Model> {
    check(groups, masks)?;
    let mut result = model.clone();
    let base_dir = model.base_dir.clone();
    let graph = result.proto.graph.mut_or_insert_default();
    let mut zeroed: BTreeMap<&str, Vec<(usize, Vec<usize>)>> = BTreeMap::new();
    for (index, group) in groups.groups.iter().enumerate() {
        for member in group.members.iter().filter(|m| m.role == Role::Input) {
            let positions: Vec<usize> = member
                .positions
                .iter()
                .enumerate()
                .filter(|(kernel, _)| !masks.0[index][*kernel])
                .flat_map(|(_, positions)| positions.iter().copied())
                .collect();
            if !positions.is_empty() {
                zeroed
                    .entry(&member.tensor)
                    .or_default()
                    .push((member.axis, positions));
            }
        }
    }
    for named in initializer::tensors_mut(graph) {
        let Some(cuts) = zeroed.get(named.name.as_str()) else {
            continue;
        };
        let mut tensor: Tensor =
            initializer::decode(named.proto, &named.name, base_dir.as_deref())?;
        for (axis, positions) in cuts {
            slice::zero(&mut tensor, *axis, positions);
        }
        initializer::store(named.proto, &tensor);
    }
    for (name, list) in initializer::lists_mut(graph) {
        let cuts = zeroed.get(name.as_str()).into_iter().flatten();
        for &position in cuts.flat_map(|(_, positions)| positions) {
            if let Some(value) = list.floats.get_mut(position) {
                *value = 0.0;
            }
        }
    }
    Ok(result)
}
