//! The end of a search: recover quality at fixed masks, at the sizes that the promise asks for.

use std::time::Instant;

use secateur_onnx::coupling::Masks;

use super::keep::Changes;
use super::progress::Steps;
use super::{Observer, Phase, Search};
use crate::choose::{Limits, choose};
use crate::config::{Count, Metric};
use crate::environment::{Action, Environment, Healing, Standing};
use crate::error::SearchError;
use crate::gauge;
use crate::observation::Observation;
use crate::promise::{Finish, Ledger, Recovery, Start};
use crate::record::{ReactivatedBy, Stage};
use crate::store::{self, Item};
use crate::worth::worth;

/// How far below its target a network may end that is cut or grown at once, as factor: one
/// kernel can be worth some per cent of a small network.
const RESIZE_SLACK: f64 = 0.9;

impl<E: Environment> Search<'_, E> {
    /// Recovery `number`.
    pub(super) fn recover(
        &mut self,
        number: usize,
        observer: &mut dyn Observer,
    ) -> Result<(), SearchError> {
        if let Some(start) = self.promise.start(number, &self.ledger()) {
            self.recover_from(start, number, observer)?;
        }
        let last = self.state.candidates.last();
        let measures = last.is_some_and(|last| self.promise.measures(last, &self.ledger()));
        self.state.phase = if measures {
            Phase::Measure(number)
        } else {
            self.after_recovery(number)?
        };
        Ok(())
    }

    /// What comes after recovery `number`.
    pub(super) fn after_recovery(&mut self, number: usize) -> Result<Phase, SearchError> {
        let goes_on =
            self.confirming(|promise, ledger, confirm| promise.goes_on(number, ledger, confirm))?;
        Ok(match goes_on {
            true => Phase::Recover(number + 1),
            false => Phase::Solve(0),
        })
    }

    fn recover_from(
        &mut self,
        start: Start,
        number: usize,
        observer: &mut dyn Observer,
    ) -> Result<(), SearchError> {
        let started = Instant::now();
        let epochs = self.episodes.epochs();
        let goal = self.goal(epochs, epochs);
        if let Start::Candidate(index) = start {
            let snapshot = Item::Snapshot(self.state.candidates[index].snapshot);
            self.environment.restore(store::load(self.store, snapshot)?);
        }
        let was = self.environment.standing().masks.clone();
        let observation = self.environment.observe(&goal);
        let masks = match start {
            Start::Resized(share) => self.resized(&observation, Metric::Params, share)?,
            Start::Present | Start::Candidate(_) => self.environment.standing().masks.clone(),
        };
        let kept = self.halfway()?;
        let masks = match &kept {
            // Times differ from one measurement to the next: the network is the one that was begun.
            Some(kept) => kept.action.masks.clone(),
            None => self.gauged(&observation, masks, number)?,
        };
        let changes = Changes::between(&observation, &was, &masks, ReactivatedBy::Rule);
        let recovery = self.planned(number, &masks);
        let keeps_size = recovery.stop.is_some();
        let action = Action {
            masks,
            healing: Healing::Recovery {
                steps: recovery.steps,
                rate: recovery.rate,
                probe: !keeps_size,
            },
        };
        let progress = self.progress_at(&action.masks, Stage::Recover, self.episodes.last());
        let mut steps = Steps::new(observer, progress, recovery.steps);
        let (step, earlier) = self.recovered(kept, (&action, &goal), &mut steps, started)?;
        let step = step.without_reward();
        self.state.pay(&step);
        let held = keeps_size || self.measuring.is_some() || {
            let quality = self.environment.standing().quality;
            self.promise.floor().may_hold(quality)
        };
        // Also what did not hold: the end of the run says by how much.
        self.keep(recovery.stop, Finish::Recovered)?;
        let seconds = earlier + started.elapsed().as_secs_f64();
        self.record_by_rule(Stage::Recover, changes, held, (&step, seconds), observer)
    }

    /// How recovery `number` of the network of some masks goes.
    fn planned(&self, number: usize, masks: &Masks) -> Recovery {
        let resized = Standing {
            masks: masks.clone(),
            ..self.environment.standing().clone()
        };
        let ledger = Ledger {
            standing: &resized,
            ..self.ledger()
        };
        self.promise.recovery(number, &ledger)
    }

    /// These masks, or those of a network that is measured to keep the budget of recovery `number`, and
    /// to use it.
    fn gauged(
        &mut self,
        observation: &Observation,
        masks: Masks,
        number: usize,
    ) -> Result<Masks, SearchError> {
        let Some(stop) = self.planned(number, &masks).stop else {
            return Ok(masks);
        };
        let (count, share) = {
            let stops = self.promise.stops();
            (stops.count, stops.shares[stop])
        };
        let gauge = self.gauge;
        let choose = |target| match target == share {
            true => Ok(masks.clone()),
            false => self.resized(observation, count, target),
        };
        let gauged = gauge::within(gauge, share, choose)?;
        Ok(gauged.masks)
    }

    /// The masks cut or grown to a share of a count.
    pub(super) fn resized(
        &mut self,
        observation: &Observation,
        count: impl Into<Count>,
        target: f64,
    ) -> Result<Masks, SearchError> {
        let space = self.environment.space();
        let search = &self.config.search;
        let present = self.environment.standing().masks.clone();
        let count = count.into();
        let limits = Limits {
            count,
            at_most: count.count(target, &space.size),
            at_least: count.count(target * RESIZE_SLACK, &space.size),
            max_switch_ratio: 1.0,
            round_to: search.round_to,
        };
        let grows = target > space.remaining(count, &present);
        let (from, ranks) = if grows {
            // Of all kernels the dormant ones of least worth stay away.
            (
                space.all_active(),
                back_in_turn(&worth(observation), &present),
            )
        } else {
            let ranks = self.policy.rank(observation);
            self.check_shape(&ranks)?;
            (present, ranks)
        };
        let widths = self.widths(observation, limits.count, limits.at_most)?;
        let cost = &self.environment.space().cost;
        Ok(choose(
            &from,
            &ranks,
            &from.0,
            cost,
            &limits,
            widths.as_deref(),
        ))
    }
}

/// Scores by which dormant kernels come back in the order of their worth, while those that are
/// on go last.
fn back_in_turn(worth: &[Vec<f32>], masks: &Masks) -> Vec<Vec<f32>> {
    let score = |(&worth, &on): (&f32, &bool)| worth / (1.0 + worth) + if on { 1.0 } else { 0.0 };
    worth
        .iter()
        .zip(&masks.0)
        .map(|(worth, mask)| worth.iter().zip(mask).map(score).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_stays_and_the_worthiest_come_back_first() {
        let masks = Masks(vec![vec![true, false, false, true], vec![false]]);
        let scores = back_in_turn(&[vec![0.0, 3.0, 0.5, 9.0], Vec::new()], &masks);
        let mut order: Vec<usize> = (0..4).collect();
        order.sort_by(|&a, &b| scores[0][b].total_cmp(&scores[0][a]));
        assert_eq!(order, [3, 0, 1, 2]);
        assert!(scores[1].is_empty());
    }
}
