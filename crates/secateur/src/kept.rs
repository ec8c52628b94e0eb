//! Which kernels of each layer a pruned network has kept.

use std::path::Path;

use secateur_onnx::coupling::ChannelGroups;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use serde::Serialize;

use crate::verify::{VerifyError, stored_masks};

/// The kernels that a layer has kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptLayer {
    /// Name of its node.
    pub name: String,
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
    let groups = ChannelGroups::find(&Graph::outline(&prepared)?)?.groups;
    let masks = stored_masks(small.1, small.0)?;
    let same_widths = masks
        .0
        .iter()
        .map(Vec::len)
        .eq(groups.iter().map(|g| g.width));
    if !same_widths {
        return Err(VerifyError::OtherOriginal {
            file: small.0.display().to_string(),
            original: original.0.display().to_string(),
        });
    }
    let mut layers = Vec::new();
    for (group, mask) in groups.iter().zip(&masks.0) {
        let active = mask.iter().enumerate().filter(|(_, is_active)| **is_active);
        let kept: Vec<usize> = active.map(|(index, _)| index).collect();
        layers.extend(group.producers.iter().map(|layer| KeptLayer {
            name: layer.clone(),
            width: group.width,
            kept: kept.clone(),
        }));
    }
    Ok(layers)
}
