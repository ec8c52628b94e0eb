//! Training passes that keep less: some values inside the network are kept, the others computed anew
//! when their gradients are due.
//!
//! A pass goes over the steps without a tape and keeps what is alive at a few cuts. Going back, the
//! steps between two cuts run once more, with a tape, from what was kept: twice the forward pass for
//! a fraction of the memory. Source: Chen et al. 2016, arXiv:1604.06174 (there √n cuts; here as few as
//! the memory allows).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Gradients, Tensor};

use super::Interpreter;
use super::live::Live;
use crate::error::Result;
use crate::pass::{Bound, Pass, Phase};
use crate::score::Collector;
use crate::value::{Inputs, Value};

/// Bytes that a value takes in training, with its gradient and what routines keep aside for it.
const BYTES_ON_TAPE: usize = 12;
/// Bytes that a value takes that is kept at a cut, with its gradient.
const BYTES_AT_CUT: usize = 8;

/// What the steps of a pass give and hold, in values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Footprint {
    /// What each step gives.
    pub given: Vec<usize>,
    /// What is alive in front of each step; `None` where no cut may lie.
    pub alive: Vec<Option<usize>>,
}

impl Footprint {
    /// The steps in front of which a pass is cut, as few as keep it within some bytes, or those that
    /// keep it smallest.
    pub fn cuts(&self, bytes: usize) -> Vec<usize> {
        let mut best = Vec::new();
        for parts in 2.. {
            if self.peak(&best) <= bytes || parts > self.given.len() {
                break;
            }
            let cuts = self.cut_into(parts);
            if self.peak(&cuts) < self.peak(&best) {
                best = cuts;
            }
        }
        best
    }

    /// Bytes that a pass with these cuts takes at most.
    pub fn peak(&self, cuts: &[usize]) -> usize {
        let kept: usize = cuts.iter().filter_map(|&at| self.alive[at]).sum();
        let of_part = |part: Range<usize>| self.given[part].iter().sum::<usize>();
        let largest = parts(cuts, self.given.len()).into_iter().map(of_part).max();
        kept * BYTES_AT_CUT + largest.unwrap_or(0) * BYTES_ON_TAPE
    }

    /// Cuts into about so many parts of about as many values, each cut where least is alive within a
    /// quarter of a part.
    fn cut_into(&self, parts: usize) -> Vec<usize> {
        let all: usize = self.given.iter().sum();
        let share = all.div_ceil(parts).max(1);
        let mut cuts = Vec::new();
        let (mut so_far, mut best) = (0, None::<(usize, usize)>);
        for (at, given) in self.given.iter().enumerate() {
            let is_near = at > 0 && 4 * so_far >= 3 * share;
            if let Some(alive) = self.alive[at].filter(|_| is_near)
                && best.is_none_or(|(least, _)| alive < least)
            {
                best = Some((alive, at));
            }
            so_far += given;
            if 4 * so_far >= 5 * share
                && let Some((_, cut)) = best.take()
            {
                cuts.push(cut);
                so_far = self.given[cut..=at].iter().sum();
            }
        }
        cuts
    }
}

