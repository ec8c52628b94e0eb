//! The environment that trains: compact networks in our own interpreter, or elsewhere ([`OutsideTrainer`]).

mod effort;
mod given;
mod held;
mod learning;
mod looking;
mod observing;
mod outside;
mod preparing;
mod problem;
mod recovering;
mod sizing;
mod solving;
mod state;
mod statistics;
mod withstanding;

use std::sync::Arc;

use secateur_net::NetError;
use secateur_net::data::Augment;
use secateur_net::heal::WidthErrors;
use secateur_net::train::{Evaluation, Optimizer, Reference, StepObserver, Teacher};

pub use given::{check_finite, file_notes};
pub use held::Held;
pub use outside::{OutsideData, OutsideError, OutsideTrainer, Values};
pub use problem::{Problem, ProblemError};
pub use state::{KernelState, Shared, State};

use effort::Effort;
use solving::Solving;

use super::{
    Action, Environment, EnvironmentError, Goal, Healing, Identity, Reward, Standing, Step,
};
use crate::baseline::Baseline;
use crate::config::{RewardConfig, SCORING_BATCHES, TrainingConfig};
use crate::costs::Costs;
use crate::observation::{NetworkFacts, Observation};
use crate::reward;
use crate::scores::Score;
use crate::space::{Space, ratio};
use crate::worth::worth;

/// Training images in the probe of dormant kernels.
const PROBE_IMAGES: usize = 128;

/// Networks trained on a problem's data by our own interpreter, or by another program on its own.
pub struct TrainingEnvironment<'a> {
    problem: &'a Problem,
    training: &'a TrainingConfig,
    reward: &'a RewardConfig,
    teacher: Option<Teacher>,
    /// Trains recoveries, where our own interpreter does not.
    trainer: Option<Box<dyn OutsideTrainer + 'a>>,
    scores: Vec<&'a dyn Score>,
    costs: Costs,
    state: State,
    shared: Shared,
    /// What the given network's layers lose with kernels.
    errors: Arc<Vec<WidthErrors>>,
    solving: Solving<'a>,
    /// What chance changes in the images of a recovery.
    recover_augment: Augment,
    /// What being on earns each kernel by itself, as observed last; none after a change.
    own_reward: Option<Vec<Vec<f32>>>,
}

impl<'a> TrainingEnvironment<'a> {
    /// Measures a score of the user's own, too, so that policies can look it up by its name.
    #[must_use]
    pub fn with_score(mut self, score: &'a dyn Score) -> Self {
        self.scores.push(score);
        self
    }

    /// What chance changes in the images of a recovery: the original's outputs for a sample are not
    /// those for a moved one where they move with it.
    pub fn recover_augment(&self) -> Augment {
        let is_stored = |teacher: &Teacher| matches!(teacher.reference, Reference::Stored(_));
        let moves = self.problem.task.moves_with_inputs();
        match moves && self.teacher.as_ref().is_some_and(is_stored) {
            true => Augment::default(),
            false => self.recover_augment,
        }
    }

    /// What each group's readers lose in the given network by the group's width.
    pub fn errors(&self) -> &[WidthErrors] {
        &self.errors
    }

    /// Multiply-adds of the present network.
    fn macs(&self) -> f64 {
        self.problem.space.count(&self.state.standing.masks).macs as f64
    }

    /// What the step from `before` to the present network earned; `own` is what being on earns
    /// each kernel by itself.
    fn rewarded(&self, before: &Standing, own: &[Vec<f32>], goal: &Goal) -> Reward {
        let space = &self.problem.space;
        let now = &self.state.standing;
        let share = |masks| ratio(goal.count, &space.count(masks), &space.size) as f32;
        let of_epoch = reward::Epoch {
            loss: [before.loss, now.loss],
            remaining: [share(&before.masks), share(&now.masks)],
            convergence: now.convergence as f32,
        };
        reward::reward(self.reward, &of_epoch, own, &now.masks)
    }
}

/// The given network, all kernels active, nothing measured yet.
fn given(problem: &Problem, training: &TrainingConfig) -> State {
    let groups = &problem.space.groups.groups;
    State {
        standing: Standing {
            masks: problem.space.all_active(),
            quality: problem.baseline.search.quality,
            loss: problem.baseline.search.loss,
            convergence: 0.0,
        },
        weights: problem.weights.clone(),
        optimizer: Optimizer::new(training.optimizer.clone()),
        kernels: groups
            .iter()
            .map(|group| vec![KernelState::default(); group.width])
            .collect(),
        ongoing: None,
    }
}

