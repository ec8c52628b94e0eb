//! Who watches a run, and how much of it lies ahead.
//!
//! Recoveries cost far more than the pruning epochs before them, so progress goes by
//! sample-MACs: those spent, over those that the run is expected to spend. What lies ahead
//! follows from the looks so far and `max_cost`; an AEC run that settles
//! early spends less.

use std::ops::Add;

use secateur_net::train::StepObserver;
use secateur_onnx::coupling::Masks;

use super::{Phase, Search};
use crate::config::SCORING_BATCHES;
use crate::environment::Environment;
use crate::measure::Reading;
use crate::record::{EpochRecord, Stage};

/// What an image takes besides its multiply-adds, as share of the given network's: the small
/// networks of a run are not faster in proportion. In thirteen runs on a VGG-like network of
/// 36 million multiply-adds, seconds fitted to both gave 0.04 to 0.085.
const OVERHEAD: f64 = 1.0 / 16.0;

/// Training that lies ahead.
#[derive(Clone, Copy, Default)]
struct Work {
    /// Sample-MACs.
    cost: f64,
    /// See [`Progress::step_effort`].
    effort: f64,
}

impl Work {
    /// Of a cost in a network of `macs`, made from one of `full`.
    fn new(cost: f64, macs: f64, full: f64) -> Self {
        Self {
            cost,
            effort: cost * (1.0 + OVERHEAD * full / macs.max(1.0)),
        }
    }
}

impl Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cost: self.cost + other.cost,
            effort: self.effort + other.effort,
        }
    }
}

/// Where a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// What it is doing.
    pub stage: Stage,
    /// Episode, from 0.
    pub episode: usize,
    /// Steps of the healing that are done, and its length.
    pub step: usize,
    /// See `step`.
    pub steps: usize,
    /// Images a step.
    pub batch_size: usize,
    /// Sample-MACs of the run before this healing.
    pub spent: f64,
    /// Sample-MACs of one step of this healing.
    pub step_cost: f64,
    /// Sample-MACs that are expected after this healing.
    pub cost_after: f64,
    /// What the time of one step is taken to be in proportion to: its sample-MACs, and for
    /// every image a share of the given network's.
    pub step_effort: f64,
    /// The same for what is expected after this healing.
    pub effort_after: f64,
    /// Sample-MACs that the run spends at most; infinite where its promise goes first.
    pub most_cost: f64,
}

impl Progress {
    /// Share of the expected cost that is spent, 0..=1.
    pub fn fraction(&self) -> f64 {
        let spent = self.spent + self.step_cost * self.step as f64;
        let all = self.spent_then() + self.share_after() * self.cost_after;
        if all > 0.0 { spent / all } else { 0.0 }
    }

    /// Sample-MACs of the run after this healing.
    fn spent_then(&self) -> f64 {
        self.spent + self.step_cost * self.steps as f64
    }

    /// How much of what was expected after this healing the bound still allows: a long recovery can
    /// be the last.
    fn share_after(&self) -> f64 {
        let left = (self.most_cost - self.spent_then()).max(0.0);
        if self.cost_after > left {
            left / self.cost_after
        } else {
            1.0
        }
    }

    /// Effort from here to the end of the run.
    pub fn effort_left(&self) -> f64 {
        self.step_effort * self.steps.saturating_sub(self.step) as f64
            + self.share_after() * self.effort_after
    }
}

/// Told what happens; says when to stop.
pub trait Observer {
    /// A step of a healing was taken.
    fn step(&mut self, _progress: &Progress) {}

    /// A pruning epoch ended.
    fn epoch(&mut self, _record: &EpochRecord) {}

    /// Something that takes a while goes on before the search, told in words.
    fn preparing(&mut self, _what: &str) {}

    /// The user's own measure begins on a network, told in words.
    fn measuring(&mut self, _network: &str) {}

    /// The user's own measure gave a number.
    fn measured(&mut self, _network: &str, _reading: &Reading) {}

    /// True to stop after this pruning epoch.
    fn stop_requested(&self) -> bool {
        false
    }
}

impl Observer for () {}

/// Passes the steps of a healing on to the run's observer.
pub(super) struct Steps<'o> {
    pub observer: &'o mut dyn Observer,
    pub progress: Progress,
}

impl StepObserver for Steps<'_> {
    fn step(&mut self, step: usize, steps: usize, _: f32) -> bool {
        self.progress.step = step + 1;
        self.progress.steps = steps;
        self.observer.step(&self.progress);
        true
    }
}

