//! Does a pruned file hold what it promises?
//!
//! The pruned file carries the masks that made it. With them its weights go back
//! to their places in the original; the consumers' weights of removed kernels are
//! set to zero. That masked network must give the same outputs, in tract.

use std::path::Path;

use secateur_net::mask::Selection;
use secateur_net::weights::Weights;
use secateur_onnx::cost::{CostModel, Size};
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::{Model, Tensor};
use secateur_onnx::{OnnxError, surgery};
use serde::Serialize;
use thiserror::Error;

use crate::engine::{EngineError, TractModel};

/// Metadata key of the masks.
pub const MASKS: &str = "secateur.masks";

/// Largest difference of outputs, relative to the largest output: sums of f32 run in
/// another order in a smaller network.
pub const TOLERANCE: f32 = 1e-4;

/// Bytes of weights beyond which outputs are not compared.
const MOST_WEIGHTS: usize = 1 << 30;

/// Nodes beyond which outputs are not compared: loading takes the other engine a minute there.
const MOST_NODES: usize = 20_000;

/// What can go wrong before there is a verdict.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// No masks in the file.
    #[error("cannot verify `{file}`: it does not say which kernels were removed")]
    NoMasks {
        /// The pruned file.
        file: String,
    },
    /// Masks of another network.
    #[error("cannot verify `{file}`: it was made from another network than `{original}`")]
    OtherOriginal {
        /// The pruned file.
        file: String,
        /// The one it was to be compared with.
        original: String,
    },
    /// A file.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// tract.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl VerifyError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoMasks { .. } => {
                Some("only files written by `secateur prune` can be verified".to_string())
            }
            Self::OtherOriginal { .. } => {
                Some("give the file that was pruned, as it was then".to_string())
            }
            Self::Onnx(error) => error.hint(),
            Self::Engine(_) => None,
        }
    }
}

/// One check and its result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// Did it hold.
    pub passed: bool,
    /// The figures.
    pub detail: String,
}

/// All checks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// In order.
    pub checks: Vec<Check>,
}

