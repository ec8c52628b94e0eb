//! The planned steps of a graph of any inputs and outputs, and how they are run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use secateur_cpu::memory::Buffer;
use secateur_onnx::graph::Graph;

use crate::chains::{Chains, count_readers, left_norms};
use crate::error::{NetError, Result};
use crate::extension::{tensor_from_buffer, tensor_from_vec};
use crate::interpreter::{Bound, Engine, Mode, Pass, missing};
use crate::ops::{ConvBlock, Folded, Operator};
use crate::plan;
use crate::score::Collector;
use crate::value::{Host, Value};
use crate::weights::{WeightRole, Weights};

/// A planned graph. [`crate::interpreter::Network`] is one that classifies images.
#[derive(Debug)]
pub struct Program {
    steps: Vec<Box<dyn Operator>>,
    /// Stored tensors, parameters or not.
    stored: HashMap<String, Value>,
    /// Steps that run together in inference.
    chains: Chains,
    /// Values whose batch norm their reader applies in training.
    left_norms: HashSet<String>,
    engine: Engine,
    device: Device,
}

impl Program {
    /// Plans what `outputs` depend on.
    ///
    /// # Errors
    /// [`NetError::Unsupported`] names the first node without a training rule.
    pub fn new(graph: &Graph, outputs: &[&str], engine: Engine) -> Result<Self> {
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
        if engine == Engine::Fused {
            chains = Chains::find(&steps, outputs);
            left = left_norms(&steps, outputs);
        }
        Ok(Self {
            steps,
            stored,
            chains,
            left_norms: left,
            engine,
            device: Device::flex(),
        })
    }

    /// The plan, a line a step.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = Vec::with_capacity(self.steps.len());
        for (at, step) in self.steps.iter().enumerate() {
            let mut line = step.describe();
            if self.left_norms.contains(step.output())
                && let Some(block) = step.as_conv_block()
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

    /// Which code computes the steps.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Where tensors of a pass lie.
    pub fn device(&self, mode: Mode) -> Device {
        match mode {
            Mode::Training => self.device.clone().autodiff(),
            Mode::Inference => self.device.clone(),
        }
    }

    /// Parameters as leaves of a gradient tape.
    pub fn bind_training(&self, weights: &Weights) -> Bound {
        let device = self.device(Mode::Training);
        bind(
            weights,
            |weight_role, tensor| match weight_role {
                WeightRole::Running => tensor,
                WeightRole::Weight | WeightRole::Vector => tensor.require_grad(),
            },
            &device,
        )
    }

    /// Parameters for inference, batch norm folded.
    ///
    /// # Errors
    /// [`NetError::Graph`] for a missing parameter.
    pub fn bind_inference(&self, weights: &Weights) -> Result<Bound> {
        let mut bound = bind(weights, |_, tensor| tensor, &self.device);
        for steps in self.groups(Mode::Inference) {
            let mut folded: Vec<Folded> = Vec::new();
            for step in steps {
                folded.extend(step.fold(weights)?);
            }
            let together = folded.into_iter().reduce(|mut all, next| {
                all.weight.extend(next.weight);
                all.bias.extend(next.bias);
                all
            });
            if let Some(folded) = together {
                let (nw, nb) = (folded.weight.len(), folded.bias.len());
                let pair = (
                    tensor_from_vec(folded.weight, [nw], &self.device),
                    tensor_from_vec(folded.bias, [nb], &self.device),
                );
                bound.folded.insert(steps[0].node().to_string(), pair);
            }
        }
        Ok(bound)
    }

    /// The steps in order; those that run together in one slice.
    fn groups(&self, mode: Mode) -> impl Iterator<Item = &[Box<dyn Operator>]> {
        let mut rest = self.steps.as_slice();
        std::iter::from_fn(move || {
            let len = match mode {
                _ if rest.is_empty() => return None,
                Mode::Inference => self.chains.len_at(self.steps.len() - rest.len()),
                Mode::Training => 1,
            };
            rest.split_off(..len)
        })
    }

    /// A pass with parameters bound for `mode`.
    pub fn pass<'a>(
        &'a self,
        mode: Mode,
        bound: &'a Bound,
        collector: Option<Arc<Collector>>,
    ) -> Pass<'a> {
        let mut pass = Pass::new(mode, self.engine, collector, self.device(mode), bound);
        if mode == Mode::Training {
            pass.left_norms = Some(&self.left_norms);
        }
        pass
    }

    /// Runs the steps from `inputs` to `outputs`.
    ///
    /// # Errors
    /// As [`Operator::forward`].
    pub fn run(
        &self,
        pass: &Pass<'_>,
        inputs: &[(&str, Value)],
        outputs: &[&str],
    ) -> Result<Vec<Value>> {
        let mut values: HashMap<&str, Value> = HashMap::new();
        for (name, value) in inputs {
            if value.onnx_dims().contains(&0) {
                return Err(NetError::Shape {
                    node: (*name).to_string(),
                    expected: "at least one element".to_string(),
                    got: format!("{:?}", value.onnx_dims()),
                });
            }
            values.insert(name, value.clone());
        }
        // A value is dropped after its last reader, so that its memory serves the next step.
        let mut readers = count_readers(&self.steps, outputs);
        let find = |values: &HashMap<&str, Value>, name: &str| {
            let computed = values.get(name).cloned();
            computed
                .or_else(|| pass.parameter(name).map(Value::Dense))
                .or_else(|| self.stored.get(name).cloned())
        };
        for steps in self.groups(pass.mode) {
            let last = &steps[steps.len() - 1];
            let names: Vec<&str> = steps.iter().flat_map(|step| step.inputs()).collect();
            let between =
                |name: &&str| steps[..steps.len() - 1].iter().any(|s| s.output() == *name);
            let inputs = names
                .iter()
                .filter(|name| !between(name))
                .map(|name| {
                    find(&values, name).ok_or_else(|| NetError::Graph {
                        place: format!("node `{}`", last.node()),
                        reason: format!("its input `{name}` is neither computed nor readable"),
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            let output = match steps {
                [step] => step.forward(pass, &inputs)?,
                _ => {
                    let blocks: Vec<&ConvBlock> =
                        steps.iter().filter_map(|s| s.as_conv_block()).collect();
                    ConvBlock::forward_chain(&blocks, pass, &inputs[0], inputs.get(1))?
                }
            };
            for name in names {
                if let Some(count) = readers.get_mut(name) {
                    *count -= 1;
                    if *count == 0 {
                        values.remove(name);
                    }
                }
            }
            values.insert(last.output(), output);
        }
        outputs
            .iter()
            .map(|name| find(&values, name).ok_or_else(|| missing(name, "output")))
            .collect()
    }
}

fn bind(
    weights: &Weights,
    prepare: impl Fn(WeightRole, Tensor<1>) -> Tensor<1>,
    device: &Device,
) -> Bound {
    let mut tensors = HashMap::new();
    let mut shapes = HashMap::new();
    for (name, weight) in weights.iter() {
        let tensor = tensor_from_buffer(Buffer::from(weight.data.as_slice()), device);
        tensors.insert(name.clone(), prepare(weight.role, tensor));
        shapes.insert(name.clone(), weight.shape.clone());
    }
    Bound {
        tensors,
        shapes,
        folded: HashMap::new(),
    }
}