impl<E: Environment> Search<'_, E> {
    /// Progress at the beginning of a healing of the present network.
    pub(super) fn progress(&self, stage: Stage, episode: usize) -> Progress {
        self.progress_at(&self.environment.standing().masks, stage, episode)
    }

    /// Progress at the beginning of a healing of the network of some masks.
    pub(super) fn progress_at(&self, masks: &Masks, stage: Stage, episode: usize) -> Progress {
        let costs = self.environment.costs();
        let macs = self.environment.space().count(masks).macs as f64;
        let a_step = self.work(costs.step(macs), macs);
        let after = self.after_this_healing(macs);
        let most = costs.of_share(self.config.search.max_cost) - costs.look(macs);
        let is_bounded = self.promise.recoveries_ahead().bounded;
        Progress {
            stage,
            episode,
            step: 0,
            steps: 0,
            batch_size: costs.batch_size,
            spent: self.state.spent,
            step_cost: a_step.cost,
            cost_after: after.cost,
            step_effort: a_step.effort,
            effort_after: after.effort,
            most_cost: if is_bounded { most } else { f64::INFINITY },
        }
    }

    fn work(&self, cost: f64, macs: f64) -> Work {
        Work::new(cost, macs, self.environment.costs().full_macs)
    }

    /// What a run is expected to do after the healing that begins now, of a network of `macs`.
    fn after_this_healing(&self, macs: f64) -> Work {
        let spent = self.state.spent;
        match self.state.phase {
            Phase::Search { episode, t } => {
                let later = self.episodes.after(episode, t);
                let later = later
                    .map(|(_, epoch)| self.search_ahead(epoch))
                    .fold(Work::default(), Add::add);
                let recoveries = self.recoveries(0, spent + later.cost, None);
                recoveries.into_iter().fold(later, Add::add)
            }
            Phase::Recover(number) => {
                let all = self.recoveries(number, spent, Some(macs)).into_iter();
                all.skip(1).fold(Work::default(), Add::add)
            }
            Phase::Measure(number) => {
                let all = self.recoveries(number + 1, spent, None).into_iter();
                all.fold(Work::default(), Add::add)
            }
            // The few networks without training that may follow are not expected.
            Phase::Solve(_) | Phase::Done => Work::default(),
        }
    }

    /// A pruning epoch of the search that lies ahead: of looks what those before have cost.
    fn search_ahead(&self, t: usize) -> Work {
        let costs = self.environment.costs();
        let full = costs.full_macs;
        if t == 0 {
            let batches = SCORING_BATCHES as f64;
            return self.work(batches * costs.step(full), full);
        }
        let share = self.promise.stops().shares[self.episodes.place(t).stop];
        let macs = self.macs_at(share);
        let cost = match self.state.looks {
            0 => costs.look(macs),
            looks => self.state.looked / looks as f64,
        };
        self.work(cost, macs)
    }

    /// The recoveries from one on, when `spent` is spent; the first of a network of `macs`
    /// where it is known.
    fn recoveries(&self, from: usize, mut spent: f64, macs: Option<f64>) -> Vec<Work> {
        let search = &self.config.search;
        let costs = self.environment.costs();
        let plan = self.promise.recoveries_ahead();
        let mut ahead = Vec::new();
        for index in from..plan.count {
            let known = macs.filter(|_| plan.same_size || index == from);
            let size = plan.sizes.get(index).or(plan.sizes.last());
            let macs = known.unwrap_or_else(|| self.macs_at(size.copied().unwrap_or(1.0)));
            let step = costs.step(macs);
            let left = (costs.of_share(search.max_cost) - spent).max(0.0);
            let cost = (left / (plan.count - index) as f64)
                .max(costs.of_share(plan.least_share))
                .min(plan.most_steps * step)
                .max(search.recovery_steps()[0] as f64 * step);
            spent += cost;
            ahead.push(self.work(cost, macs));
        }
        ahead
    }

    /// Multiply-adds of a network of some share in the stops' metric, about.
    fn macs_at(&self, share: f64) -> f64 {
        let count = self.promise.stops().count;
        let known = self.sizes.share_of_macs(share);
        known.unwrap_or_else(|| count.share_of_macs(share)) * self.environment.costs().full_macs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fraction_goes_by_cost() {
        let mut progress = Progress {
            stage: Stage::Exploit,
            episode: 1,
            step: 0,
            steps: 10,
            batch_size: 128,
            spent: 10.0,
            step_cost: 1.0,
            cost_after: 80.0,
            step_effort: 2.0,
            effort_after: 160.0,
            most_cost: f64::INFINITY,
        };
        assert!((progress.fraction() - 0.1).abs() < 1e-12);
        assert!((progress.effort_left() - 180.0).abs() < 1e-9);
        progress.step = 10;
        assert!((progress.fraction() - 0.2).abs() < 1e-12);
        // The cost allows half of what was to come.
        progress.most_cost = 60.0;
        assert!((progress.fraction() - 1.0 / 3.0).abs() < 1e-12);
        assert!((progress.effort_left() - 80.0).abs() < 1e-9);
        progress.most_cost = 15.0;
        assert_eq!(progress.fraction(), 1.0);
        assert_eq!(progress.effort_left(), 0.0);
    }

    #[test]
    fn an_image_of_a_small_network_takes_more_than_its_multiply_adds() {
        let effort = |macs| Work::new(1.0, macs, 1600.0).effort;
        assert!((effort(1600.0) - 1.0625).abs() < 1e-12);
        assert!((effort(100.0) - 2.0).abs() < 1e-12);
    }
}