impl Verdict {
    /// True if all hold.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

/// Leaves the masks in a pruned model.
pub fn store_masks(model: &mut Model, masks: &Masks) {
    model.set_metadata(MASKS, masks.to_strings().join(","));
}

fn stored_masks(model: &Model, file: &Path) -> Result<Masks, VerifyError> {
    let no_masks = || VerifyError::NoMasks {
        file: file.display().to_string(),
    };
    let texts: Vec<String> = model
        .metadata(MASKS)
        .ok_or_else(no_masks)?
        .split(',')
        .map(str::to_string)
        .collect();
    Masks::from_strings(&texts).ok_or_else(no_masks)
}

/// Verifies `small` against the model it was made from. Where tract cannot run a model, outputs are
/// not compared, and its reason comes beside the verdict on everything else.
///
/// # Errors
/// [`VerifyError`] if a file cannot be read or was made from another network; a file that breaks
/// its promise is a [`Verdict`] that did not pass.
pub fn verify_where_possible(
    original: (&Path, &Model),
    small: (&Path, &Model),
) -> Result<(Verdict, Option<String>), VerifyError> {
    // As pruning does, before it looks for coupled kernels.
    let unshared = original.1.unshared().with_image_size_of(small.1);
    let original = (original.0, &unshared);
    let graph = Graph::outline(original.1)?;
    let small_graph = Graph::outline(small.1)?;
    let groups = ChannelGroups::find(&graph)?;
    let masks = stored_masks(small.1, small.0)?;
    let widths = |masks: &Masks| masks.0.iter().map(Vec::len).collect::<Vec<_>>();
    if widths(&masks) != widths(&Masks::all_active(&groups)) {
        return Err(VerifyError::OtherOriginal {
            file: small.0.display().to_string(),
            original: original.0.display().to_string(),
        });
    }
    let mut checks = vec![interface(original.1, small.1, &graph, &small_graph)];

    let removed = surgery::remove(original.1, &groups, &masks)?;
    let counted = CostModel::new(&graph, &groups)?.count(&masks);
    let own = ChannelGroups::find(&small_graph)?;
    let found = CostModel::new(&small_graph, &own)?.count(&Masks::all_active(&own));
    checks.push(size(counted, found));
    checks.push(same_shapes(&Graph::outline(&removed)?, &small_graph));
    drop(removed);
    let mut not_run = None;
    if checks.iter().all(|check| check.passed) {
        match outputs(original, small, &graph, &groups, &masks) {
            Ok(check) => checks.push(check),
            Err(VerifyError::Engine(error)) => not_run = Some(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok((Verdict { checks }, not_run))
}

fn interface(original: &Model, small: &Model, graph: &Graph, small_graph: &Graph) -> Check {
    let names = |graph: &Graph| -> Vec<String> {
        graph.nodes.iter().map(|node| node.name.clone()).collect()
    };
    let opsets = |model: &Model| -> Vec<(String, i64)> {
        let imports = &model.proto.opset_import;
        imports
            .iter()
            .map(|o| (o.domain().to_string(), o.version()))
            .collect()
    };
    let mut differences = Vec::new();
    if graph.inputs != small_graph.inputs {
        differences.push("inputs");
    }
    if graph.outputs != small_graph.outputs {
        differences.push("outputs");
    }
    if names(graph) != names(small_graph) {
        differences.push("nodes");
    }
    if opsets(original) != opsets(small) {
        differences.push("opset");
    }
    Check {
        name: "same interface".to_string(),
        passed: differences.is_empty(),
        detail: if differences.is_empty() {
            "inputs, outputs, node names and opset are those of the original".to_string()
        } else {
            format!("these differ: {}", differences.join(", "))
        },
    }
}

fn size(counted: Size, found: Size) -> Check {
    Check {
        name: "removed kernels account for the size".to_string(),
        passed: counted == found,
        detail: format!(
            "expected {} kernels, {} parameters, {} MACs; found {}, {}, {}",
            counted.kernels, counted.params, counted.macs, found.kernels, found.params, found.macs
        ),
    }
}

fn same_shapes(expected: &Graph, found: &Graph) -> Check {
    let differing = expected.initializers.iter().find(|(name, tensor)| {
        found
            .initializers
            .get(*name)
            .is_none_or(|other| other.shape != tensor.shape)
    });
    Check {
        name: "every tensor has the expected shape".to_string(),
        passed: differing.is_none() && expected.initializers.len() == found.initializers.len(),
        detail: match differing {
            None => format!("{} tensors", found.initializers.len()),
            Some((name, tensor)) => format!("`{name}` should be {:?}", tensor.shape),
        },
    }
}

fn outputs(
    original: (&Path, &Model),
    small: (&Path, &Model),
    graph: &Graph,
    groups: &ChannelGroups,
    masks: &Masks,
) -> Result<Check, VerifyError> {
    const IMAGES: usize = 8;
    let bytes: usize = graph.initializers.values().map(Tensor::n_bytes).sum();
    if bytes > MOST_WEIGHTS {
        let reason = format!(
            "its weights take {} MiB; comparing outputs holds several copies of them, and is \
             left out from {} MiB on",
            bytes >> 20,
            MOST_WEIGHTS >> 20
        );
        return Err(EngineError::new(original.0.display(), reason).into());
    }
    if graph.nodes.len() > MOST_NODES {
        let reason = format!(
            "it has {} nodes; outputs are not compared beyond {MOST_NODES}",
            graph.nodes.len()
        );
        return Err(EngineError::new(original.0.display(), reason).into());
    }
    // Each copy of the weights goes as soon as the next is made.
    let floats = |model: &Model| -> Result<Weights, OnnxError> {
        Ok(Weights::from_floats(&Graph::from_model(model)?))
    };
    let mut full = floats(original.1)?;
    Selection::new(groups, masks).scatter(&floats(small.1)?, &mut full);
    let values = full.values();
    drop(full);
    let model = original.1.with_weights(&values)?;
    drop(values);
    let masked = surgery::zero_inputs(&model, groups, masks)?;
    drop(model);
    let big = TractModel::new(&masked, original.0, IMAGES)?;
    drop(masked);
    let little = TractModel::new(small.1, small.0, IMAGES)?;
    let len: usize = big.input_shape().iter().product();
    // A fixed, uneven pattern over about -2..2: normalised images lie in that range.
    let input: Vec<f32> = (0..len)
        .map(|i| ((i * 7919 % 1009) as f32 / 252.0 - 2.0) * ((i % 13) as f32 / 12.0))
        .collect();
    let (a, b) = (big.run_all(&input)?, little.run_all(&input)?);
    if a.iter().flatten().any(|value| !value.is_finite()) {
        let reason = "its outputs for a made-up input are not finite".to_string();
        return Err(EngineError::new(original.0.display(), reason).into());
    }
    let difference = if a.len() == b.len() {
        let each = a.iter().zip(&b);
        each.map(|(a, b)| relative_difference(a, b))
            .fold(0.0, f32::max)
    } else {
        f32::INFINITY
    };
    Ok(Check {
        name: "outputs agree with the masked network (tract)".to_string(),
        passed: difference <= TOLERANCE,
        detail: format!("largest relative difference {difference:.1e}, allowed {TOLERANCE:.0e}"),
    })
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
