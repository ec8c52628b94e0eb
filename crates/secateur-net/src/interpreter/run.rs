//! Passes over the planned steps.

use std::collections::HashMap;
use std::sync::Arc;

use burn::tensor::{Device, Gradients, Tensor};

use super::chains::count_readers;
use super::step::Step;
use super::{ImageInput, Interpreter};
use crate::error::{NetError, Result};
use crate::ops::ConvBlock;
use crate::pass::{BatchMoments, Bound, Pass, Phase, Watched, missing};
use crate::score::Collector;
use crate::value::{Dense, Host, HostData, Input, Inputs, Output, Value};

/// What a training pass gives.
pub struct TrainingPass {
    /// The planned outputs, each in the file's order of axes.
    pub outputs: Vec<Dense>,
    /// Batch statistics, to apply after the step.
    pub moments: Vec<BatchMoments>,
    watched: Vec<Watched>,
    collector: Option<Arc<Collector>>,
}

impl TrainingPass {
    /// The gradients of a loss of the outputs; completes the scores that are gathered.
    pub fn backward(&self, loss: &Tensor<1>) -> Gradients {
        let gradients = loss.backward();
        if let Some(collector) = &self.collector {
            for layer in &self.watched {
                layer.gather(&gradients, collector);
            }
        }
        gradients
    }
}

impl Interpreter {
    /// A pass with parameters bound for `phase`.
    pub fn pass<'a>(
        &'a self,
        phase: Phase,
        bound: &'a Bound,
        collector: Option<Arc<Collector>>,
    ) -> Pass<'a> {
        let mut pass = Pass::new(phase, &self.engine, collector, bound);
        if phase == Phase::Training {
            pass.left_norms = Some(&self.left_norms);
        }
        pass
    }

    /// Training pass for the planned outputs.
    ///
    /// # Errors
    /// As [`crate::ops::Operator::forward`], and [`NetError::Shape`] for inputs that do not fit.
    pub fn forward_training(
        &self,
        bound: &Bound,
        inputs: Inputs,
        collector: Option<Arc<Collector>>,
    ) -> Result<TrainingPass> {
        let pass = self.pass(Phase::Training, bound, collector);
        Ok(TrainingPass {
            outputs: self.run_inputs(&pass, inputs)?,
            moments: pass.take_moments(),
            watched: pass.take_watched(),
            collector: pass.collector,
        })
    }

    /// The planned outputs, in plain memory.
    ///
    /// # Errors
    /// As [`crate::ops::Operator::forward`], and [`NetError::Shape`] for inputs that do not fit.
    pub fn forward_inference(&self, bound: &Bound, inputs: Inputs) -> Result<Vec<Output>> {
        let pass = self.pass(Phase::Inference, bound, None);
        let outputs = self.run_inputs(&pass, inputs)?;
        Ok(outputs.iter().map(Output::from_dense).collect())
    }

    fn run_inputs(&self, pass: &Pass<'_>, inputs: Inputs) -> Result<Vec<Dense>> {
        let given = inputs.values.len();
        if given != self.inputs.len() {
            return Err(NetError::Shape {
                node: self.graph_name.clone(),
                expected: format!("values for {} inputs", self.inputs.len()),
                got: format!("for {given}"),
            });
        }
        let pairs = self.inputs.iter().zip(inputs.values);
        let values = pairs
            .map(|(info, input)| {
                let value = match input {
                    Input::Images(values) => {
                        ImageInput::of(info)?.value(values, inputs.n, &pass.device)?
                    }
                    Input::Array(host) => array_value(host, &pass.device),
                };
                Ok((info.name.as_str(), value))
            })
            .collect::<Result<Vec<_>>>()?;
        let outputs = self.run(pass, &values, &self.outputs())?;
        Ok(outputs.iter().map(|v| v.dense(&pass.device)).collect())
    }

    /// Runs the steps from `inputs` to `outputs`, which are among those planned.
    ///
    /// # Errors
    /// As [`crate::ops::Operator::forward`], and [`NetError::Graph`] for an output that was not
    /// planned.
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
        for steps in self.together(pass.phase) {
            let inputs = self.read(pass, &values, steps)?;
            let output = match steps {
                [step] => step.forward(pass, &inputs)?,
                _ => {
                    let blocks: Vec<&ConvBlock> =
                        steps.iter().filter_map(Step::conv_block).collect();
                    ConvBlock::forward_chain(&blocks, pass, &inputs[0], inputs.get(1))?
                }
            };
            for name in steps.iter().flat_map(|step| step.inputs()) {
                if let Some(count) = readers.get_mut(name) {
                    *count -= 1;
                    if *count == 0 {
                        values.remove(name);
                    }
                }
            }
            values.insert(steps[steps.len() - 1].output(), output);
        }
        outputs
            .iter()
            .map(|name| {
                let value = self.find(pass, &values, name);
                value.ok_or_else(|| missing(name, "output"))
            })
            .collect()
    }

    /// What steps that run together read, without what they hand to each other.
    fn read(
        &self,
        pass: &Pass<'_>,
        values: &HashMap<&str, Value>,
        steps: &[Step],
    ) -> Result<Vec<Value>> {
        let (last, before) = (&steps[steps.len() - 1], &steps[..steps.len() - 1]);
        steps
            .iter()
            .flat_map(|step| step.inputs())
            .filter(|name| !before.iter().any(|step| step.output() == *name))
            .map(|name| {
                self.find(pass, values, name)
                    .ok_or_else(|| NetError::Graph {
                        place: format!("node `{}`", last.node()),
                        reason: format!("its input `{name}` is neither computed nor readable"),
                    })
            })
            .collect()
    }

    /// A value that was computed, a parameter or a stored tensor.
    fn find(&self, pass: &Pass<'_>, values: &HashMap<&str, Value>, name: &str) -> Option<Value> {
        let computed = values.get(name).cloned();
        computed
            .or_else(|| pass.parameter(name).map(Value::Dense))
            .or_else(|| self.stored.get(name).cloned())
    }
}

/// An array as the network takes it: floats on the device, anything else in plain memory.
fn array_value(array: Host, device: &Device) -> Value {
    match &array.data {
        HostData::Float(_) => Value::Dense(array.to_device(device)),
        HostData::Int(_) | HostData::Bool(_) => Value::Host(Arc::new(array)),
    }
}
