//! One pruning epoch of the search: observe, act, heal, learn, advance.

use std::time::Instant;

use super::keep::{Changes, RecordParts};
use super::progress::Steps;
use super::{Observer, Phase, Search};
use crate::choose::{Limits, choose};
use crate::config::{EXCHANGE_RATIO, Metric};
use crate::environment::{Action, Environment, Goal, Healing, Step};
use crate::error::SearchError;
use crate::observation::Observation;
use crate::policy::{Experience, Exploration, LearnReport, PolicyError};
use crate::record::{ReactivatedBy, Stage};
use crate::widths::Frame;

impl<E: Environment> Search<'_, E> {
    pub(super) fn epoch(
        &mut self,
        episode: usize,
        t: usize,
        observer: &mut dyn Observer,
    ) -> Result<(), SearchError> {
        let started = Instant::now();
        let goal = self.goal(episode, t - 1);
        let exploration = self.explore(episode, t);

        let observation = self.environment.observe(&goal);
        let action = self.act(&observation, episode, t)?;
        let before = self.environment.standing().masks.clone();
        let mut steps = Steps {
            progress: self.progress(exploration.stage, episode),
            observer,
        };
        let step = self.environment.step(&action, &goal, &mut steps)?;
        self.state.spent += step.cost;
        let next_observation = self.environment.observe(&self.goal(episode, t));
        let terminated = t == self.episodes.epochs(episode);
        let report = self.learn(&observation, &step, &next_observation, terminated);

        let changes = Changes::between(&observation, &before, &action.masks, ReactivatedBy::Agent)
            .rescued(&step.rescued);
        let candidate = self.episodes.is_last(episode) && self.keep_candidate()?;
        let parts = RecordParts {
            episode,
            exploration,
            changes,
            q_advantage: self.advantages(&next_observation),
            agent_loss: (report.updates > 0).then_some(report.mean_loss),
            candidate,
            seconds: started.elapsed().as_secs_f64(),
        };
        self.record(parts, &step, &next_observation, observer)?;
        self.advance(episode, t);
        Ok(())
    }

    /// What an episode is held against when `done` of its epochs are over.
    pub(super) fn goal(&self, episode: usize, done: usize) -> Goal {
        let corridor = self.episodes.corridor(episode);
        Goal {
            metric: corridor.metric,
            target: corridor.target,
            floor: self.promise.floor().search(),
            keeps_floor: self.promise.keeps_floor(),
            progress: self.episodes.progress(episode, done),
        }
    }

    /// How an epoch explores; policies that do not learn do so in name only, in the episodes
    /// that are for it.
    pub(super) fn explore(&mut self, episode: usize, t: usize) -> Exploration {
        let progress = self.episodes.run_progress(episode, t);
        match self.policy.learner() {
            Some(learner) => learner.explore(progress),
            None => Exploration {
                epsilon: 0.0,
                stage: if self.episodes.is_last(episode) {
                    Stage::Exploit
                } else {
                    Stage::Explore
                },
            },
        }
    }

    /// What the policy wants, within the limits of the epoch.
    fn act(
        &mut self,
        observation: &Observation,
        episode: usize,
        t: usize,
    ) -> Result<Action, SearchError> {
        let is_last = self.episodes.is_last(episode);
        let ranks = self.policy.rank(observation);
        let wishes = self.policy.wish(observation);
        self.check_shape(&ranks)?;
        self.check_shape(&wishes)?;
        let limits = self.limits(episode, t);
        let widths = self.widths(observation, limits.metric, limits.at_most)?;
        let search = &self.config.search;
        let ledger = self.ledger();
        let masks = choose(
            &ledger.standing.masks,
            &ranks,
            &wishes,
            &ledger.space.cost,
            &limits,
            widths.as_deref(),
        );
        let share = if is_last {
            search.slice_cost
        } else {
            search.explore_slice_cost
        };
        let [least, most] = search.slice_steps();
        let macs = ledger.space.count(&masks).macs as f64;
        Ok(Action {
            steps: ledger.costs.steps_for(share, macs, least, most),
            masks,
            healing: Healing::Slice,
            rescue: self.promise.rescue().filter(|_| is_last),
        })
    }

    /// How many kernels each group is to keep in a network of at most this size, if the policy says
    /// so.
    pub(super) fn widths(
        &mut self,
        observation: &Observation,
        metric: Metric,
        at_most: u64,
    ) -> Result<Option<Vec<usize>>, PolicyError> {
        let frame = Frame {
            space: self.environment.space(),
            metric,
            at_most,
            round_to: self.config.search.round_to,
            effort: self.environment.costs().effort,
        };
        let widths = self.policy.widths(observation, &frame);
        let fits = |widths: &Vec<usize>| widths.len() == frame.space.groups.groups.len();
        match widths {
            Some(widths) if !fits(&widths) => Err(PolicyError::Widths {
                name: self.policy.name(),
                expected: frame.space.groups.groups.len(),
                got: widths.len(),
            }),
            widths => Ok(widths),
        }
    }

    /// Fails unless a policy's figures are one for each kernel that may be switched: what does
    /// not fit could switch kernels that must stay.
    pub(super) fn check_shape<T>(&self, figures: &[Vec<T>]) -> Result<(), PolicyError> {
        let space = self.environment.space();
        let groups = space.groups.groups.iter().zip(&space.switchable);
        for (g, (group, &switchable)) in groups.enumerate() {
            let expected = if switchable { group.width } else { 0 };
            let got = figures.get(g).map_or(0, Vec::len);
            if got != expected || figures.len() != space.switchable.len() {
                return Err(PolicyError::Shape {
                    name: self.policy.name(),
                    group: group.name.clone(),
                    expected,
                    got,
                });
            }
        }
        Ok(())
    }

    fn limits(&self, episode: usize, t: usize) -> Limits {
        let search = &self.config.search;
        let corridor = self.episodes.corridor(episode);
        let full = &self.environment.space().size;
        let bounds = corridor.bounds(t, self.state.next_stop, full);
        Limits {
            metric: corridor.metric,
            at_most: bounds.at_most,
            at_least: bounds.at_least,
            max_switch_ratio: if t > corridor.epochs {
                EXCHANGE_RATIO
            } else {
                search.max_switch_ratio
            },
            round_to: search.round_to,
        }
    }

    fn learn(
        &mut self,
        observation: &Observation,
        step: &Step,
        next_observation: &Observation,
        terminated: bool,
    ) -> LearnReport {
        let masks = &self.environment.standing().masks;
        let Some(learner) = self.policy.learner() else {
            return LearnReport::default();
        };
        learner.learn(&Experience {
            observation,
            masks,
            rewards: &step.reward.kernels,
            next_observation,
            terminated,
        })
    }

    /// What a learner expects of each kernel; nothing where the policy does not learn.
    pub(super) fn advantages(&mut self, observation: &Observation) -> Vec<Vec<f32>> {
        let learner = self.policy.learner();
        learner.map_or_else(Vec::new, |learner| learner.advantages(observation))
    }

    /// What comes after an epoch.
    fn advance(&mut self, episode: usize, t: usize) {
        let is_over = t >= self.episodes.epochs(episode);
        let ledger = self.ledger();
        let is_spent = ledger.spent_share() >= self.config.search.max_cost;
        let last = self.episodes.last();
        let begin = |episode| Phase::Search { episode, t: 0 };
        self.state.phase = if self.episodes.is_last(episode) {
            if is_over || self.promise.ends_early(&ledger) {
                Phase::Recover(0)
            } else {
                Phase::Search { episode, t: t + 1 }
            }
        } else if is_spent {
            begin(last)
        } else if is_over {
            begin(episode + 1)
        } else {
            Phase::Search { episode, t: t + 1 }
        };
    }

    /// The given network anew: scored, recorded once.
    pub(super) fn begin_episode(&mut self, episode: usize) -> Result<(), SearchError> {
        let started = Instant::now();
        self.state.next_stop = 0;
        let step = self.environment.reset()?;
        self.state.spent += step.cost;
        let exploration = self.explore(episode, 1);
        let observation = self.environment.observe(&self.goal(episode, 0));
        let parts = RecordParts {
            episode,
            exploration,
            changes: Changes::default(),
            q_advantage: self.advantages(&observation),
            agent_loss: None,
            candidate: false,
            seconds: started.elapsed().as_secs_f64(),
        };
        self.record(parts, &step, &observation, &mut ())?;
        self.state.phase = Phase::Search { episode, t: 1 };
        Ok(())
    }
}
