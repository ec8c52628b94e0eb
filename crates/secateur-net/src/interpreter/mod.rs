//! A trainable network of any inputs and outputs, interpreted from an ONNX graph.
//!
//! The graph is planned once (`plan`): each step is an operator with the nodes that were fused
//! into it. A pass walks the steps with Burn tensors, images channels last. What the outputs
//! mean is not known here: that is a [`crate::task::Task`].

mod chains;
mod frontier;
mod fusing;
mod goes;
mod input;
mod live;
mod plan;
mod recompute;
mod run;
mod samples;
mod step;
mod walk;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use secateur_onnx::graph::{Graph, ValueInfo};

use self::chains::{Chains, left_norms};
pub use self::frontier::{End, Frontier, Stop};
pub(crate) use self::goes::batch_axis;
pub use self::input::ImageInput;
pub use self::recompute::Footprint;
pub use self::run::TrainingPass;
pub use self::samples::by_sample;
use self::step::Step;
pub use self::walk::Walk;
use crate::engine::Engine;
use crate::error::Result;
use crate::ops::Folded;
use crate::pass::{Bound, Phase};
use crate::value::{Host, Value};
use crate::weights::{WeightRole, Weights};

/// A planned graph, ready to train and to evaluate. Holds no parameters: those are
/// [`Weights`], so that one network serves many sets of them.
#[derive(Debug)]
pub struct Interpreter {
    steps: Vec<Step>,
    /// Stored tensors, parameters or not.
    stored: HashMap<String, Value>,
    /// Steps that run together in inference.
    chains: Chains,
    /// Values whose batch norm their reader applies in training.
    left_norms: HashSet<String>,
    engine: Engine,
    graph_name: String,
    inputs: Vec<ValueInfo>,
    outputs: Vec<String>,
    /// Of each output, the axis that counts samples.
    sample_axes: Vec<usize>,
    /// Whether it takes several samples at once; found by the first that come together.
    takes_batches: OnceLock<bool>,
    /// Where training passes are cut to keep within the engine's memory; found by the first.
    cuts: OnceLock<Vec<usize>>,
}

impl Interpreter {
    /// Plans what `outputs`, values of the graph, depend on; the rest of the graph is left out.
    ///
    /// # Errors
    /// [`crate::NetError::Unsupported`] names the first node without a training rule.
    pub fn new(graph: &Graph, outputs: &[&str], engine: &Engine) -> Result<Self> {
        let steps = plan::steps(graph, outputs)?;
        let mut stored = HashMap::new();
        for name in steps
            .iter()
            .flat_map(|step| step.inputs())
            .chain(outputs.iter().copied())
        {
            if let Some(tensor) = graph.initializers.get(name)
                && let Some(host) = Host::from_stored(tensor)
            {
                stored.insert(name.to_string(), Value::Host(Arc::new(host)));
            }
        }
        let (mut chains, mut left) = (Chains::default(), HashSet::new());
        if engine.is_fused() {
            chains = Chains::find(&steps, outputs);
            left = left_norms(&steps, outputs);
        }
        Ok(Self {
            steps,
            stored,
            chains,
            left_norms: left,
            engine: engine.clone(),
            graph_name: graph.name.clone(),
            inputs: graph.inputs.clone(),
            outputs: outputs.iter().map(ToString::to_string).collect(),
            sample_axes: samples::sample_axes(graph, outputs),
            takes_batches: OnceLock::new(),
            cuts: OnceLock::new(),
        })
    }

    /// The plan, a line a step.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = Vec::with_capacity(self.steps.len());
        for (at, step) in self.steps.iter().enumerate() {
            let mut line = step.describe();
            if let Some(block) = step.conv_block()
                && self.left_norms.contains(block.output())
            {
                line += block.describe_left();
            }
            let len = self.chains.len_at(at);
            if len > 1 {
                line += &format!("; inference: image by image with the next {}", len - 1);
            }
            lines.push(line);
        }
        lines
    }

    /// True if a step is a normalisation.
    pub fn is_normalised(&self) -> bool {
        self.steps.iter().any(|step| step.normalises())
    }

    /// Parts that training passes are cut into to keep within the engine's memory; 1 before the first.
    pub fn parts(&self) -> usize {
        self.cuts.get().map_or(0, Vec::len) + 1
    }

    /// Where and by which code it is computed.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What the graph takes.
    pub fn inputs(&self) -> &[ValueInfo] {
        &self.inputs
    }

    /// Names of the values that it was planned for.
    pub fn outputs(&self) -> Vec<&str> {
        self.outputs.iter().map(String::as_str).collect()
    }

    /// Its input, if that is one of images.
    ///
    /// # Errors
    /// [`crate::NetError::Task`] says what it takes instead.
    pub fn image_input(&self) -> Result<ImageInput> {
        ImageInput::find(&self.graph_name, &self.inputs)
    }

    /// Its images as `[c, h, w]`.
    ///
    /// # Errors
    /// As [`Self::image_input`].
    pub fn input_shape(&self) -> Result<[usize; 3]> {
        Ok(self.image_input()?.shape)
    }

    /// Parameters as leaves of a gradient tape.
    pub fn bind_training(&self, weights: &Weights) -> Bound {
        Bound::new(
            weights,
            &Phase::Training.device(&self.engine),
            |role, tensor| match role {
                WeightRole::Running => tensor,
                WeightRole::Weight | WeightRole::Vector => tensor.require_grad(),
            },
        )
    }

    /// Parameters for inference, batch norm folded.
    ///
    /// # Errors
    /// [`crate::NetError::Graph`] for a missing parameter.
    pub fn bind_inference(&self, weights: &Weights) -> Result<Bound> {
        let device = self.engine.device();
        let mut bound = Bound::new(weights, device, |_, tensor| tensor);
        for steps in self.together(Phase::Inference) {
            let mut folded: Vec<Folded> = Vec::new();
            for step in steps {
                folded.extend(step.fold(weights)?);
            }
            let all = folded.into_iter().reduce(|mut all, next| {
                all.weight.extend(next.weight);
                all.bias.extend(next.bias);
                all
            });
            if let Some(folded) = all {
                bound.put_folded(steps[0].node(), folded, device);
            }
        }
        Ok(bound)
    }

    /// The steps in order, those that run together side by side.
    fn together(&self, phase: Phase) -> impl Iterator<Item = &[Step]> {
        let mut rest = self.steps.as_slice();
        std::iter::from_fn(move || {
            let len = match phase {
                _ if rest.is_empty() => return None,
                Phase::Inference => self.chains.len_at(self.steps.len() - rest.len()),
                Phase::Training => 1,
            };
            rest.split_off(..len)
        })
    }
}
