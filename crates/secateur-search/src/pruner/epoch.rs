//! One pruning epoch of the search.

use std::time::Instant;

use secateur_net::train::StepObserver;
use secateur_onnx::coupling::Masks;

use super::keep::{Changes, RecordParts};
use super::{Phase, Progress, PruneError, Pruner, RunObserver};
use crate::agent::{EpsilonSchedule, LearnReport, Transition};
use crate::config::Mode;
use crate::env::features::{Facts, Features, NetworkFacts, features, own_share};
use crate::env::{EpochOutcome, EpochPlan, State, choose, ratio, reward};
use crate::mode::{Corridor, Floor};
use crate::policy::{Policy, q_advantages};
use crate::run_dir::record::{ReactivatedBy, RewardParts, Stage};

/// Passes the steps of a slice on to the run's observer.
pub(super) struct Steps<'o> {
    pub observer: &'o mut dyn RunObserver,
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

impl Pruner<'_> {
    pub(super) fn last_episode(&self) -> usize {
        self.config.search.explore_episodes
    }

    pub(super) fn epochs_of(&self, episode: usize) -> usize {
        let search = &self.config.search;
        if episode < self.last_episode() {
            search.explore_epochs
        } else {
            self.corridor.epochs + search.exchange_epochs
        }
    }

    /// Progress through all searching epochs, 0..=1.
    fn run_progress(&self, episode: usize, t: usize) -> f32 {
        let before: usize = (0..episode).map(|e| self.epochs_of(e)).sum();
        let all: usize = (0..=self.last_episode()).map(|e| self.epochs_of(e)).sum();
        (before + t.saturating_sub(1)) as f32 / all.max(1) as f32
    }

    fn epsilon_schedule(&self) -> EpsilonSchedule {
        EpsilonSchedule::new(&self.config.agent).from_at_most(self.state.epsilon_start)
    }

    /// What the mode holds networks against.
    pub(super) fn floor(&self) -> Floor<'_> {
        let max_drop = match self.config.mode {
            Mode::Aec { max_drop } => max_drop,
            Mode::Ceca { .. } => 0.0,
        };
        let hold_loss = self.config.search.hold_loss;
        Floor::new(&self.problem.baseline, max_drop, hold_loss)
    }

    /// May the present network become a result?
    pub(super) fn may_hold(&self) -> bool {
        let state = &self.state.state;
        self.floor().may_hold(state.accuracy)
    }

    /// Points above the floor on the search part.
    fn margin(&self) -> f64 {
        (self.state.state.accuracy - self.floor().search()) * 100.0
    }

    fn corridor_of(&self, episode: usize) -> Corridor {
        if episode == self.last_episode() {
            return self.corridor.clone();
        }
        // Exploring goes down to the target directly.
        let mut corridor = Corridor::to_target(
            self.corridor.metric,
            self.corridor.target,
            self.config.search.explore_epochs,
        );
        corridor.max_switch_ratio = self.corridor.max_switch_ratio;
        corridor.max_imbalance = self.corridor.max_imbalance;
        corridor.round_to = self.corridor.round_to;
        corridor
    }

    fn network_facts(&self, corridor: &Corridor, progress: f32) -> NetworkFacts {
        let state = &self.state.state;
        let size = self.environment.size(&state.masks);
        NetworkFacts {
            margin: self.margin() as f32,
            remaining: ratio(corridor.metric, &size, &self.problem.size) as f32,
            target: corridor.target as f32,
            convergence: state.convergence as f32,
            progress,
            is_aec: matches!(self.config.mode, Mode::Aec { .. }),
        }
    }

    /// What policies look at, and as the agent sees it.
    pub(super) fn observe(
        &self,
        corridor: &Corridor,
        progress: f32,
    ) -> (Facts, Vec<Vec<Features>>) {
        let facts = self
            .environment
            .facts(&self.state.state, self.network_facts(corridor, progress));
        let observation = features(&facts, self.config.reward.dense);
        (facts, observation)
    }

    /// The agent's advantages of being on; none where another policy decides.
    pub(super) fn advantages(&self, observation: &[Vec<Features>]) -> Vec<Vec<f32>> {
        if self.policy == Policy::Dqn {
            q_advantages(&self.agent, observation)
        } else {
            Vec::new()
        }
    }

    /// Steps of a slice that costs `share` of the reference training.
    pub(super) fn steps_for(&self, share: f64, least: usize, most: usize) -> usize {
        let budget = share * self.problem.reference.sample_macs;
        let step = self.environment.step_cost(&self.state.state.masks).max(1.0);
        ((budget / step) as usize).clamp(least, most.max(least))
    }

    /// Share of the reference training spent so far.
    pub(super) fn cost_share(&self) -> f64 {
        self.state.shared.cost / self.problem.reference.sample_macs.max(1.0)
    }

    pub(super) fn search_epoch(
        &mut self,
        episode: usize,
        t: usize,
        observer: &mut dyn RunObserver,
    ) -> Result<(), PruneError> {
        if t == 0 {
            return self.begin_episode(episode);
        }
        let started = Instant::now();
        let search = &self.config.search;
        let last = episode == self.last_episode();
        let corridor = self.corridor_of(episode);
        let epochs = self.epochs_of(episode);
        let run_progress = self.run_progress(episode, t);
        let schedule = self.epsilon_schedule();
        let epsilon = if self.policy == Policy::Dqn {
            schedule.at(run_progress)
        } else {
            0.0
        };
        let stage = schedule.stage(run_progress);

        // Observe.
        let in_episode = |t: usize| (t - 1) as f32 / epochs.max(1) as f32;
        let (facts, observation) = self.observe(&corridor, in_episode(t));

        // Act.
        let scores =
            self.policy
                .keep_scores(&facts, &observation, &self.agent, &mut self.state.rng);
        let wishes = self.wishes(&observation, epsilon);
        let mut limits = corridor.limits(t, self.state.next_stop, &self.problem.size);
        if t > corridor.epochs {
            limits.max_switch_ratio = search.exchange_ratio;
        }
        let before = self.state.state.clone();
        let masks = choose(&before.masks, &scores, &wishes, &self.problem.cost, &limits);
        let mut changes = Changes::between(&before, &masks, ReactivatedBy::Agent);
        self.environment.act(&mut self.state.state, masks);

        // Train a slice; a run that diverges keeps its last checkpoint.
        let [least, most] = search.slice_steps;
        let share = if last {
            search.slice_cost
        } else {
            search.explore_slice_cost
        };
        let plan = EpochPlan {
            steps: self.steps_for(share, least, most),
            lr: self.config.training.lr,
            warm_up: false,
            augment: self.config.training.slice_augment(),
            probe: true,
        };
        let mut steps = Steps {
            observer,
            progress: self.progress(stage, episode),
        };
        let mut outcome = self.environment.train(
            &mut self.state.state,
            &mut self.state.shared,
            &plan,
            &mut steps,
        )?;
        let observer = steps.observer;

        // Below the floor and not recovered: the healthiest come back by rule (AEC).
        let is_aec = matches!(self.config.mode, Mode::Aec { .. });
        let broken = is_aec && self.margin() < -search.rescue_margin;
        if broken && last {
            self.rescue(&mut changes, &plan, &mut outcome, observer)?;
        }

        // Reward and learn.
        let size = self.environment.size(&self.state.state.masks);
        let old_size = self.environment.size(&before.masks);
        let terminated = t == epochs;
        let (_, next_observation) = self.observe(&corridor, in_episode(t + 1));
        let parts = self.epoch_reward(
            ratio(corridor.metric, &old_size, &self.problem.size),
            ratio(corridor.metric, &size, &self.problem.size),
            &observation,
        );
        let report = self.learn(&observation, &next_observation, &parts, terminated);
        let q_advantage = self.advantages(&next_observation);

        // Keep what may become a result.
        let mut candidate = false;
        if last {
            candidate = self.keep_candidates(&corridor)?;
        }
        self.state.last_off = changes
            .turned_off
            .iter()
            .map(|k| (k.group, k.index))
            .collect();
        let parts = RecordParts {
            episode,
            stage,
            epsilon,
            changes,
            reward: parts,
            q_advantage,
            agent_loss: (report.updates > 0).then_some(report.mean_huber_loss),
            candidate,
            seconds: started.elapsed().as_secs_f64(),
            cost: outcome.cost,
        };
        self.write_record(parts, &outcome, observer)?;

        let given_up = last && broken && self.margin() < -3.0 * search.rescue_margin;
        let spent = self.cost_share() >= search.max_cost;
        let stops_met = self
            .state
            .candidates
            .iter()
            .any(|c| c.stop == Some(corridor.stops.len() - 1));
        self.state.phase = if t < epochs && !given_up && (!spent || (last && !is_aec && !stops_met))
        {
            Phase::Search { episode, t: t + 1 }
        } else if !last && !spent {
            Phase::Search {
                episode: episode + 1,
                t: 0,
            }
        } else if !last {
            Phase::Search {
                episode: self.last_episode(),
                t: 0,
            }
        } else {
            Phase::Finish {
                output: 0,
                attempt: 0,
            }
        };
        Ok(())
    }

    /// The given network anew: scored, recorded once.
    fn begin_episode(&mut self, episode: usize) -> Result<(), PruneError> {
        let started = Instant::now();
        let cost = self.state.shared.cost;
        self.state.state = self.environment.initial_state();
        self.state.next_stop = 0;
        self.state.last_off.clear();
        self.environment.score(
            &mut self.state.state,
            &mut self.state.shared,
            self.config.search.scoring_batches,
        )?;
        let corridor = self.corridor_of(episode);
        let (_, observation) = self.observe(&corridor, 0.0);
        let q_advantage = self.advantages(&observation);
        let outcome = EpochOutcome {
            evaluation: self.problem.baseline.search.clone(),
            train_loss: self.state.state.loss,
            cost: self.state.shared.cost - cost,
        };
        let schedule = self.epsilon_schedule();
        let progress = self.run_progress(episode, 1);
        let parts = RecordParts {
            episode,
            stage: schedule.stage(progress),
            epsilon: schedule.at(progress),
            changes: Changes::default(),
            reward: RewardParts::default(),
            q_advantage,
            agent_loss: None,
            candidate: false,
            seconds: started.elapsed().as_secs_f64(),
            cost: outcome.cost,
        };
        self.write_record(parts, &outcome, &mut ())?;
        self.state.phase = Phase::Search { episode, t: 1 };
        Ok(())
    }

    /// Desired states: the agent's own, or all on for policies that only rank.
    fn wishes(&mut self, observation: &[Vec<Features>], epsilon: f32) -> Vec<Vec<bool>> {
        observation
            .iter()
            .zip(&self.state.state.masks.0)
            .map(|(rows, mask)| {
                if self.policy == Policy::Dqn {
                    let acts = self.agent.act(rows, epsilon);
                    acts.into_iter().map(|(on, _)| on).collect()
                } else {
                    // What is on stays on, what is off stays off, unless the corridor asks.
                    mask.iter().copied().take(rows.len()).collect()
                }
            })
            .collect()
    }

    fn epoch_reward(&self, before: f64, after: f64, observation: &[Vec<Features>]) -> RewardParts {
        let config = &self.config.reward;
        let state = &self.state.state;
        let margin = self.margin() as f32;
        let (mut sum, mut count) = (0.0f32, 0u32);
        for (rows, mask) in observation.iter().zip(&state.masks.0) {
            for (row, &on) in rows.iter().zip(mask) {
                sum += own_share(row, on);
                count += 1;
            }
        }
        let mut parts = RewardParts {
            accuracy: config.accuracy * reward::accuracy(config, margin),
            compression: config.compression * reward::compression(before as f32, after as f32),
            convergence: config.convergence * state.convergence as f32,
            dense: sum / count.max(1) as f32,
            total: 0.0,
        };
        parts.total = parts.accuracy + parts.compression + parts.convergence + parts.dense;
        parts
    }

    fn learn(
        &mut self,
        observation: &[Vec<Features>],
        next_observation: &[Vec<Features>],
        parts: &RewardParts,
        terminated: bool,
    ) -> LearnReport {
        if self.policy != Policy::Dqn {
            return LearnReport::default();
        }
        let shared = parts.accuracy + parts.compression + parts.convergence;
        let mut transitions = Vec::new();
        for (g, rows) in observation.iter().enumerate() {
            for (k, row) in rows.iter().enumerate() {
                let action = self.state.state.masks.0[g][k];
                transitions.push(Transition {
                    observation: *row,
                    action,
                    reward: shared + own_share(row, action),
                    next_observation: next_observation[g][k],
                    terminated,
                });
            }
        }
        self.agent.remember(transitions);
        self.agent.learn(self.config.search.agent_updates)
    }

    /// Re-activation by rule: of the kernels turned off in this epoch, or else of all
    /// dormant ones, those of best health come back; then the slice is trained again.
    fn rescue(
        &mut self,
        changes: &mut Changes,
        plan: &EpochPlan,
        outcome: &mut EpochOutcome,
        observer: &mut dyn RunObserver,
    ) -> Result<(), PruneError> {
        let count = ((changes.turned_off.len() as f64 * self.config.search.rescue_share).ceil()
            as usize)
            .max(1);
        let masks = healthiest_back(&self.state.state, &self.problem.switchable, count);
        let back = Changes::between(&self.state.state, &masks, ReactivatedBy::Rule);
        if back.reactivated.is_empty() {
            return Ok(());
        }
        self.environment.act(&mut self.state.state, masks);
        let mut steps = Steps {
            observer,
            progress: self.progress(Stage::Exploit, self.last_episode()),
        };
        let again = self.environment.train(
            &mut self.state.state,
            &mut self.state.shared,
            plan,
            &mut steps,
        )?;
        // Off and on again within one epoch is no change in the end.
        for reactivation in back.reactivated {
            let kernel = reactivation.kernel;
            changes.turned_off.retain(|&off| off != kernel);
            changes.reactivated.push(reactivation);
        }
        *outcome = EpochOutcome {
            cost: outcome.cost + again.cost,
            ..again
        };
        Ok(())
    }
}

/// The masks with the `count` healthiest dormant kernels on again.
fn healthiest_back(state: &State, switchable: &[bool], count: usize) -> Masks {
    let mut dormant: Vec<(f32, usize, usize)> = Vec::new();
    for (g, scores) in state
        .scores
        .iter()
        .enumerate()
        .filter(|(g, _)| switchable[*g])
    {
        for (k, score) in scores
            .iter()
            .enumerate()
            .filter(|(k, _)| !state.masks.0[g][*k])
        {
            dormant.push((score.health, g, k));
        }
    }
    dormant.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut masks = state.masks.clone();
    for &(_, g, k) in dormant.iter().take(count) {
        masks.0[g][k] = true;
    }
    masks
}
