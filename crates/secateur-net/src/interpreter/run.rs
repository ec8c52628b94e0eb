//! Passes over the planned steps.

use std::sync::Arc;

use burn::tensor::{Device, Gradients, Tensor};

use super::goes::{joined, joined_tensors};
use super::live::Live;
use super::recompute::Kept;
use super::samples::samples_first;
use super::step::Step;
use super::{ImageInput, Interpreter};
use crate::error::{NetError, Result};
use crate::ops::ConvBlock;
use crate::pass::{BatchMoments, Bound, Pass, Phase, Watched};
use crate::score::Collector;
use crate::value::{Dense, Host, HostData, Input, Inputs, Output, Value};

/// What a training pass gives.
pub struct TrainingPass<'a> {
    /// The planned outputs, each in the file's order of axes but for that of the samples, which
    /// comes first.
    pub outputs: Vec<Dense>,
    /// Batch statistics, to apply after the step.
    pub moments: Vec<BatchMoments>,
    watched: Vec<Watched>,
    collector: Option<Arc<Collector>>,
    /// The parts in front of the last cut, if there are any.
    kept: Option<Kept<'a>>,
}

impl TrainingPass<'_> {
    /// The gradients of a loss of the outputs; completes the scores that are gathered.
    ///
    /// # Errors
    /// As [`Interpreter::forward_training`], where steps run once more.
    pub fn backward(&self, loss: &Tensor<1>) -> Result<Gradients> {
        let mut gradients = backward(loss, &self.watched, self.collector.as_ref());
        if let Some(kept) = &self.kept {
            kept.backward(&mut gradients)?;
        }
        Ok(gradients)
    }
}

