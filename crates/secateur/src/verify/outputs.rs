//! The pruned file's outputs against those of the masked original.

use std::path::Path;

use secateur_net::mask::Selection;
use secateur_net::weights::Weights;
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::{Model, Tensor};
use secateur_onnx::{OnnxError, surgery};

use super::{Check, VerifyError};
use crate::runtime::{self, LoadedModel};

/// Largest difference of outputs, relative to the largest output: sums of f32 run in
/// another order in a smaller network.
pub const TOLERANCE: f32 = 1e-4;

/// Bytes of weights beyond which outputs are not compared.
const MOST_WEIGHTS: usize = 1 << 30;

/// Nodes beyond which outputs are not compared: loading takes the other engine a minute there.
const MOST_NODES: usize = 20_000;

/// Samples of the made-up input.
const SAMPLES: usize = 8;

/// Compares all outputs for a made-up input.
///
/// # Errors
/// [`VerifyError::TooLarge`], [`VerifyError::NonFinite`] and [`VerifyError::Runtime`] where that
/// cannot be done.
pub(super) fn compare(
    original: (&Path, &Model),
    small: (&Path, &Model),
    graph: &Graph,
    groups: &ChannelGroups,
    masks: &Masks,
) -> Result<Check, VerifyError> {
    let file = || original.0.display().to_string();
    if let Some(reason) = too_large(graph) {
        return Err(VerifyError::TooLarge {
            file: file(),
            reason,
        });
    }
    let masked = masked(original.1, small.1, groups, masks)?;
    let big = LoadedModel::new(&masked, original.0, SAMPLES)?;
    drop(masked);
    let little = LoadedModel::new(small.1, small.0, SAMPLES)?;
    // A fixed, uneven pattern over about -2..2: normalised images lie in that range.
    let input: Vec<f32> = (0..big.input_len())
        .map(|i| ((i * 7919 % 1009) as f32 / 252.0 - 2.0) * ((i % 13) as f32 / 12.0))
        .collect();
    let (a, b) = (big.run(&input)?, little.run(&input)?);
    if a.iter().flatten().any(|value| !value.is_finite()) {
        return Err(VerifyError::NonFinite { file: file() });
    }
    let difference = if a.len() == b.len() {
        let each = a.iter().zip(&b);
        each.map(|(a, b)| relative_difference(a, b))
            .fold(0.0, f32::max)
    } else {
        f32::INFINITY
    };
    Ok(Check {
        name: format!("outputs agree with the masked network ({})", runtime::NAME),
        passed: difference <= TOLERANCE,
        detail: format!("largest relative difference {difference:.1e}, allowed {TOLERANCE:.0e}"),
    })
}

/// What makes a comparison too large.
fn too_large(graph: &Graph) -> Option<String> {
    let bytes: usize = graph.initializers.values().map(Tensor::n_bytes).sum();
    if bytes > MOST_WEIGHTS {
        return Some(format!(
            "its weights take {} MiB; comparing holds several copies of them, and is left out \
             from {} MiB on",
            bytes >> 20,
            MOST_WEIGHTS >> 20
        ));
    }
    let nodes = graph.nodes.len();
    (nodes > MOST_NODES).then(|| format!("it has {nodes} nodes, more than {MOST_NODES}"))
}

/// The original with the pruned file's weights in their places and zeros for what was removed.
/// Each copy of the weights goes as soon as the next is made.
fn masked(
    original: &Model,
    small: &Model,
    groups: &ChannelGroups,
    masks: &Masks,
) -> Result<Model, OnnxError> {
    let floats = |model: &Model| -> Result<Weights, OnnxError> {
        Ok(Weights::from_floats(&Graph::from_model(model)?))
    };
    let mut full = floats(original)?;
    Selection::new(groups, masks).scatter(&floats(small)?, &mut full);
    let values = full.values();
    drop(full);
    let model = original.with_weights(&values)?;
    drop(values);
    surgery::zero_inputs(&model, groups, masks)
}

/// Largest difference over the largest value; infinite where lengths differ or one is NaN.
fn relative_difference(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    let largest = a.iter().map(|v| v.abs()).fold(0.0f32, f32::max).max(1e-6);
    let pairs = a.iter().zip(b).filter(|(a, b)| a != b);
    pairs
        .map(|(a, b)| (a - b).abs() / largest)
        .map(|d| if d.is_nan() { f32::INFINITY } else { d })
        .fold(0.0, f32::max)
}
