//! What a network's outputs mean: their loss and their quality.
//!
//! Everything else (training, evaluation, probes, searches) asks the task and knows outputs
//! only as values with names. A new kind is a file here and a line in [`find`].

mod classify;
mod contrast;
mod cross_entropy;
mod detect;
mod deviation;
mod ends;
mod figures;
mod kind;
mod maps;
mod matching;
mod originals;
mod pooling;
mod sequence;
mod shares;
mod targets;
#[cfg(test)]
pub(crate) mod testing;

use std::fmt::Debug;
use std::sync::Arc;

use burn::tensor::Tensor;
use secateur_onnx::graph::Graph;

pub use classify::Classify;
pub use contrast::{ClassShare, Contrast, Pair, Place, ShownBox, ShownMap, ShownValues};
pub use detect::Detect;
pub(crate) use deviation::{loss as deviation_loss, variance as deviation_variance};
pub use figures::{Figure, Gather, Unit};
pub use kind::TaskKind;
pub use maps::Maps;
pub use matching::Match;
pub use pooling::LastPooling;
pub use sequence::Sequence;
pub use targets::{Against, Distillation, Judged, Targets, TeacherWeight, Wanted};

use crate::engine::Engine;
use crate::error::{NetError, Result};
use crate::interpreter::Frontier;
use crate::value::{Dense, Output};

/// What the outputs of a network mean.
///
/// Outputs come in the order of [`Task::outputs`], each in the file's order of axes, whose
/// first counts samples.
pub trait Task: Debug + Send + Sync {
    /// One word for the kind, as in files: `classify`.
    fn name(&self) -> &'static str;

    /// What people call its quality: `accuracy`.
    fn quality_name(&self) -> &'static str;

    /// The values of the graph that it reads.
    fn outputs(&self) -> Vec<&str>;

    /// What its quality is held against.
    fn against(&self) -> Against;

    /// Number of classes that samples fall into; `None` without classes.
    fn n_classes(&self) -> Option<usize>;

    /// True if outputs move with what the inputs show, as maps and boxes do; false where a shifted
    /// input wants the same outputs.
    fn moves_with_inputs(&self) -> bool {
        true
    }

    /// One line for people.
    fn describe(&self) -> String;

    /// True if [`Task::fitted`] has something to take from samples.
    fn needs_fitting(&self) -> bool {
        false
    }

    /// The same task with what it takes from the original's outputs for some samples: how they
    /// vary, how they are to be read. `None` if it takes nothing.
    fn fitted(&self, sample: &[Output]) -> Option<Arc<dyn Task>> {
        let _ = sample;
        None
    }

    /// Gathers what else the task tells of a part.
    fn gather(&self) -> Option<Box<dyn Gather>> {
        None
    }

    /// Mean loss of a batch, of which gradients are taken.
    ///
    /// # Errors
    /// [`crate::NetError::Shape`] for outputs or targets that do not fit.
    fn loss(&self, engine: &Engine, outputs: &[Dense], targets: &Targets<'_>) -> Result<Tensor<1>>;

    /// How good the outputs of each sample are; smoothing and teachers have no part in it.
    ///
    /// # Errors
    /// [`crate::NetError::Shape`] for outputs that do not fit, and where `wanted` is not what
    /// [`Task::against`] says.
    fn judge(&self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Judged>>;

    /// What the original's and another network's outputs for one sample say, for people; both
    /// hold that sample alone.
    ///
    /// # Errors
    /// [`crate::NetError::Shape`] for outputs that do not fit.
    fn contrast(&self, outputs: Pair<&[Output]>) -> Result<Contrast>;
}

/// The kinds in the order in which they are told from a graph: the last takes any outputs.
const TOLD: [TaskKind; 5] = [
    TaskKind::Classify,
    TaskKind::Detect,
    TaskKind::Dense,
    TaskKind::Sequence,
    TaskKind::Match,
];

/// The task of a graph on data with or without labels: what is wished for, else what its
/// outputs look like, and at last [`Match`], which takes any.
///
/// # Errors
/// [`crate::NetError::Wish`] says what the file has instead of what the task takes that is wished
/// for, [`crate::NetError::Task`] that it has nothing that any task takes.
pub fn find(graph: &Graph, against: Against, wish: Option<TaskKind>) -> Result<Arc<dyn Task>> {
    if let Some(kind) = wish {
        return wished(graph, against, kind);
    }
    let told = match graph.no_batch {
        // What other tasks know outputs by counts on samples in front.
        true => &[][..],
        false => &TOLD,
    };
    let found = told
        .iter()
        .find_map(|&kind| of_kind(graph, against, kind, Wish::Guessed).ok());
    match found {
        Some(task) => Ok(task),
        None => of_kind(graph, against, TaskKind::Match, Wish::Guessed),
    }
}

/// The task of a graph that is trained up to its frontier: as [`find`] says, where that is the
/// graph's outputs; else what is wished for, if its outputs lie in front; else the tensors of the
/// frontier are matched with the original's.
///
/// # Errors
/// As [`find`], and [`crate::NetError::Task`] where nothing can be trained.
pub fn up_to(
    graph: &Graph,
    frontier: &Frontier,
    against: Against,
    wish: Option<TaskKind>,
) -> Result<Arc<dyn Task>> {
    if frontier.is_whole() {
        return find(graph, against, wish);
    }
    if let Some(kind) = wish.filter(|kind| *kind != TaskKind::Match) {
        let task = wished(graph, against, kind)?;
        let is_in_front = |value: &&str| frontier.is_in_front(value);
        return match task.outputs().iter().find(|value| !is_in_front(value)) {
            None => Ok(task),
            Some(output) => Err(NetError::Wish {
                task: kind.name(),
                place: format!("output `{output}`"),
                reason: format!(
                    "it lies behind where training ends: {}",
                    frontier.stops_text()
                ),
            }),
        };
    }
    if frontier.values().is_empty() {
        return Err(NetError::Task {
            place: format!("graph `{}`", graph.name),
            reason: format!("no layer can be trained: {}", frontier.stops_text()),
        });
    }
    Ok(Arc::new(Match::of(graph, &frontier.values())?))
}

/// The task that the user asks for.
fn wished(graph: &Graph, against: Against, kind: TaskKind) -> Result<Arc<dyn Task>> {
    if graph.no_batch && kind != TaskKind::Match {
        return Err(NetError::Wish {
            task: kind.name(),
            place: format!("graph `{}`", graph.name),
            reason: "it has no axis for a batch: its outputs can be matched (`match`)".to_string(),
        });
    }
    of_kind(graph, against, kind, Wish::Stated).map_err(|error| match error {
        NetError::Task { place, reason } => NetError::Wish {
            task: kind.name(),
            place,
            reason,
        },
        other => other,
    })
}

/// Who says what the outputs mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// The user: it is so, as far as shapes allow it.
    Stated,
    /// What they look like: it has to be sure.
    Guessed,
}

fn of_kind(graph: &Graph, against: Against, kind: TaskKind, wish: Wish) -> Result<Arc<dyn Task>> {
    Ok(match kind {
        TaskKind::Classify => Arc::new(Classify::find(graph, against)?),
        TaskKind::Detect => Arc::new(Detect::find(graph)?),
        TaskKind::Dense => Arc::new(Maps::find(graph, wish)?),
        TaskKind::Sequence => Arc::new(Sequence::find(graph, wish)?),
        TaskKind::Match => Arc::new(Match::find(graph)?),
    })
}