/// The gradients of a loss; gathers the scores of watched layers.
pub(super) fn backward(
    loss: &Tensor<1>,
    watched: &[Watched],
    collector: Option<&Arc<Collector>>,
) -> Gradients {
    let gradients = loss.backward();
    if let Some(collector) = collector {
        for layer in watched {
            layer.gather(&gradients, collector);
        }
    }
    gradients
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
    pub fn forward_training<'a>(
        &'a self,
        bound: &'a Bound,
        inputs: Inputs,
        collector: Option<Arc<Collector>>,
    ) -> Result<TrainingPass<'a>> {
        let goes = self.goes(Phase::Training, bound, inputs);
        let pass = self.pass(Phase::Training, bound, collector);
        let (mut moments, mut kept) = (Vec::new(), None);
        let outputs = match <[Inputs; 1]>::try_from(goes) {
            Ok([all]) => {
                let n = all.n;
                let values = self.input_values(all, &pass.device)?;
                let cuts = self.cuts(bound, &values)?;
                let outputs = if cuts.is_empty() {
                    self.run(&pass, &values, &self.outputs())?
                } else {
                    let detached = bound.detached();
                    let without_tape = self.pass(Phase::Training, &detached, None);
                    let passes = (&without_tape, &pass);
                    let (live, of_parts) = self.run_cut(passes, bound, &values, cuts)?;
                    kept = Some(of_parts);
                    moments = without_tape.take_moments();
                    live.find_all(&pass, &self.outputs())?
                };
                self.samples_first(&pass, &outputs, n)?
            }
            Err(goes) => {
                if let Some(collector) = &pass.collector {
                    collector.begin_parts(goes.len());
                }
                let each = goes.into_iter().map(|go| self.go(&pass, go));
                joined_tensors(each.collect::<Result<_>>()?, &self.outputs())?
            }
        };
        moments.extend(pass.take_moments());
        Ok(TrainingPass {
            outputs,
            moments,
            watched: pass.take_watched(),
            collector: pass.collector,
            kept,
        })
    }

    /// The steps in front of which a training pass is cut.
    fn cuts(&self, bound: &Bound, inputs: &[(&str, Value)]) -> Result<&[usize]> {
        let Some(bytes) = self.engine.memory() else {
            return Ok(&[]);
        };
        if self.cuts.get().is_none() {
            let footprint = self.footprint_of(bound, inputs)?;
            // Whoever was first has found the same.
            let _ = self.cuts.set(footprint.cuts(bytes));
        }
        Ok(self.cuts.get().map_or(&[], Vec::as_slice))
    }

    /// The planned outputs, in plain memory; their first axis counts samples.
    ///
    /// # Errors
    /// As [`crate::ops::Operator::forward`], and [`NetError::Shape`] for inputs that do not fit.
    pub fn forward_inference(&self, bound: &Bound, inputs: Inputs) -> Result<Vec<Output>> {
        let goes = self.goes(Phase::Inference, bound, inputs);
        let pass = self.pass(Phase::Inference, bound, None);
        let each = goes.into_iter().map(|go| {
            let outputs = self.go(&pass, go)?;
            Ok(outputs.iter().map(Output::from_dense).collect())
        });
        joined(each.collect::<Result<_>>()?, &self.outputs())
    }

    /// The planned outputs for samples that the network takes at once.
    fn go(&self, pass: &Pass<'_>, inputs: Inputs) -> Result<Vec<Dense>> {
        let n = inputs.n;
        let values = self.input_values(inputs, &pass.device)?;
        let outputs = self.run(pass, &values, &self.outputs())?;
        self.samples_first(pass, &outputs, n)
    }

    fn samples_first(&self, pass: &Pass<'_>, outputs: &[Value], n: usize) -> Result<Vec<Dense>> {
        let outputs = outputs.iter().zip(self.outputs()).zip(&self.sample_axes);
        outputs
            .map(|((value, name), &axis)| samples_first(name, value.dense(&pass.device), axis, n))
            .collect()
    }

    /// Inputs by name, as [`Self::run`] takes them.
    ///
    /// # Errors
    /// [`NetError::Shape`] for inputs that do not fit.
    pub(crate) fn input_values(
        &self,
        inputs: Inputs,
        device: &Device,
    ) -> Result<Vec<(&str, Value)>> {
        let given = inputs.values.len();
        if given != self.inputs.len() {
            return Err(NetError::Shape {
                node: self.graph_name.clone(),
                expected: format!("values for {} inputs", self.inputs.len()),
                got: format!("for {given}"),
            });
        }
        let n = inputs.n;
        let pairs = self.inputs.iter().zip(inputs.values);
        pairs
            .map(|(info, input)| {
                let value = match input {
                    Input::Images(values) => ImageInput::of(info)?.value(values, n, device)?,
                    Input::Array(host) => array_value(host, device),
                };
                Ok((info.name.as_str(), value))
            })
            .collect()
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
        let mut live = Live::new(self, inputs, outputs)?;
        for steps in self.together(pass.phase) {
            let inputs = live.read(pass, steps)?;
            let outputs = match steps {
                [step] => step.forward(pass, &inputs)?,
                _ => {
                    let blocks: Vec<&ConvBlock> =
                        steps.iter().filter_map(Step::conv_block).collect();
                    vec![ConvBlock::forward_chain(
                        &blocks,
                        pass,
                        &inputs[0],
                        inputs.get(1),
                    )?]
                }
            };
            live.put(steps, outputs);
        }
        live.find_all(pass, outputs)
    }

    /// Runs one step; returns how many values it gave.
    ///
    /// # Errors
    /// As [`crate::ops::Operator::forward`].
    pub(super) fn run_step<'n>(
        &'n self,
        pass: &Pass<'_>,
        live: &mut Live<'n>,
        at: usize,
    ) -> Result<usize> {
        let steps = &self.steps[at..=at];
        let outputs = steps[0].forward(pass, &live.read(pass, steps)?)?;
        let len = |value: &Value| value.onnx_dims().iter().product::<usize>();
        let given = outputs.iter().map(len).sum();
        live.put(steps, outputs);
        Ok(given)
    }
}

/// An array as the network takes it: floats on the device, anything else in plain memory.
fn array_value(array: Host, device: &Device) -> Value {
    match &array.data {
        HostData::Float(_) => Value::Dense(array.to_device(device)),
        HostData::Int(_) | HostData::Bool(_) => Value::Host(Arc::new(array)),
    }
}
