//! One pruning epoch of the search: observe, act, look, learn, go on.

use std::time::Instant;

use secateur_onnx::coupling::Masks;

use super::keep::{Changes, RecordParts};
use super::progress::Steps;
use super::{Observer, Phase, Search};
use crate::choose::{Limits, choose};
use crate::config::{
    Count, EXCHANGE_RATIO, EXPLORING_LOOKS, FULL_EFFORT, LOOKS_SHARE, PruneConfig,
};
use crate::environment::{Action, Environment, Goal, Healing, Step};
use crate::error::SearchError;
use crate::observation::Observation;
use crate::policy::{Cut, Experience, Exploration, LearnReport, PolicyError};
use crate::record::{ReactivatedBy, Stage};
use crate::widths::Frame;

/// Kernels that a cut may leave.
struct Choice {
    masks: Masks,
    /// Whose they are, as [`Experience::cut`] says it.
    cut: usize,
}

/// What widths of a network of at most this size must keep to.
fn frame<'e, E: Environment>(
    environment: &'e E,
    config: &PruneConfig,
    phase: Phase,
    (count, at_most): (Count, u64),
) -> Frame<'e> {
    let trains = !matches!(phase, Phase::Solve(_));
    Frame {
        space: environment.space(),
        count,
        at_most,
        round_to: config.search.round_to,
        // Multiply-adds are dear where a training follows, and less so where little of it does.
        effort: if trains {
            let share = config.search.max_cost / FULL_EFFORT;
            environment.costs().effort * f64::min(share, 1.0)
        } else {
            0.0
        },
    }
}

