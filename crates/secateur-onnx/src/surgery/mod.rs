//! Physical removal: edits the model's message in place.
//!
//! Stored tensors are sliced in the storage that they have; shapes kept in
//! constants, `group` attributes and `value_info` follow. Names, inputs, outputs,
//! opset, metadata and unknown fields stay.

mod slice;

use std::collections::{BTreeMap, BTreeSet};

use crate::coupling::{ChannelGroups, Masks, Role, kept_positions};
use crate::error::{OnnxError, Result};
use crate::model::{Model, Tensor, Values, initializer};

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

/// Number of positions of a value's axis that stay; `None` where it is not known.
fn kept_extent(groups: &ChannelGroups, masks: &Masks, value: &str, axis: usize) -> Option<usize> {
    let kernels = groups.axes.get(value)?.get(axis)?.as_ref()?;
    Some(
        kernels
            .iter()
            .filter(|k| k.is_none_or(|(group, index)| masks.0[group][index]))
            .count(),
    )
}

/// The model without its dormant kernels.
///
/// With the consumers' weights of those kernels set to zero ([`zero_inputs`]), the
/// original gives the same outputs.
///
/// # Errors
/// [`OnnxError::Surgery`] for masks that empty a group, cut a pinned one, or do not fit.
pub fn remove(model: &Model, groups: &ChannelGroups, masks: &Masks) -> Result<Model> {
    check(groups, masks)?;
    let kept = kept_positions(groups, masks);
    let mut result = model.clone();
    let base_dir = model.base_dir.clone();
    let graph = result.proto.graph.mut_or_insert_default();

    // Constants that hold a shape are rewritten from the value they describe.
    let mut shapes: BTreeMap<&str, &str> = BTreeMap::new();
    for (constant, value) in &groups.shape_constants {
        shapes.insert(constant, value);
    }
    for named in initializer::tensors_mut(graph) {
        if let Some(axes) = kept.get(&named.name)
            && axes.iter().any(Option::is_some)
        {
            let tensor = initializer::decode(named.proto, &named.name, base_dir.as_deref())?;
            initializer::store(named.proto, &slice::select(&tensor, axes));
        } else if let Some(value) = shapes.get(named.name.as_str()) {
            let mut tensor = initializer::decode(named.proto, &named.name, base_dir.as_deref())?;
            if let Values::I64(extents) = &mut tensor.values {
                for (axis, extent) in extents.iter_mut().enumerate().filter(|(_, e)| **e > 0) {
                    if let Some(kept) = kept_extent(groups, masks, value, axis) {
                        *extent = i64::try_from(kept).unwrap_or(i64::MAX);
                    }
                }
                initializer::store(named.proto, &tensor);
            }
        }
    }
    let regrouped: BTreeSet<&str> = groups.regrouped.iter().map(String::as_str).collect();
    for node in &mut graph.node {
        let Some(input) = node.input.first() else {
            continue;
        };
        if node
            .output
            .first()
            .is_some_and(|output| regrouped.contains(output.as_str()))
            && let Some(channels) = kept_extent(groups, masks, input, 1)
            && let Some(attribute) = node.attribute.iter_mut().find(|a| a.name() == "group")
        {
            attribute.set_i(i64::try_from(channels).unwrap_or(i64::MAX));
        }
    }
    for info in graph.value_info.iter_mut() {
        let name = info.name().to_string();
        let Some(tensor) = info.type_.as_mut().filter(|t| t.has_tensor_type()) else {
            continue;
        };
        let Some(shape) = tensor.mut_tensor_type().shape.as_mut() else {
            continue;
        };
        for (axis, dim) in shape
            .dim
            .iter_mut()
            .enumerate()
            .filter(|(_, d)| d.has_dim_value())
        {
            if let Some(kept) = kept_extent(groups, masks, &name, axis) {
                dim.set_dim_value(i64::try_from(kept).unwrap_or(i64::MAX));
            }
        }
    }
    Ok(result)
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
    Ok(result)
}
