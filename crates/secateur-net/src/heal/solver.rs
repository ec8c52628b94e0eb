//! Solves the weights of compact networks of one original.

use std::time::Instant;

use secateur_onnx::cost::CostModel;
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use serde::Serialize;

use super::layers::{self, Unsolved};
use super::original::{self, Targets};
use super::rows::CompactWalk;
use super::widths::{self, WidthErrors};
use super::{Inputs, SolveOptions};
use crate::data::Part;
use crate::error::Result;
use crate::interpreter::{Interpreter, Walk};
use crate::weights::Weights;

/// What a layer was solved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Its own output in the original.
    Own,
    /// What the sum lacks that its output goes into.
    Sum,
}

/// A layer whose weights were looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SolvedLayer {
    /// Its node.
    pub node: String,
    /// What it was to give.
    pub target: Target,
    /// Sampled positions.
    pub rows: usize,
    /// Weights of each output channel.
    pub columns: usize,
    /// Error on held-out inputs with the weights that the cut left, as share of the deviation of
    /// what the layer was to give.
    pub before: f64,
    /// The same with solved weights.
    pub after: f64,
    /// Regularisation, relative to the mean of the diagonal of XᵀX; the median of its groups.
    /// `None` where no change was better.
    pub strength: Option<f64>,
    /// Time.
    pub seconds: f64,
}

/// What solving weights did, and what it took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Solved {
    /// Layers whose weights were looked at, in order; those that give what they did are left out.
    pub layers: Vec<SolvedLayer>,
    /// Multiply-adds of everything: the compact network on all inputs, its layers at the sampled
    /// positions, sums of products, factorisations. Those in 64 bits count as the others.
    pub multiply_adds: f64,
}

/// An original network with inputs and targets, which compact networks are solved for.
pub struct Solver<'a> {
    groups: &'a ChannelGroups,
    cost: CostModel,
    inputs: Inputs,
    targets: Targets,
    unsolved: Vec<Unsolved>,
    multiply_adds: f64,
}

impl<'a> Solver<'a> {
    /// Runs the original on inputs of `part` and keeps what its layers give at sampled positions.
    ///
    /// # Errors
    /// [`crate::NetError::Task`] for fewer than 2 inputs; as an inference pass.
    pub fn new(
        network: &Interpreter,
        graph: &Graph,
        groups: &'a ChannelGroups,
        weights: &Weights,
        part: &Part,
        options: &SolveOptions,
    ) -> Result<Self> {
        let (layers, unsolved) = layers::find(graph);
        let cost = CostModel::new(graph, groups)?;
        let inputs = Inputs::new(network, weights, part, options)?;
        let (rows, seed) = (options.rows, options.seed);
        let targets = original::targets(network, weights, &layers, &inputs, rows, seed)?;
        // Another input was run to see how much memory one takes.
        let passes = (inputs.len() + 1) as f64;
        let of_one = cost.count(&Masks::all_active(groups)).macs as f64;
        Ok(Self {
            groups,
            multiply_adds: passes * of_one + targets.multiply_adds,
            cost,
            inputs,
            targets,
            unsolved,
        })
    }

    /// Multiply-adds of [`Self::new`]: the original on all inputs, its layers at the sampled
    /// positions.
    pub fn multiply_adds(&self) -> f64 {
        self.multiply_adds
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Layers that are left as they are.
    pub fn unsolved(&self) -> &[Unsolved] {
        &self.unsolved
    }

    /// The errors by width of the original, which is given anew, on the solver's inputs; see
    /// [`errors_by_width`](super::errors_by_width).
    ///
    /// # Errors
    /// As an inference pass.
    pub fn errors_by_width(
        &self,
        network: &Interpreter,
        graph: &Graph,
        weights: &Weights,
        options: &SolveOptions,
    ) -> Result<(Vec<WidthErrors>, f64)> {
        widths::of_inputs(network, graph, self.groups, weights, &self.inputs, options)
    }

    /// Solves the weights of the compact network that `masks` leave.
    ///
    /// `weights` are those that the cut left; they are changed in place.
    ///
    /// # Errors
    /// As an inference pass.
    pub fn solve(
        &self,
        compact: &Interpreter,
        masks: &Masks,
        weights: &mut Weights,
    ) -> Result<Solved> {
        let of_one = self.cost.count(masks).macs as f64;
        let mut solved = Solved {
            layers: Vec::new(),
            multiply_adds: of_one * self.inputs.len() as f64,
        };
        let all = 0..self.inputs.sizes.len();
        let mut walk = Walk::new(compact, weights, &self.inputs.named(all))?;
        while let Some(node) = walk.node() {
            // What the layer gives that is solved before another for the same sum.
            let mut terms = None;
            let due = self.targets.by_node.get(node).into_iter().flatten();
            let mut due = due.peekable();
            while let Some(target) = due.next() {
                let start = Instant::now();
                let here = CompactWalk {
                    walk: &walk,
                    weights,
                    groups: self.groups,
                    masks,
                    fit: self.inputs.fit,
                };
                let Some(rows) = here.rows(target, terms.take()) else {
                    continue;
                };
                let layer = &target.layer;
                let (mut found, multiply_adds) = rows.solve(layer, weights)?;
                solved.multiply_adds += multiply_adds;
                if let Some(found) = &mut found {
                    let changed = [Some(layer.weight.as_str()), layer.constant()];
                    let changed: Vec<&str> = changed.into_iter().flatten().collect();
                    walk.rebind(weights, &changed);
                    found.seconds = start.elapsed().as_secs_f64();
                }
                solved.layers.extend(found);
                if due.peek().is_some() {
                    terms = Some(rows.terms(layer, weights)?);
                }
            }
            walk.step(weights)?;
        }
        Ok(solved)
    }
}
