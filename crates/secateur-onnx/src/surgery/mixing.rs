//! Nodes that mix channels, in the masked network: a mean must be taken over the active
//! channels alone, though the dormant ones are there.
//!
//! Such a node reads the active positions of its inputs and computes what it computes in the
//! small network. What it gives is spread to the full width again; dormant positions take the
//! values of an active one, which nothing reads but weights of zero.

use std::collections::{BTreeSet, HashMap};

use super::edit::stays;
use crate::coupling::{ChannelGroups, KernelRef, Masks};
use crate::error::Result;
use crate::model::{Model, Picks};

/// Lets the mixing nodes of a masked model compute on its active channels alone.
///
/// # Errors
/// [`crate::OnnxError::Tensor`] if a stored tensor that such a node reads cannot be read.
pub(super) fn compact(model: &mut Model, groups: &ChannelGroups, masks: &Masks) -> Result<()> {
    let is_cut = |positions: &[Option<KernelRef>]| positions.iter().any(|&k| !stays(masks, k));
    let mixing = groups
        .mixing
        .iter()
        .filter(|mixing| is_cut(&mixing.positions));
    let outputs: BTreeSet<&str> = mixing.map(|mixing| mixing.output.as_str()).collect();
    // Axes of a value with what is picked along each.
    let picks = |value: &str, pick: fn(&[bool]) -> Vec<i64>| -> Picks {
        let axes = groups.axes.get(value).into_iter().flatten().enumerate();
        axes.filter_map(|(axis, kernels)| {
            let kernels = kernels.as_ref().filter(|kernels| is_cut(kernels))?;
            let active: Vec<bool> = kernels.iter().map(|&kernel| stays(masks, kernel)).collect();
            Some((axis, pick(&active)))
        })
        .collect()
    };
    let copies = model.compact_nodes(
        &outputs,
        |value| picks(value, active_positions),
        |value| picks(value, ranks_of_active),
    );
    let copies: HashMap<String, Picks> = copies.into_iter().collect();
    for stored in model.stored_mut() {
        let Some(picks) = copies.get(&stored.name) else {
            continue;
        };
        let mut axes = vec![None; picks.iter().map(|(axis, _)| axis + 1).max().unwrap_or(0)];
        for (axis, positions) in picks {
            axes[*axis] = Some(
                positions
                    .iter()
                    .map(|&position| position as usize)
                    .collect(),
            );
        }
        super::cut(stored, &axes)?;
    }
    Ok(())
}

/// Positions that are active.
fn active_positions(active: &[bool]) -> Vec<i64> {
    let positions = active.iter().enumerate().filter(|(_, on)| **on);
    positions.map(|(position, _)| position as i64).collect()
}

/// Per position its place among the active ones; any for those that are not.
fn ranks_of_active(active: &[bool]) -> Vec<i64> {
    let mut seen = 0;
    let rank = |&on: &bool| {
        let rank = if on { seen } else { 0 };
        seen += i64::from(on);
        rank
    };
    active.iter().map(rank).collect()
}
