//! Who watches a run, and how much of it lies ahead.
//!
//! Recoveries cost far more than the pruning epochs before them, so progress goes by work
//! (sample-MACs of the given network that take as long): what is done, over what the run is expected to
//! do. What lies ahead follows from the looks so far and `max_cost`; an AEC run that settles early
//! works less.

use std::time::{Duration, Instant};

use secateur_net::train::StepObserver;
use secateur_onnx::coupling::Masks;

use super::{Phase, Search};
use crate::config::SCORING_BATCHES;
use crate::environment::Environment;
use crate::measure::Reading;
use crate::record::{EpochRecord, Stage};

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
    /// Work of the run before this healing.
    pub done: f64,
    /// Work of one step of this healing.
    pub step_work: f64,
    /// Work that is expected after this healing.
    pub after: f64,
    /// Work of the run at most; infinite where its promise goes first.
    pub most: f64,
}

impl Progress {
    /// Share of the expected work that is done, 0..=1.
    pub fn fraction(&self) -> f64 {
        let done = self.done + self.step_work * self.step as f64;
        let all = done + self.left();
        if all > 0.0 { done / all } else { 0.0 }
    }

    /// Work from here to the end of the run.
    pub fn left(&self) -> f64 {
        let steps = self.steps.saturating_sub(self.step) as f64;
        let then = self.done + self.step_work * self.steps as f64;
        // A long recovery can be the last: the bound may not allow all that was expected.
        self.step_work * steps + self.after.min((self.most - then).max(0.0))
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

    /// True to stop: in a recovery after this step, if it is trained here, else after this pruning epoch.
    fn stop_requested(&self) -> bool {
        false
    }
}

impl Observer for () {}

/// Time between two keepings of a recovery: what a kill may cost.
const KEPT_EVERY: Duration = Duration::from_secs(300);

/// Passes the steps of a healing on to the run's observer.
pub(super) struct Steps<'o> {
    pub observer: &'o mut dyn Observer,
    progress: Progress,
    /// Steps that were planned: what a recovery takes to begin comes off them.
    planned: usize,
    /// When the healing began, or was kept last.
    kept: Instant,
}

impl<'o> Steps<'o> {
    /// Of a healing that begins.
    pub fn new(observer: &'o mut dyn Observer, progress: Progress, planned: usize) -> Self {
        Self {
            observer,
            progress,
            planned,
            kept: Instant::now(),
        }
    }

    /// The healing was kept.
    pub fn are_kept(&mut self) {
        self.kept = Instant::now();
    }
}

impl StepObserver for Steps<'_> {
    fn step(&mut self, step: usize, steps: usize, _: f32) -> bool {
        if self.progress.steps == 0 {
            let begun = self.planned.saturating_sub(steps) as f64;
            self.progress.done += begun * self.progress.step_work;
        }
        self.progress.step = step + 1;
        self.progress.steps = steps;
        self.observer.step(&self.progress);
        !self.observer.stop_requested() && self.kept.elapsed() < KEPT_EVERY
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
        let most = costs.of_share(self.config.search.max_cost) - self.work(costs.look(macs), macs);
        let is_bounded = self.promise.recoveries_ahead().bounded;
        Progress {
            stage,
            episode,
            step: 0,
            steps: 0,
            batch_size: costs.batch_size,
            done: self.state.worked,
            step_work: costs.step_work(macs),
            after: self.after_this_healing(macs),
            most: if is_bounded { most } else { f64::INFINITY },
        }
    }

    /// The work of a cost in a network of `macs`.
    fn work(&self, cost: f64, macs: f64) -> f64 {
        cost * self.environment.costs().slowdown(macs)
    }

    /// What a run is expected to do after the healing that begins now, of a network of `macs`.
    fn after_this_healing(&self, macs: f64) -> f64 {
        let done = self.state.worked;
        match self.state.phase {
            Phase::Search { episode, t } => {
                let later = self.episodes.after(episode, t);
                let later: f64 = later.map(|(_, epoch)| self.search_ahead(epoch)).sum();
                let allowed = self.looks_allowed(self.episodes.last());
                let later = later.min((allowed - self.state.looked).max(0.0));
                let recoveries = self.recoveries(0, done + later, None);
                later + recoveries.into_iter().sum::<f64>()
            }
            Phase::Recover(number) => {
                let all = self.recoveries(number, done, Some(macs)).into_iter();
                all.skip(1).sum()
            }
            Phase::Measure(number) => self.recoveries(number + 1, done, None).into_iter().sum(),
            // The few networks without training that may follow are not expected.
            Phase::Solve(_) | Phase::Done => 0.0,
        }
    }

    /// A pruning epoch of the search that lies ahead: of looks what those before have cost.
    fn search_ahead(&self, t: usize) -> f64 {
        let costs = self.environment.costs();
        let full = costs.full_macs;
        if t == 0 {
            let batches = SCORING_BATCHES as f64;
            return batches * costs.step(full);
        }
        let share = self.promise.stops().shares[self.episodes.stop(t)];
        let macs = self.macs_at(share);
        match self.state.looks {
            0 => self.work(costs.look(macs), macs),
            looks => self.state.looked / looks as f64,
        }
    }

    /// The recoveries from one on, when so much is done; the first of a network of `macs`
    /// where it is known.
    fn recoveries(&self, from: usize, mut done: f64, macs: Option<f64>) -> Vec<f64> {
        let search = &self.config.search;
        let costs = self.environment.costs();
        let plan = self.promise.recoveries_ahead();
        let mut ahead = Vec::new();
        for index in from..plan.count {
            let known = macs.filter(|_| plan.same_size || index == from);
            let size = plan.sizes.get(index).or(plan.sizes.last());
            let macs = known.unwrap_or_else(|| self.macs_at(size.copied().unwrap_or(1.0)));
            let step = costs.step_work(macs);
            let left = (costs.of_share(search.max_cost) - done).max(0.0);
            let work = (left / (plan.count - index).min(plan.parts).max(1) as f64)
                .max(costs.of_share(plan.least_share))
                .min(plan.most_steps * step)
                .max(search.recovery_steps()[0] as f64 * step);
            done += work;
            ahead.push(work);
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
    fn the_fraction_goes_by_work() {
        let mut progress = Progress {
            stage: Stage::Exploit,
            episode: 1,
            step: 0,
            steps: 10,
            batch_size: 128,
            done: 10.0,
            step_work: 1.0,
            after: 80.0,
            most: f64::INFINITY,
        };
        assert!((progress.fraction() - 0.1).abs() < 1e-12);
        assert!((progress.left() - 90.0).abs() < 1e-9);
        progress.step = 10;
        assert!((progress.fraction() - 0.2).abs() < 1e-12);
        // The bound allows half of what was to come.
        progress.most = 60.0;
        assert!((progress.fraction() - 1.0 / 3.0).abs() < 1e-12);
        assert!((progress.left() - 40.0).abs() < 1e-9);
        progress.most = 15.0;
        assert_eq!((progress.fraction(), progress.left()), (1.0, 0.0));
    }
}
