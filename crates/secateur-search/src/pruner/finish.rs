//! The end of a run: recover accuracy at fixed masks, regrow where the floor asks for it.

use std::time::Instant;

use super::epoch::{Steps, healthiest_back};
use super::keep::{Changes, RecordParts};
use super::{Phase, PruneError, Pruner, RunObserver};
use crate::config::{Metric, Mode};
use crate::env::{EpochPlan, Limits, State, choose, ratio};
use crate::policy::{Policy, q_advantages};
use crate::run_dir::read_checkpoint;
use crate::run_dir::record::{ReactivatedBy, RewardParts, Stage};

/// AEC looks no closer than this factor between what holds the floor and what fails.
const CLOSE_ENOUGH: f64 = 1.15;
/// AEC's next size after the first that failed or held, as factor of the parameters.
const NEXT_SIZE: f64 = 1.6;
/// Share of the cost still allowed that AEC's first recovery may take; later ones take the rest.
const FIRST_SHARE: f64 = 0.85;
/// Passes of training on at the same size, against those of a recovery.
const POLISH: f64 = 0.5;
/// AEC begins no recovery that the cost allows fewer passes than this.
const LEAST_PASSES: f64 = 2.0;

/// A long slice at the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recovery {
    /// After the search.
    First,
    /// After more kernels came back or went; the weights are recovered already.
    Again,
    /// At the same size, at the rate of a slice.
    Polish,
}

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
        let found = self
            .state
            .candidates
            .iter()
            .find(|c| c.stop == Some(output))
            .cloned();
        if let Some(candidate) = found {
            let state: State = read_checkpoint(&self.snapshot_path(candidate.snapshot))?;
            self.state.state = state;
            self.recover(Changes::default(), Some(output), Recovery::First, observer)?;
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

    /// Recovers the present network; regrows it if the floor does not hold, cuts it
    /// further if it does.
    fn finish_aec(
        &mut self,
        attempt: usize,
        observer: &mut dyn RunObserver,
    ) -> Result<(), PruneError> {
        let recovery = match attempt {
            0 => Recovery::First,
            _ => self.next_recovery(),
        };
        let changes = match recovery {
            Recovery::Again => self.resize()?,
            _ => Changes::default(),
        };
        self.recover(changes, None, recovery, observer)?;
        let size = self.environment.size(&self.state.state.masks);
        let share = ratio(Metric::Params, &size, &self.problem.size);
        let next = self.next_recovery();
        let (accuracy, loss) = (self.state.state.accuracy, self.state.state.loss);
        if self.floor().holds(accuracy, loss) {
            self.state.holds = self.state.holds.min(share);
        } else if next == Recovery::Again {
            self.state.fails = self.state.fails.max(share);
        }
        let settled = self.state.fails > 0.0 && self.state.holds / self.state.fails < CLOSE_ENOUGH;
        let spent = self.steps_allowed() < LEAST_PASSES * self.steps_of_a_pass();
        self.state.phase = if attempt + 1 < self.config.search.recover_tries && !settled && !spent {
            Phase::Finish {
                output: 0,
                attempt: attempt + 1,
            }
        } else {
            Phase::Done
        };
        Ok(())
    }

    /// Steps at the present size that `max_cost` still allows.
    fn steps_allowed(&self) -> f64 {
        let masks = &self.state.state.masks;
        let all = self.config.search.max_cost * self.problem.reference.sample_macs;
        let left = all - self.state.shared.cost - self.environment.look_cost(masks);
        left.max(0.0) / self.environment.step_cost(masks).max(1.0)
    }

    /// Steps in which every training image is seen once.
    fn steps_of_a_pass(&self) -> f64 {
        self.problem.train.len() as f64 / self.config.training.batch_size as f64
    }

    /// CECA pays the same for every output. AEC trains as long as its cost allows, most of it
    /// in the first recovery.
    fn recovery_steps(&self, recovery: Recovery) -> usize {
        let search = &self.config.search;
        let least = search.slice_steps[0];
        if matches!(self.config.mode, Mode::Ceca { .. }) {
            return self.steps_for(search.recover_cost, least, search.recover_steps);
        }
        let passes = search.recover_passes * self.steps_of_a_pass();
        let allowed = self.steps_allowed();
        let steps = match recovery {
            Recovery::First => passes.min(FIRST_SHARE * allowed),
            Recovery::Again => passes.min(allowed),
            Recovery::Polish => (POLISH * passes).min(allowed),
        };
        (steps as usize).clamp(least, search.recover_steps.max(least))
    }

    /// What AEC tries next. Below the floor by a few images while the loss holds, the size is
    /// not to blame, and more training is worth more than more kernels.
    fn next_recovery(&self) -> Recovery {
        let (floor, state) = (self.floor(), &self.state.state);
        if state.accuracy < floor.search() && floor.is_loss_within(state.loss) {
            Recovery::Polish
        } else {
            Recovery::Again
        }
    }

    /// Changes the masks towards the size that the next try of AEC looks at.
    fn resize(&mut self) -> Result<Changes, PruneError> {
        let size = self.environment.size(&self.state.state.masks);
        let now = ratio(Metric::Params, &size, &self.problem.size);
        let (holds, fails) = (self.state.holds, self.state.fails);
        let target = match (holds < 1.0, fails > 0.0) {
            (true, true) => (holds * fails).sqrt(),
            (true, false) => holds / NEXT_SIZE,
            _ => (fails * NEXT_SIZE).min(0.95),
        };
        let before = self.state.state.clone();
        let masks = if target > now {
            // The healthiest come back until the size is reached.
            let mut count = 1;
            loop {
                let masks = healthiest_back(&before, &self.problem.switchable, count);
                let size = self.environment.size(&masks);
                let dormant = masks.0.iter().flatten().filter(|on| !**on).count();
                if ratio(Metric::Params, &size, &self.problem.size) >= target || dormant == 0 {
                    break masks;
                }
                count += 1;
            }
        } else {
            let facts = self
                .environment
                .facts(&before, self.network_facts(&self.corridor.clone(), 1.0));
            let scores = self
                .policy
                .keep_scores(&facts, Some(&self.agent), &mut self.state.rng);
            let total = self.problem.size.params as f64;
            let limits = Limits {
                metric: Metric::Params,
                at_most: (target * total) as u64,
                at_least: (target * total * 0.9) as u64,
                max_switch_ratio: 1.0,
                max_imbalance: self.corridor.max_imbalance,
                round_to: self.config.search.round_to,
            };
            choose(
                &before.masks,
                &scores,
                &before.masks.0,
                &self.problem.cost,
                &limits,
            )
        };
        let changes = Changes::between(&before, &masks, ReactivatedBy::Rule);
        self.environment.act(&mut self.state.state, masks);
        Ok(changes)
    }

    /// A long slice at fixed masks.
    fn recover(
        &mut self,
        changes: Changes,
        stop: Option<usize>,
        recovery: Recovery,
        observer: &mut dyn RunObserver,
    ) -> Result<(), PruneError> {
        let started = Instant::now();
        self.state.state.weights.clear_moments();
        let plan = EpochPlan {
            steps: self.recovery_steps(recovery),
            lr: match recovery {
                Recovery::Polish => self.config.training.lr,
                _ => self.config.training.recover_lr,
            },
            warm_up: recovery != Recovery::Polish,
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
        let facts = self.environment.facts(
            &self.state.state,
            self.network_facts(&self.corridor.clone(), 1.0),
        );
        let q_advantage = if self.policy == Policy::Dqn {
            q_advantages(&self.agent, &facts)
        } else {
            Vec::new()
        };
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
