//! Which kernels of each layer a pruned network has kept.

use std::path::Path;

use secateur_onnx::coupling::{ChannelGroup, ChannelGroups, Member, Role};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use serde::Serialize;

use crate::verify::{VerifyError, stored_masks};

/// The kernels that a layer has kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptLayer {
    /// Name of its node.
    pub name: String,
    /// Name of its weights, where they are stored as it reads them.
    pub weights: Option<String>,
    /// Kernels of the given network.
    pub width: usize,
    /// The indices of those that are left, in order.
    pub kept: Vec<usize>,
}

/// What a pruned model says of the layers of the one that it was made from, in graph order.
///
/// # Errors
/// [`VerifyError`] if it does not say it, or was made from another.
pub fn kept_kernels(
    original: (&Path, &Model),
    small: (&Path, &Model),
) -> Result<Vec<KeptLayer>, VerifyError> {
    let prepared = original.1.prepared().with_input_shapes_of(small.1);
    let prepared = prepared.with_mixing(small.1.allows_mixing());
    let graph = Graph::outline(&prepared)?;
    let groups = ChannelGroups::find(&graph)?.groups;
    let masks = stored_masks(small.1, small.0)?;
    let widths = groups.iter().map(|group| group.width);
    if !masks.0.iter().map(Vec::len).eq(widths) {
        return Err(VerifyError::OtherOriginal {
            file: small.0.display().to_string(),
            original: original.0.display().to_string(),
        });
    }
    let of_group = |(group, mask): (&ChannelGroup, &Vec<bool>)| {
        let layers = group.producers.iter();
        let kept = |layer: &String| kept_of(layer, &graph, group, mask);
        layers.map(kept).collect::<Vec<_>>()
    };
    Ok(groups.iter().zip(&masks.0).flat_map(of_group).collect())
}

/// Of one layer: where several of its kernels go together, all of them count.
fn kept_of(layer: &str, graph: &Graph, group: &ChannelGroup, mask: &[bool]) -> KeptLayer {
    let weights = weights_of(layer, graph, group);
    let of_unit = |unit: usize| match weights {
        Some(weights) => weights.positions[unit].clone(),
        None => vec![unit],
    };
    let active = mask.iter().enumerate().filter(|(_, is_active)| **is_active);
    let mut kept: Vec<usize> = active.flat_map(|(unit, _)| of_unit(unit)).collect();
    kept.sort_unstable();
    KeptLayer {
        name: layer.to_string(),
        weights: weights.map(|weights| weights.tensor.clone()),
        width: (0..mask.len()).map(|unit| of_unit(unit).len()).sum(),
        kept,
    }
}

/// The rows of the weights that a layer reads.
fn weights_of<'a>(layer: &str, graph: &Graph, group: &'a ChannelGroup) -> Option<&'a Member> {
    let node = graph.nodes.iter().find(|node| node.name == layer)?;
    node.reads().find_map(|name| {
        let mut members = group.members.iter();
        members.find(|member| member.role == Role::Output && member.tensor == name)
    })
}