/// The ranges of steps between cuts.
fn parts(cuts: &[usize], steps: usize) -> Vec<Range<usize>> {
    let ends = cuts.iter().copied().chain([steps]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    starts.zip(ends).map(|(start, end)| start..end).collect()
}

type Values<'n> = HashMap<&'n str, Value>;

/// The parts of a pass whose gradients are not known yet.
pub(super) struct Kept<'a> {
    network: &'a Interpreter,
    bound: &'a Bound,
    collector: Option<Arc<Collector>>,
    /// Steps, and what was alive in front of them.
    parts: Vec<(Range<usize>, Values<'a>)>,
    /// What the last part began with: leaves of its tape.
    leaves: Values<'a>,
}

impl Interpreter {
    /// What a training pass gives and holds for the samples that the network takes at once, found by one
    /// without a tape.
    ///
    /// # Errors
    /// As [`Self::forward_training`].
    pub fn footprint(&self, bound: &Bound, inputs: Inputs) -> Result<Footprint> {
        let goes = self.goes(Phase::Training, bound, inputs);
        let first = goes.into_iter().next().unwrap_or_default();
        let values = self.input_values(first, &Phase::Training.device(&self.engine))?;
        self.footprint_of(bound, &values)
    }

    /// The same of inputs by name.
    pub(super) fn footprint_of(
        &self,
        bound: &Bound,
        inputs: &[(&str, Value)],
    ) -> Result<Footprint> {
        let bound = bound.detached();
        let pass = self.pass(Phase::Training, &bound, None);
        let mut live = Live::new(self, inputs, &self.outputs())?;
        let mut footprint = Footprint::default();
        for at in 0..self.steps.len() {
            let mut names = live.values().keys();
            let is_pending = names.any(|name| pass.leaves_norm(name));
            footprint.alive.push((!is_pending).then(|| live.len()));
            footprint.given.push(self.run_step(&pass, &mut live, at)?);
        }
        Ok(footprint)
    }

    /// A pass with cuts: its last part with a tape, from leaves. Returns the live values at its end.
    ///
    /// # Errors
    /// As [`crate::ops::Operator::forward`].
    pub(super) fn run_cut<'a>(
        &'a self,
        (without_tape, with_tape): (&Pass<'_>, &Pass<'_>),
        bound: &'a Bound,
        inputs: &[(&'a str, Value)],
        cuts: &[usize],
    ) -> Result<(Live<'a>, Kept<'a>)> {
        let outputs = self.outputs();
        let mut live = Live::new(self, inputs, &outputs)?;
        let mut all = parts(cuts, self.steps.len());
        let last = all.pop().unwrap_or(0..0);
        let mut kept = Vec::new();
        for part in all {
            kept.push((part.clone(), live.values().clone()));
            self.run_steps(without_tape, &mut live, part)?;
        }
        let leaves = leaves_of(live.values());
        let mut live = Live::at(self, last.start, leaves.clone(), &outputs);
        self.run_steps(with_tape, &mut live, last)?;
        let kept = Kept {
            network: self,
            bound,
            collector: with_tape.collector.clone(),
            parts: kept,
            leaves,
        };
        Ok((live, kept))
    }

    /// Runs some steps, one by one.
    fn run_steps<'n>(
        &'n self,
        pass: &Pass<'_>,
        live: &mut Live<'n>,
        mut steps: Range<usize>,
    ) -> Result<()> {
        steps.try_for_each(|at| self.run_step(pass, live, at).map(drop))
    }
}

impl Kept<'_> {
    /// Adds the gradients of all parts to those of the last one.
    ///
    /// # Errors
    /// As [`crate::ops::Operator::forward`].
    pub fn backward(&self, gradients: &mut Gradients) -> Result<()> {
        let outputs = self.network.outputs();
        let mut wanted = gradients_of(&self.leaves, gradients);
        for (part, values) in self.parts.iter().rev() {
            let leaves = leaves_of(values);
            let collector = self.collector.clone();
            let pass = self.network.pass(Phase::Training, self.bound, collector);
            let mut live = Live::at(self.network, part.start, leaves.clone(), &outputs);
            self.network.run_steps(&pass, &mut live, part.clone())?;
            let terms = live.values().iter().filter_map(|(name, value)| {
                let gradient: Tensor<1> = wanted.remove(name)?;
                let value = value.flat()?;
                Some((value * Tensor::from_inner(gradient)).sum())
            });
            let Some(sum) = terms.reduce(|sum, term| sum + term) else {
                break;
            };
            let of_part = super::run::backward(&sum, &pass.take_watched(), pass.collector.as_ref());
            wanted = gradients_of(&leaves, &of_part);
            self.bound.add_gradients(gradients, of_part);
        }
        Ok(())
    }
}

/// The same values, without what was before them.
fn leaves_of<'n>(values: &Values<'n>) -> Values<'n> {
    values
        .iter()
        .map(|(name, value)| (*name, value.leaf()))
        .collect()
}

/// The gradients of leaves that have one, flat.
fn gradients_of<'n>(leaves: &Values<'n>, gradients: &Gradients) -> HashMap<&'n str, Tensor<1>> {
    let found = leaves.iter();
    found
        .filter_map(|(name, leaf)| Some((*name, leaf.gradient(gradients)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_lie_where_least_is_alive_and_are_as_few_as_the_memory_allows() {
        let footprint = Footprint {
            given: vec![10; 8],
            alive: [10, 20, 5, 20, 5, 20, 5, 20].map(Some).to_vec(),
        };
        let whole = 80 * BYTES_ON_TAPE;
        assert_eq!(footprint.peak(&[]), whole);
        assert!(footprint.cuts(whole).is_empty());
        let cuts = footprint.cuts(whole - 1);
        assert_eq!(cuts, [4]);
        let least = footprint.cuts(0);
        assert!(footprint.peak(&least) < footprint.peak(&cuts));
        assert!(least.iter().all(|at| at % 2 == 0), "{least:?}");
        let pinned = Footprint {
            alive: vec![None; 8],
            ..footprint
        };
        assert!(pinned.cuts(0).is_empty());
    }
}