impl<E: Environment> Search<'_, E> {
    pub(super) fn epoch(
        &mut self,
        episode: usize,
        t: usize,
        observer: &mut dyn Observer,
    ) -> Result<(), SearchError> {
        let started = Instant::now();
        let goal = self.goal(t, t - 1);
        let exploration = self.explore(episode, t);

        let observation = self.environment.observe(&goal);
        let cuts = self.episodes.cuts(episode, t);
        let limits = self.limits(t, cuts);
        let (choices, wishes) = self.chosen(&observation, limits, cuts)?;
        let standing = self.environment.standing().clone();
        if choices[0].masks == standing.masks && !cuts {
            // What is asked again is answered alike.
            self.go_on_from(episode, self.episodes.next_cut(t));
            return Ok(());
        }
        let before = (!cuts).then(|| self.environment.state().clone());
        let progress = self.progress(exploration.stage, episode);
        let mut steps = Steps::new(observer, progress, 0);
        let (Choice { masks, cut }, step) = self.look_at_each(choices, &goal, &mut steps)?;
        let changes = Changes::between(&observation, &standing.masks, &masks, ReactivatedBy::Agent)
            .beside(&wishes, &standing.masks, &masks);
        let next_observation = self.environment.observe(&self.goal(t + 1, t));
        let terminated = t == self.episodes.epochs();
        let report = self.learn((&observation, &next_observation), cut, &step, terminated);

        let candidate = self.keep_candidate(self.episodes.stop(t))?;
        let parts = RecordParts {
            episode,
            exploration,
            changes,
            q_advantage: self.advantages(&next_observation),
            agent_loss: (report.updates > 0).then_some(report.mean_loss),
            candidate,
            seconds: started.elapsed().as_secs_f64(),
        };
        let is_better = self.environment.standing().loss < standing.loss;
        let back_to = before.filter(|_| !is_better);
        self.record(parts, back_to.is_some(), &step, &next_observation, observer)?;
        if let Some(before) = back_to {
            self.environment.restore(before);
        }
        let is_spent = self.state.looked >= self.looks_allowed(episode);
        let next = if is_spent {
            self.episodes.next_cut(t)
        } else {
            t + 1
        };
        self.go_on_from(episode, next);
        Ok(())
    }

    /// Looks at each of some choices and stays with that of the lowest loss, if there is none the first
    /// one; and what came of it.
    fn look_at_each(
        &mut self,
        mut choices: Vec<Choice>,
        goal: &Goal,
        steps: &mut Steps<'_>,
    ) -> Result<(Choice, Step), SearchError> {
        let others = choices.split_off(1);
        let mut best = choices.remove(0);
        let begin = (!others.is_empty()).then(|| self.environment.state().clone());
        let mut of_best = self.look(best.masks.clone(), goal, steps)?;
        for other in others {
            let (least, state) = (
                self.environment.standing().loss,
                self.environment.state().clone(),
            );
            if let Some(begin) = &begin {
                self.environment.restore(begin.clone());
            }
            let step = self.look(other.masks.clone(), goal, steps)?;
            if self.environment.standing().loss < least {
                (best, of_best) = (other, step);
            } else {
                self.environment.restore(state);
            }
        }
        Ok((best, of_best))
    }

    /// Switches to these kernels with solved weights.
    fn look(
        &mut self,
        masks: Masks,
        goal: &Goal,
        steps: &mut Steps<'_>,
    ) -> Result<Step, SearchError> {
        let action = Action {
            masks,
            healing: Healing::Solved {
                fully_judged: false,
            },
        };
        let step = self.environment.step(&action, goal, steps)?;
        self.state.pay(&step);
        self.state.looked += step.work;
        self.state.looks += 1;
        Ok(step)
    }

    /// Work that may have gone into looks when an episode ends.
    pub(super) fn looks_allowed(&self, episode: usize) -> f64 {
        let part = match self.episodes.is_last(episode) || self.episodes.tries_widths() {
            true => 1.0,
            false => EXPLORING_LOOKS,
        };
        let share = part * LOOKS_SHARE * self.config.search.max_cost;
        self.environment.costs().of_share(share)
    }

    /// What pruning epoch `t` is held against when `done` of its episode are over.
    pub(super) fn goal(&self, t: usize, done: usize) -> Goal {
        let stops = self.promise.stops();
        Goal {
            count: stops.count,
            target: stops.shares[self.episodes.stop(t)],
            floor: self.promise.floor().search(),
            keeps_floor: self.promise.keeps_floor(),
            progress: self.episodes.progress(done),
        }
    }

    /// How an epoch explores; policies that do not learn do so in name only, in the episodes
    /// that are for it.
    pub(super) fn explore(&mut self, episode: usize, t: usize) -> Exploration {
        let progress = self.episodes.run_progress(episode, t);
        match self.policy.learner() {
            Some(learner) => learner.explore(progress, self.episodes.is_last(episode)),
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

    /// What the policy wants, within the limits of the epoch, and where the network is cut what it holds
    /// to be as good; and its wishes.
    fn chosen(
        &mut self,
        observation: &Observation,
        limits: Limits,
        cuts: bool,
    ) -> Result<(Vec<Choice>, Vec<Vec<bool>>), SearchError> {
        let ranks = self.policy.rank(observation);
        let wishes = self.policy.wish(observation);
        self.check_shape(&ranks)?;
        self.check_shape(&wishes)?;
        let widths = self.widths(observation, limits.count, limits.at_most)?;
        let mut cuts_of = vec![Cut {
            widths,
            ranks: None,
        }];
        if cuts {
            let bounds = (limits.count, limits.at_most);
            let frame = frame(&self.environment, self.config, self.state.phase, bounds);
            cuts_of.extend(self.policy.other_cuts(observation, &frame));
        }
        let stay = observation.of_switchable(|g, k| observation.kernels[g][k].active);
        let mut choices: Vec<Choice> = Vec::new();
        for (cut, Cut { widths, ranks: own }) in cuts_of.into_iter().enumerate() {
            let widths = widths.map(|widths| self.check_widths(widths)).transpose()?;
            if let Some(own) = &own {
                self.check_shape(own)?;
            }
            let masks = choose(
                &self.environment.standing().masks,
                own.as_ref().unwrap_or(&ranks),
                if own.is_some() { &stay } else { &wishes },
                &self.environment.space().cost,
                &limits,
                widths.as_deref(),
            );
            if !choices.iter().any(|choice| choice.masks == masks) {
                choices.push(Choice { masks, cut });
            }
        }
        Ok((choices, wishes))
    }

    /// How many kernels each group is to keep in a network of at most this size, if the policy says
    /// so.
    pub(super) fn widths(
        &mut self,
        observation: &Observation,
        count: Count,
        at_most: u64,
    ) -> Result<Option<Vec<usize>>, PolicyError> {
        let phase = self.state.phase;
        let frame = frame(&self.environment, self.config, phase, (count, at_most));
        let widths = self.policy.widths(observation, &frame);
        widths.map(|widths| self.check_widths(widths)).transpose()
    }

    /// Fails unless widths are one for each group.
    fn check_widths(&self, widths: Vec<usize>) -> Result<Vec<usize>, PolicyError> {
        let expected = self.environment.space().groups.groups.len();
        if widths.len() == expected {
            return Ok(widths);
        }
        Err(PolicyError::Widths {
            name: self.policy.name(),
            expected,
            got: widths.len(),
        })
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

    fn limits(&self, t: usize, cuts: bool) -> Limits {
        let stops = self.promise.stops();
        let bounds = stops.bounds(self.episodes.stop(t), &self.environment.space().size);
        Limits {
            count: stops.count,
            at_most: bounds.at_most,
            at_least: bounds.at_least,
            max_switch_ratio: if cuts { 1.0 } else { EXCHANGE_RATIO },
            round_to: self.config.search.round_to,
        }
    }

    fn learn(
        &mut self,
        (observation, next_observation): (&Observation, &Observation),
        cut: usize,
        step: &Step,
        terminated: bool,
    ) -> LearnReport {
        let masks = &self.environment.standing().masks;
        let Some(learner) = self.policy.learner() else {
            return LearnReport::default();
        };
        learner.learn(&Experience {
            observation,
            masks,
            cut,
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

    /// Goes on with pruning epoch `t` of an episode, or what comes after it.
    fn go_on_from(&mut self, episode: usize, t: usize) {
        let begin = |episode| Phase::Search { episode, t: 0 };
        self.state.phase = if t <= self.episodes.epochs() {
            Phase::Search { episode, t }
        } else if self.episodes.is_last(episode) {
            Phase::Recover(0)
        } else if self.state.looked >= self.looks_allowed(episode) {
            begin(self.episodes.last())
        } else {
            begin(episode + 1)
        };
    }

    /// The given network anew: scored, recorded once.
    pub(super) fn begin_episode(&mut self, episode: usize) -> Result<(), SearchError> {
        let started = Instant::now();
        let step = self.environment.reset()?;
        self.state.pay(&step);
        let exploration = self.explore(episode, 1);
        let observation = self.environment.observe(&self.goal(1, 0));
        let parts = RecordParts {
            episode,
            exploration,
            changes: Changes::default(),
            q_advantage: self.advantages(&observation),
            agent_loss: None,
            candidate: false,
            seconds: started.elapsed().as_secs_f64(),
        };
        self.record(parts, false, &step, &observation, &mut ())?;
        self.state.phase = Phase::Search { episode, t: 1 };
        Ok(())
    }
}
