//! The pruned file's outputs against those of the masked original.

use std::path::Path;

use secateur_net::mask::Selection;
use secateur_net::weights::Weights;
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::{Model, Tensor};
use secateur_onnx::{OnnxError, surgery};

use super::difference::Difference;
use super::saturation::saturated;
use super::tolerance::Tolerance;
use super::{Check, CheckObserver, VerifyError};
use crate::runtime::{
    Engines, Feed, Output, Runtime, RuntimeError, feeds, first_that_runs, fixed_batch, given_batch,
    shapes_text,
};

/// Bytes of weights beyond which outputs are not compared.
const MOST_WEIGHTS: usize = 1 << 30;

/// Nodes beyond which outputs are not compared: loading takes the other engine a minute there.
const MOST_NODES: usize = 20_000;

/// Samples of the made-up input, where the file leaves the batch open.
const MOST_SAMPLES: usize = 8;

/// Multiply-adds of all samples together, from which on fewer are compared: some seconds.
const MOST_MACS: u64 = 4_000_000_000;

/// What is compared.
pub(super) struct Comparison<'a> {
    pub original: (&'a Path, &'a Model),
    pub small: (&'a Path, &'a Model),
    pub graph: &'a Graph,
    pub groups: &'a ChannelGroups,
    pub masks: &'a Masks,
    /// Multiply-adds of a sample of the original.
    pub macs: u64,
    /// What may compare.
    pub engines: &'a Engines,
}

impl Comparison<'_> {
    /// Compares all outputs for made-up inputs, in the first engine that runs both files, or in the one
    /// that is asked for.
    ///
    /// # Errors
    /// [`VerifyError::TooLarge`], [`VerifyError::NonFinite`], [`VerifyError::Empty`] and
    /// [`VerifyError::Runtime`] where that cannot be done.
    pub(super) fn run(&self, observer: &mut dyn CheckObserver) -> Result<Check, VerifyError> {
        let file = || self.original.0.display().to_string();
        if let Some(reason) = too_large(self.graph) {
            let file = file();
            return Err(VerifyError::TooLarge { file, reason });
        }
        for &batch in &self.batches() {
            feeds(self.graph, batch).map_err(|reason| RuntimeError::Unfit {
                model: file(),
                reason,
            })?;
        }
        let (instead, saturating) = saturated(self.graph);
        let masked = masked(self.original.1, self.small.1, self.groups, self.masks)?;
        let masked = masked.with_outputs(&instead);
        let small = self.small.1.with_outputs(&instead);
        let (engine, inputs, outputs) =
            first_that_runs(&self.engines.for_comparing()?, self.original.0, |engine| {
                let ran = self.in_engine(engine, [&masked, &small], observer)?;
                Ok((engine.describe(), ran.0, ran.1))
            })?;
        let Outputs {
            expected,
            found,
            moved,
        } = outputs;
        let floats = expected.iter().filter(|output| output.is_float);
        if floats.flat_map(|o| &o.values).any(|v| !v.is_finite()) {
            return Err(VerifyError::NonFinite { file: file() });
        }
        if expected.iter().all(|output| output.values.is_empty()) {
            return Err(VerifyError::Empty { file: file() });
        }
        let mut tolerance = Tolerance::of(self.graph);
        if let Some(moved) = moved {
            tolerance.allow_for(self.between(&expected, &moved));
        }
        let difference = self.between(&expected, &found);
        Ok(Check {
            name: format!("outputs agree with the masked network ({engine})"),
            passed: difference.is_within(&tolerance),
            detail: match &saturating[..] {
                [] => format!("{}; inputs {inputs}", difference.text(&tolerance)),
                operators => format!(
                    "{}, in front of {}; inputs {inputs}",
                    difference.text(&tolerance),
                    operators.join(" and ")
                ),
            },
        })
    }

    /// How far outputs lie apart.
    fn between(&self, one: &[Output], other: &[Output]) -> Difference {
        let types: Vec<i32> = self.graph.outputs.iter().map(|o| o.elem_type).collect();
        Difference::between(one, other, &types, &Tolerance::of(self.graph))
    }

    /// Batches to try: what was given or is fixed, else as many samples as are quick. Reshapes
    /// may hold one sample although the file leaves its batch open.
    fn batches(&self) -> Vec<usize> {
        let fixed = given_batch(self.original.1, self.graph).or_else(|| fixed_batch(self.graph));
        if let Some(batch) = fixed {
            return vec![batch];
        }
        let quick = (MOST_MACS / self.macs.max(1)).clamp(1, MOST_SAMPLES as u64) as usize;
        if quick > 1 { vec![quick, 1] } else { vec![1] }
    }

    /// Shapes of the inputs, and the outputs of both networks.
    fn in_engine(
        &self,
        engine: &dyn Runtime,
        [masked, small]: [&Model; 2],
        observer: &mut dyn CheckObserver,
    ) -> Result<(String, Outputs), String> {
        let mut reason = String::new();
        for batch in self.batches() {
            let feeds = feeds(self.graph, batch)?;
            let inputs = shapes_text(&feeds);
            observer.comparing(&engine.describe(), &inputs);
            let outputs = |model: &Model, feeds: &[Feed]| {
                engine
                    .load(model, self.graph.nodes.len(), feeds)
                    .and_then(|mut loaded| loaded.run())
            };
            let both = outputs(masked, &feeds).and_then(|a| Ok((a, outputs(small, &feeds)?)));
            let (expected, found) = match both {
                Ok(both) => both,
                Err(error) => {
                    reason = error;
                    continue;
                }
            };
            let is_within = self
                .between(&expected, &found)
                .is_within(&Tolerance::of(self.graph));
            let moved = match is_within {
                true => None,
                false => Some(outputs(masked, &moved(&feeds))?),
            };
            let outputs = Outputs {
                expected,
                found,
                moved,
            };
            return Ok((inputs, outputs));
        }
        Err(reason)
    }
}

/// Outputs of the networks that are compared.
struct Outputs {
    /// Of the masked network.
    expected: Vec<Output>,
    /// Of the pruned file.
    found: Vec<Output>,
    /// Of the masked network for inputs moved by a millionth, where the other two lie apart.
    moved: Option<Vec<Output>>,
}

/// The inputs, floats moved by a millionth: some roundings of 32 bits.
fn moved(feeds: &[Feed]) -> Vec<Feed> {
    let mut feeds = feeds.to_vec();
    for feed in feeds.iter_mut().filter(|feed| feed.element.is_float()) {
        for value in &mut feed.values {
            *value *= 1.0 + 1e-6;
        }
    }
    feeds
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
