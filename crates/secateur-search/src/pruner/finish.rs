//! The end of a run: recover accuracy at fixed masks, regrow where the floor asks for it.

use std::time::Instant;

use secateur_onnx::coupling::Masks;

use super::epoch::Steps;
use super::keep::{Changes, RecordParts};
use super::{Phase, PruneError, Pruner, RunObserver};
use crate::config::{Metric, Mode};
use crate::env::worth::worth;
use crate::env::{EpochPlan, Limits, State, choose, ratio};
use crate::mode::{NextSize, Recovered, next_size};
use crate::run_dir::read_checkpoint;
use crate::run_dir::record::{ReactivatedBy, RewardParts, Stage};

/// AEC begins no recovery that the cost allows fewer passes than this.
const LEAST_PASSES: f64 = 4.0;

impl Pruner<'_> {
    pub(super) fn finish_epoch(
        &mut self,
        output: usize,
        attempt: usize,
        observer: &mut dyn RunObserver,
    ) -> Result<(), PruneError> {
        match self.config.mode {
            Mode::Aec { .. } => self.finish_aec(attempt, observer),
            Mode::Ceca { .. } => self.finish_ceca(output, observer),
        }
    }

    /// Recovers the network of one stop.
    fn finish_ceca(
        &mut self,
        output: usize,
        observer: &mut dyn RunObserver,
    ) -> Result<(), PruneError> {
        // Of several, the last is the best: see `keep_candidates`.
        let found = self
            .state
            .candidates
            .iter()
            .rfind(|c| c.stop == Some(output))
            .cloned();
        if let Some(candidate) = found {
            let state: State = read_checkpoint(&self.snapshot_path(candidate.snapshot))?;
            self.state.state = state;
            let steps = self.ceca_steps(self.corridor.stops.len() - output);
            self.recover(Changes::default(), Some(output), steps, observer)?;
        }
        self.state.phase = if output + 1 < self.corridor.stops.len() {
            Phase::Finish {
                output: output + 1,
                attempt: 0,
            }
        } else {
            Phase::Done
        };
        Ok(())
    }

    /// Recovers the present network, at the size that follows from the recoveries before.
    fn finish_aec(
        &mut self,
        attempt: usize,
        observer: &mut dyn RunObserver,
    ) -> Result<(), PruneError> {
        let changes = match self.next_size() {
            NextSize::Other(share) => self.resize(share),
            NextSize::Same | NextSize::Settled => Changes::default(),
        };
        let tries = self.config.search.recover_tries;
        let steps = self.aec_steps(tries.saturating_sub(attempt));
        self.recover(changes, None, steps, observer)?;
        let settled = self.next_size() == NextSize::Settled;
        let spent = self.steps_allowed() < LEAST_PASSES * self.steps_of_a_pass();
        self.state.phase = if attempt + 1 < tries && !settled && !spent {
            Phase::Finish {
                output: 0,
                attempt: attempt + 1,
            }
        } else {
            Phase::Done
        };
        Ok(())
    }

    fn next_size(&self) -> NextSize {
        let recovered = self.state.candidates.iter().filter(|c| c.recovered);
        let tried: Vec<Recovered> = recovered
            .map(|c| Recovered {
                remaining: c.remaining,
                accuracy: c.accuracy,
                loss: c.loss,
            })
            .collect();
        next_size(&tried, self.problem.baseline.search.accuracy, &self.floor())
    }

    /// Steps at the present size that `max_cost` still allows.
    fn steps_allowed(&self) -> f64 {
        let masks = &self.state.state.masks;
        let all = self.config.search.max_cost * self.problem.reference.sample_macs;
        let left = all - self.state.shared.cost - self.environment.look_cost(masks);
        left.max(0.0) / self.environment.step_cost(masks).max(1.0)
    }

    /// Steps in which every training image is seen once.
    pub(super) fn steps_of_a_pass(&self) -> f64 {
        self.problem.train.len() as f64 / self.config.training.batch_size as f64
    }

    /// Steps of a recovery of CECA: an equal share of what the cost still allows, and
    /// `recover_cost` where the search has spent that.
    fn ceca_steps(&self, outputs_left: usize) -> usize {
        let search = &self.config.search;
        let [least, most] = [search.slice_steps[0], search.recover_steps];
        self.share_of_steps(outputs_left, least, most)
            .max(self.steps_for(search.recover_cost, least, most))
    }

    /// Steps of a recovery of AEC: what the cost still allows, in equal shares for the tries
    /// that are left.
    fn aec_steps(&self, tries_left: usize) -> usize {
        let search = &self.config.search;
        let pass = self.steps_of_a_pass();
        let passes = (search.recover_passes * pass) as usize;
        // Of a large network, few long recoveries instead of many short ones.
        let long = (self.steps_allowed() / (LEAST_PASSES * pass)) as usize;
        self.share_of_steps(
            tries_left.min(long),
            search.slice_steps[0],
            search.recover_steps.min(passes),
        )
    }

    /// An equal share of the steps that the cost still allows.
    fn share_of_steps(&self, parts: usize, least: usize, most: usize) -> usize {
        let share = self.steps_allowed() / parts.max(1) as f64;
        (share as usize).clamp(least, most.max(least))
    }

    /// Changes the masks towards a share of the parameters.
    fn resize(&mut self, target: f64) -> Changes {
        let size = self.environment.size(&self.state.state.masks);
        let now = ratio(Metric::Params, &size, &self.problem.size);
        let before = self.state.state.clone();
        let (facts, observation) = self.observe(&self.corridor, 1.0);
        let total = self.problem.size.params as f64;
        let limits = Limits {
            metric: Metric::Params,
            at_most: (target * total) as u64,
            at_least: (target * total * 0.9) as u64,
            max_switch_ratio: 1.0,
            max_imbalance: self.corridor.max_imbalance,
            round_to: self.config.search.round_to,
        };
        let (from, scores) = if target > now {
            // Of all kernels the dormant ones of least worth stay away.
            let all = Masks::all_active(&self.problem.groups);
            (all, back_in_turn(&worth(&facts), &before.masks))
        } else {
            let scores =
                self.policy
                    .keep_scores(&facts, &observation, &self.agent, &mut self.state.rng);
            (before.masks.clone(), scores)
        };
        let masks = choose(&from, &scores, &from.0, &self.problem.cost, &limits);
        let changes = Changes::between(&before, &masks, ReactivatedBy::Rule);
        self.environment.act(&mut self.state.state, masks);
        changes
    }

    /// A long slice at fixed masks.
    fn recover(
        &mut self,
        changes: Changes,
        stop: Option<usize>,
        steps: usize,
        observer: &mut dyn RunObserver,
    ) -> Result<(), PruneError> {
        let started = Instant::now();
        self.state.state.weights.clear_moments();
        let plan = EpochPlan {
            steps,
            lr: self.config.training.recover_lr,
            warm_up: true,
            augment: self.config.training.recover_augment(),
            probe: stop.is_none(),
        };
        let episode = self.config.search.explore_episodes;
        let mut steps = Steps {
            observer,
            progress: self.progress(Stage::Recover, episode),
        };
        let before = self.state.state.clone();
        let outcome = self.environment.train(
            &mut self.state.state,
            &mut self.state.shared,
            &plan,
            &mut steps,
        )?;
        let observer = steps.observer;
        // A recovery that made it worse is not taken over (its cost counts all the same).
        if self.state.state.accuracy < before.accuracy && stop.is_some() {
            self.state.state = before;
        }
        let held = stop.is_some() || self.may_hold();
        // Also what did not hold: the end of the run says by how much.
        self.keep(stop, true)?;
        let (_, observation) = self.observe(&self.corridor, 1.0);
        let q_advantage = self.advantages(&observation);
        let parts = RecordParts {
            episode,
            stage: Stage::Recover,
            epsilon: 0.0,
            changes,
            reward: RewardParts::default(),
            q_advantage,
            agent_loss: None,
            candidate: held,
            seconds: started.elapsed().as_secs_f64(),
            cost: outcome.cost,
        };
        self.write_record(parts, &outcome, observer)
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