impl From<NetError> for EnvironmentError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Diverged { .. } => Self::Diverged(Box::new(error)),
            other => Self::Other(Box::new(other)),
        }
    }
}

impl Environment for TrainingEnvironment<'_> {
    type State = State;
    type Shared = Shared;

    fn space(&self) -> &Space {
        &self.problem.space
    }

    fn costs(&self) -> &Costs {
        &self.costs
    }

    fn baseline(&self) -> &Baseline {
        &self.problem.baseline
    }

    fn quality_name(&self) -> &str {
        self.problem.task.quality_name()
    }

    fn identity(&self) -> Identity {
        let trainer = self.trainer.as_ref();
        Identity {
            fingerprint: self.problem.fingerprint(),
            n_train: self.costs.n_train,
            outside_batch_size: trainer.map(|trainer| trainer.data().batch_size),
        }
    }

    /// Scores the kernels of the given network by passes whose gradients are thrown away.
    fn reset(&mut self) -> Result<Step, EnvironmentError> {
        self.restore(self.given());
        let (train_loss, cost) = self.score(SCORING_BATCHES)?;
        Ok(Step {
            train_loss,
            cost,
            work: cost,
            ..Step::default()
        })
    }

    fn observe(&mut self, goal: &Goal) -> Observation {
        let standing = &self.state.standing;
        let space = &self.problem.space;
        let mut observation = Observation {
            network: NetworkFacts {
                margin: goal.margin(standing.quality) as f32,
                remaining: space.remaining(goal.count, &standing.masks) as f32,
                target: goal.target as f32,
                log_loss: standing.loss.ln() as f32,
                convergence: standing.convergence as f32,
                progress: goal.progress,
                keeps_floor: goal.keeps_floor,
            },
            layers: self.layers(),
            kernels: self.kernels(),
            scores: self.measured(),
            errors: self.errors.clone(),
            own_reward: Vec::new(),
        };
        let worth = worth(&observation);
        let own = |g: usize, k: usize| self.reward.dense * reward::dense(worth[g][k]);
        observation.own_reward = observation.of_switchable(own);
        self.own_reward = Some(observation.own_reward.clone());
        observation
    }

    fn step(
        &mut self,
        action: &Action,
        goal: &Goal,
        watch: &mut dyn StepObserver,
    ) -> Result<Step, EnvironmentError> {
        let before = self.state.standing.clone();
        // What kernels earn by themselves goes by what was known when they were switched.
        let known = self.own_reward.take();
        let own = known.unwrap_or_else(|| self.observe(goal).own_reward);
        let healed = match action.healing {
            Healing::Solved { fully_judged } => {
                Some(self.look(action.masks.clone(), fully_judged)?)
            }
            Healing::Recovery { steps, rate, .. } => {
                self.recover(&action.masks, steps, rate, watch)?
            }
        };
        let Some((train_loss, mut effort)) = healed else {
            return Ok(Step::default());
        };
        if let Healing::Recovery { probe: true, .. } = action.healing {
            effort.of_given += self.probe()?;
        }
        self.own_reward = None;
        Ok(Step {
            train_loss,
            cost: effort.cost(),
            work: effort.work(self.costs.slowdown(self.macs())),
            reward: self.rewarded(&before, &own, goal),
        })
    }

    fn is_halfway(&self) -> bool {
        self.state.ongoing.is_some()
    }

    fn standing(&self) -> &Standing {
        &self.state.standing
    }

    fn state(&self) -> &State {
        &self.state
    }

    fn standing_of<'s>(&self, state: &'s State) -> &'s Standing {
        &state.standing
    }

    fn given(&self) -> State {
        given(self.problem, self.training)
    }

    fn restore(&mut self, state: State) {
        self.own_reward = None;
        self.state = state;
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn resume(&mut self, shared: Shared) {
        self.shared = shared;
    }

    fn confirm(&self, state: &State) -> Result<Evaluation, EnvironmentError> {
        Ok(self.problem.confirmed(state)?)
    }
}
