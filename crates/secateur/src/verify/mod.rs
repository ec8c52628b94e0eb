//! Does a pruned file hold what it promises?
//!
//! The pruned file carries the masks that made it. With them its weights go back
//! to their places in the original; the consumers' weights of removed kernels are
//! set to zero. That masked network must give the same outputs, in another engine where one
//! runs it.

mod checks;
mod difference;
mod masks;
mod outputs;
mod saturation;
mod tolerance;

use std::path::Path;

use secateur_onnx::cost::CostModel;
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::{OnnxError, surgery};
use serde::Serialize;
use thiserror::Error;

use crate::runtime::{Engines, RuntimeError};
pub(crate) use masks::stored_masks;
pub use masks::{MASKS, store_masks};
use outputs::Comparison;
pub use tolerance::TOLERANCE;

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
    /// Outputs that are not compared for the time or memory that it would take.
    #[error("outputs of `{file}` are not compared: {reason}")]
    TooLarge {
        /// The given network's file.
        file: String,
        /// What is too large, and the bound.
        reason: String,
    },
    /// Outputs that say nothing.
    #[error("outputs of `{file}` cannot be compared: for a made-up input they are not finite")]
    NonFinite {
        /// The given network's file.
        file: String,
    },
    /// No outputs at all.
    #[error("outputs of `{file}` cannot be compared: for a made-up input they are empty")]
    Empty {
        /// The given network's file.
        file: String,
    },
    /// A file.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The other engine.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

impl VerifyError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoMasks { .. } => {
                Some("only files that secateur pruned carry that and can be verified".to_string())
            }
            Self::OtherOriginal { .. } => {
                Some("give the file that was pruned, as it was then".to_string())
            }
            Self::Onnx(error) => error.hint(),
            _ => None,
        }
    }

    /// True if it says nothing against the file: only outputs are left uncompared.
    fn leaves_the_rest(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. } | Self::NonFinite { .. } | Self::Empty { .. } | Self::Runtime(_)
        )
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

/// Is told of what takes long.
pub trait CheckObserver {
    /// Outputs are now compared in this engine, for inputs of these shapes.
    fn comparing(&mut self, engine: &str, inputs: &str) {
        let _ = (engine, inputs);
    }

    /// Weights of the cut network are about to be solved, or what that takes is measured.
    fn calibrating(&mut self, what: &str) {
        let _ = what;
    }

    /// Layers are timed in this engine, those of so many of so many networks done.
    fn timing(&mut self, engine: &str, done: usize, of: usize) {
        let _ = (engine, done, of);
    }
}

impl CheckObserver for () {}

/// Verifies `small` against the model it was made from. Where no engine can run a model,
/// outputs are not compared, and the reason comes beside the verdict on everything else.
///
/// # Errors
/// [`VerifyError`] if a file cannot be read or was made from another network; a file that breaks
/// its promise is a [`Verdict`] that did not pass.
pub fn verify_where_possible(
    original: (&Path, &Model),
    small: (&Path, &Model),
    engines: &Engines,
    observer: &mut dyn CheckObserver,
) -> Result<(Verdict, Option<String>), VerifyError> {
    // Pruning looks for coupled kernels after the same change: a tensor that several layers share
    // would tie them together.
    let prepared = original.1.prepared().with_input_shapes_of(small.1);
    let prepared = prepared.with_mixing(small.1.allows_mixing());
    let original = (original.0, &prepared);
    let graph = Graph::outline(original.1)?;
    let small_graph = Graph::outline(small.1)?;
    let groups = ChannelGroups::find(&graph)?;
    let masks = masks::stored_masks(small.1, small.0)?;
    let widths = |masks: &Masks| masks.0.iter().map(Vec::len).collect::<Vec<_>>();
    if widths(&masks) != widths(&Masks::all_active(&groups)) {
        return Err(VerifyError::OtherOriginal {
            file: small.0.display().to_string(),
            original: original.0.display().to_string(),
        });
    }
    let mut checks = vec![checks::interface(original.1, small.1, &graph, &small_graph)];

    let removed = surgery::remove(original.1, &groups, &masks)?;
    let cost = CostModel::new(&graph, &groups)?;
    let counted = cost.count(&masks);
    let own = ChannelGroups::find(&small_graph)?;
    let found = CostModel::new(&small_graph, &own)?.count(&Masks::all_active(&own));
    checks.push(checks::size(counted, found));
    checks.push(checks::same_shapes(
        &Graph::outline(&removed)?,
        &small_graph,
    ));
    if !groups.quantised.is_empty() {
        let (expected, found) = (Graph::from_model(&removed)?, Graph::from_model(small.1)?);
        checks.push(checks::same_quantised(&groups, &expected, &found));
    }
    drop(removed);
    let mut not_run = None;
    if checks.iter().all(|check| check.passed) {
        let comparison = Comparison {
            original,
            small,
            graph: &graph,
            groups: &groups,
            masks: &masks,
            macs: cost.count(&Masks::all_active(&groups)).macs,
            engines,
        };
        match comparison.run(observer) {
            Ok(check) => checks.push(check),
            Err(error) if error.leaves_the_rest() => not_run = Some(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok((Verdict { checks }, not_run))
}
