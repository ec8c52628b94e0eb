//! An inference pass over several batches that stops in front of every step, so that what the
//! step reads can be looked at and its parameters changed before it runs.

use burn::tensor::Device;

use super::Interpreter;
use super::goes::joined;
use super::live::Live;
use super::samples::samples_first;
use crate::error::Result;
use crate::pass::{Bound, Pass, Phase, missing};
use crate::value::{Output, Value};
use crate::weights::Weights;

/// A pass between two steps, or a copy of one that goes on by itself. Steps run one by one, those too
/// that inference runs together.
#[derive(Clone)]
pub struct Walk<'n> {
    network: &'n Interpreter,
    bound: Bound,
    batches: Vec<Live<'n>>,
    at: usize,
}

impl<'n> Walk<'n> {
    /// In front of the first step, for batches of inputs by name.
    ///
    /// # Errors
    /// [`crate::NetError::Shape`] for an input without elements, [`crate::NetError::Graph`] for a
    /// missing parameter.
    pub fn new(
        network: &'n Interpreter,
        weights: &Weights,
        batches: &[Vec<(&'n str, Value)>],
    ) -> Result<Self> {
        let outputs = network.outputs();
        let batches = batches.iter();
        let batches = batches.map(|inputs| Live::new(network, inputs, &outputs));
        Ok(Self {
            network,
            bound: Bound::new(weights, network.engine.device(), |_, tensor| tensor),
            batches: batches.collect::<Result<_>>()?,
            at: 0,
        })
    }

    /// The (first) node of the next step; `None` behind the last.
    pub fn node(&self) -> Option<&'n str> {
        Some(self.network.steps.get(self.at)?.node())
    }

    /// The first step of the plan that runs one of some nodes; the first of all if one of them is run
    /// by no step under its name.
    pub fn first_step_of(&self, nodes: &[&str]) -> usize {
        let of_node = |node: &&str| self.network.steps.iter().position(|s| s.node() == *node);
        let steps: Option<Vec<usize>> = nodes.iter().map(of_node).collect();
        steps.into_iter().flatten().min().unwrap_or(0)
    }

    /// What the network gives behind the last step for its batches, of so many samples each, as one.
    ///
    /// # Errors
    /// As [`Interpreter::forward_inference`].
    pub fn outputs(&self, sizes: &[usize]) -> Result<Vec<Output>> {
        let batches = sizes.iter().enumerate();
        let outputs = batches.map(|(batch, &n)| self.outputs_of(batch, n));
        joined(outputs.collect::<Result<_>>()?, &self.network.outputs())
    }

    fn outputs_of(&self, batch: usize, n: usize) -> Result<Vec<Output>> {
        let pass = self.pass();
        let names = self.network.outputs().into_iter();
        names
            .zip(&self.network.sample_axes)
            .map(|(name, &axis)| {
                let value = self
                    .value(batch, name)
                    .ok_or_else(|| missing(name, "output"))?;
                let values = samples_first(name, value.dense(&pass.device), axis, n)?;
                Ok(Output::from_dense(&values))
            })
            .collect()
    }

    /// A value in a batch, if it is there and still read.
    pub fn value(&self, batch: usize, name: &str) -> Option<Value> {
        let pass = self.pass();
        self.batches.get(batch)?.find(&pass, name)
    }

    /// Where the values lie.
    pub fn device(&self) -> &'n Device {
        self.network.engine.device()
    }

    /// Takes over changed parameters.
    pub fn rebind(&mut self, weights: &Weights, names: &[&str]) {
        self.bound
            .update(weights, names, self.network.engine.device());
    }

    /// A copy of the walk at its end, from here on with the parameters `changed` as they are in `weights`.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn ended_with(&self, weights: &Weights, changed: &[&str]) -> Result<Self> {
        let mut other = self.clone();
        other.rebind(weights, changed);
        while other.node().is_some() {
            other.step(weights)?;
        }
        Ok(other)
    }

    /// Runs the next step with its present `weights`, on every batch.
    ///
    /// # Errors
    /// As [`crate::ops::Operator::forward`].
    pub fn step(&mut self, weights: &Weights) -> Result<()> {
        let Some(step) = self.network.steps.get(self.at) else {
            return Ok(());
        };
        if let Some(folded) = step.fold(weights)? {
            let device = self.network.engine.device();
            self.bound.put_folded(step.node(), folded, device);
        }
        let pass = self.network.pass(Phase::Inference, &self.bound, None);
        for live in &mut self.batches {
            self.network.run_step(&pass, live, self.at)?;
        }
        drop(pass);
        self.bound.folded.remove(step.node());
        self.at += 1;
        Ok(())
    }

    /// Number of elements of all values that are held, in all batches.
    pub fn len(&self) -> usize {
        self.batches.iter().map(Live::len).sum()
    }

    /// True if nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn pass(&self) -> Pass<'_> {
        self.network.pass(Phase::Inference, &self.bound, None)
    }
}
