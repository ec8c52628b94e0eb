//! The environment that trains: compact networks in our own interpreter.

mod given;
mod held;
mod problem;
mod recovering;
mod sizing;
mod solving;
mod state;
mod statistics;
mod withstanding;

use std::sync::Arc;

use secateur_net::Interpreter;
use secateur_net::NetError;
use secateur_net::data::{Augment, BatchJob, BatchSampler};
use secateur_net::heal::WidthErrors;
use secateur_net::health::probe_health;
use secateur_net::mask::Selection;
use secateur_net::score::Collector;
use secateur_net::task::{Against, Targets};
use secateur_net::train::{
    Evaluation, Optimizer, Reference, Schedule, ScheduleKind, Slice, StepObserver, Teacher,
    train_slice,
};
use secateur_onnx::coupling::Masks;

pub use given::{check_finite, file_notes};
pub use held::Held;
pub use problem::{Problem, ProblemError};
pub use state::{KernelState, Shared, State};

use solving::Solving;

use super::{
    Action, Environment, EnvironmentError, Goal, Healing, Identity, Reward, Standing, Step,
};
use crate::baseline::Baseline;
use crate::config::{PruneConfig, RewardConfig, SCORING_BATCHES, TrainingConfig};
use crate::costs::Costs;
use crate::observation::{KernelFacts, LayerFacts, NetworkFacts, Observation};
use crate::reward;
use crate::scores::{Evidence, Score, Scores, Statistics, own};
use crate::space::{Space, ratio};
use crate::worth::worth;

/// Training images in the probe of dormant kernels.
const PROBE_IMAGES: usize = 128;

/// Seeds of a run's streams are the run's seed with one of these mixed in, so that batches,
/// agent and policy do not share randomness.
const SAMPLER_STREAM: u64 = 0x5a4d_504c;

/// Networks trained by our own interpreter, on a problem's data.
pub struct TrainingEnvironment<'a> {
    problem: &'a Problem,
    training: &'a TrainingConfig,
    reward: &'a RewardConfig,
    teacher: Option<Teacher>,
    scores: Vec<&'a dyn Score>,
    costs: Costs,
    state: State,
    shared: Shared,
    /// What the given network's layers lose with kernels.
    errors: Arc<Vec<WidthErrors>>,
    /// Made for the first recovery.
    solving: Option<Solving<'a>>,
    /// What chance changes in the images of a recovery.
    recover_augment: Augment,
    seed: u64,
    /// What being on earns each kernel by itself, as observed last; none after a change.
    own_reward: Option<Vec<Vec<f32>>>,
}

/// How long and how hard a slice trains.
struct Plan {
    steps: usize,
    schedule: ScheduleKind,
    lr: f32,
    augment: Augment,
    probe: bool,
}

impl<'a> TrainingEnvironment<'a> {
    /// Prepares the environment. With distillation, the given network scores the training data
    /// once, which is counted as its set-up cost.
    ///
    /// # Errors
    /// As an inference pass.
    pub fn new(problem: &'a Problem, config: &'a PruneConfig) -> Result<Self, NetError> {
        let training = &config.training;
        let batch_size = sizing::batch_size(problem, training.batch_size)?;
        let mut costs = problem.costs(batch_size);
        let learns = training.distillation > 0.0 || problem.task.against() == Against::Original;
        let teacher = if learns {
            let full_macs = problem.space.size.macs as f64;
            let teacher = sizing::teacher(problem, training)?;
            match &teacher.reference {
                Reference::Live(_) => costs.teacher_macs = full_macs,
                _ => costs.setup = problem.train.len() as f64 * full_macs,
            }
            Some(teacher)
        } else {
            None
        };
        let seed = config.seed ^ SAMPLER_STREAM;
        let (errors, taken) = solving::errors_by_width(problem, seed)?;
        costs.setup += taken;
        let (recover_augment, taken) = withstanding::of_recovery(problem, training, seed)?;
        costs.setup += taken;
        let sampler = BatchSampler::new(problem.train.len(), batch_size, seed);
        Ok(Self {
            problem,
            training,
            reward: &config.reward,
            teacher,
            scores: own().into_iter().collect(),
            costs,
            state: given(problem, training),
            shared: Shared { sampler },
            errors: Arc::new(errors),
            solving: None,
            recover_augment,
            seed,
            own_reward: None,
        })
    }

    /// Measures a score of the user's own, too, so that policies can look it up by its name.
    #[must_use]
    pub fn with_score(mut self, score: &'a dyn Score) -> Self {
        self.scores.push(score);
        self
    }

    /// What chance changes in the images of a recovery.
    pub fn recover_augment(&self) -> Augment {
        self.augment(self.recover_augment)
    }

    /// Random changes that what is learnt from allows: the original's outputs for a sample are not
    /// those for a shifted one where they move with it.
    fn augment(&self, wanted: Augment) -> Augment {
        let is_stored = |teacher: &Teacher| matches!(teacher.reference, Reference::Stored(_));
        let moves = self.problem.task.moves_with_inputs();
        match moves && self.teacher.as_ref().is_some_and(is_stored) {
            true => Augment::default(),
            false => wanted,
        }
    }

    fn plan(&self, healing: Healing, steps: usize) -> Plan {
        match healing {
            Healing::Slice => Plan {
                steps,
                schedule: ScheduleKind::Cosine,
                lr: self.training.lr,
                augment: self.augment(self.training.slice_augment()),
                probe: true,
            },
            Healing::Recovery { probe } => Plan {
                steps,
                schedule: ScheduleKind::OneCycle,
                lr: self.training.peak_of_recovery(self.problem.task.against()),
                augment: self.recover_augment(),
                probe,
            },
        }
    }

    /// Multiply-adds of the present network.
    fn macs(&self) -> f64 {
        self.problem.space.count(&self.state.standing.masks).macs as f64
    }

    /// Heals the present network, evaluates it and probes its dormant kernels; returns the mean
    /// training loss and the sample-MACs.
    fn heal(&mut self, plan: &Plan, watch: &mut dyn StepObserver) -> Result<(f64, f64), NetError> {
        let problem = self.problem;
        let (network, train_loss, steps) = self.slice(plan, watch)?;
        let compact = problem.gathered(&self.state);
        let task = problem.task.as_ref();
        let evaluation = problem.search.evaluate(&network, task, &compact)?;
        let any_dormant = self.state.standing.masks.0.iter().flatten().any(|on| !on);
        let macs = self.macs();
        self.state.standing.quality = evaluation.quality;
        self.state.standing.loss = evaluation.loss;
        let mut cost = steps as f64 * self.costs.step(macs) + self.costs.evaluation(macs);
        if plan.probe && any_dormant {
            let samples = self.probe()?;
            cost += self.costs.probe(samples);
        }
        Ok((train_loss, cost))
    }

    /// Measures the health of the dormant kernels on one batch; returns its samples.
    fn probe(&mut self) -> Result<usize, NetError> {
        let problem = self.problem;
        let indices: Vec<usize> = self.shared.sampler.next_batch();
        let batch = problem.train.batch(&BatchJob {
            indices: indices.into_iter().take(PROBE_IMAGES).collect(),
            augment: Augment::default(),
            seed: 0,
        })?;
        let n = batch.inputs.n;
        // Against the labels health is that of the labels' loss alone.
        let lesson = match (&self.teacher, problem.task.against()) {
            (Some(teacher), Against::Original) => teacher.lesson(&batch)?,
            _ => None,
        };
        let targets = Targets {
            teacher: lesson.map(|lesson| lesson.distillation),
            ..Targets::labels(&batch.labels)
        };
        let health = probe_health(
            &problem.network,
            problem.task.as_ref(),
            &self.state.weights,
            &problem.space.groups,
            &self.state.standing.masks,
            batch.inputs,
            &targets,
        )?;
        for (kernels, health) in self.state.kernels.iter_mut().zip(health) {
            for (kernel, health) in kernels.iter_mut().zip(health) {
                kernel.statistics.health = if health.is_finite() { health } else { 0.0 };
            }
        }
        Ok(n)
    }

    /// The training itself: gather, train, scatter, enter the statistics.
    fn slice(
        &mut self,
        plan: &Plan,
        watch: &mut dyn StepObserver,
    ) -> Result<(Interpreter, f64, usize), NetError> {
        let problem = self.problem;
        let state = &mut self.state;
        let network = problem.compact(&state.standing.masks)?;
        let masks = &state.standing.masks;
        let groups = &problem.space.groups;
        let kept = |value: &str, axis| groups.kept_along(value, axis, masks);
        let teacher = self.teacher.as_ref().map(|t| t.cut(kept));
        let learning =
            problem.compact_with(masks, teacher.iter().flat_map(|t| t.features.names()))?;
        let selection = Selection::new(&problem.space.groups, &state.standing.masks);
        let mut compact = selection.gather(&state.weights);
        let collector = Arc::new(Collector::default());
        let slice = Slice {
            network: &learning,
            task: problem.task.as_ref(),
            data: &problem.train,
            schedule: Schedule {
                kind: plan.schedule,
                peak: plan.lr,
                steps: plan.steps,
            },
            smoothing: self.training.smoothing,
            augment: plan.augment,
            teacher: teacher.as_ref(),
            collector: Some(collector.clone()),
        };
        let report = train_slice(
            &slice,
            &mut compact,
            &mut state.optimizer,
            &mut self.shared.sampler,
            watch,
        )?;
        selection.scatter(&compact, &mut state.weights);
        statistics::enter(
            &mut state.kernels,
            &problem.space.groups,
            &state.standing.masks,
            &collector.scores(),
        );
        let (first, last) = report.first_and_last_quarter();
        state.standing.convergence = if first > 0.0 {
            ((first - last) / first).clamp(-1.0, 1.0)
        } else {
            0.0
        };
        Ok((network, report.mean_loss(), report.steps))
    }

    /// What the step from `before` to the present network earned; `own` is what being on earns
    /// each kernel by itself.
    fn rewarded(&self, before: &Masks, own: &[Vec<f32>], goal: &Goal) -> Reward {
        let space = &self.problem.space;
        let now = &self.state.standing;
        let share = |masks| ratio(goal.metric, &space.count(masks), &space.size) as f32;
        let of_epoch = reward::Epoch {
            margin: goal.margin(now.quality) as f32,
            before: share(before),
            after: share(&now.masks),
            convergence: now.convergence as f32,
        };
        reward::reward(self.reward, &of_epoch, own, &now.masks)
    }

    fn measured(&self) -> Scores {
        let of_group = |kernels: &Vec<KernelState>| kernels.iter().map(|k| k.statistics).collect();
        let statistics: Vec<Vec<Statistics>> = self.state.kernels.iter().map(of_group).collect();
        let evidence = Evidence {
            space: &self.problem.space,
            tensors: &self.state.weights,
            statistics: Some(&statistics),
            errors: &self.errors,
        };
        Scores::measure(self.scores.iter().copied(), &evidence)
    }

    fn layers(&self) -> Vec<LayerFacts> {
        let space = &self.problem.space;
        let masks = &self.state.standing.masks;
        let marginal = space.cost.marginal(masks);
        let size = space.count(masks);
        let n = space.groups.groups.len();
        let groups = space.groups.groups.iter().enumerate();
        groups
            .map(|(g, group)| LayerFacts {
                depth: g as f32 / (n - 1).max(1) as f32,
                width: group.width,
                active: masks.active(g),
                param_share: marginal[g].params as f32 / size.params.max(1) as f32,
                mac_share: marginal[g].macs as f32 / size.macs.max(1) as f32,
                is_conv: group.is_conv,
                switchable: space.switchable[g],
            })
            .collect()
    }

    fn kernels(&self) -> Vec<Vec<KernelFacts>> {
        let masks = &self.state.standing.masks.0;
        let facts = |(kernel, &active): (&KernelState, &bool)| KernelFacts {
            active,
            score_age: kernel.age,
            since_switch: kernel.since_switch,
            times_switched: kernel.times_switched,
        };
        let groups = self.state.kernels.iter().zip(masks);
        groups
            .map(|(kernels, mask)| kernels.iter().zip(mask).map(facts).collect())
            .collect()
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
        Identity {
            fingerprint: self.problem.fingerprint(),
            n_train: self.problem.train.len(),
        }
    }

    /// Scores the kernels of the given network by passes whose gradients are thrown away.
    fn reset(&mut self) -> Result<Step, EnvironmentError> {
        self.restore(self.given());
        let plan = Plan {
            steps: SCORING_BATCHES,
            schedule: ScheduleKind::Cosine,
            lr: 0.0,
            augment: self.augment(self.training.slice_augment()),
            probe: false,
        };
        self.slice(&plan, &mut ())?;
        self.state.weights = self.problem.weights.clone();
        Ok(Step {
            train_loss: self.state.standing.loss,
            cost: plan.steps as f64 * self.costs.step(self.costs.full_macs),
            ..Step::default()
        })
    }

    fn observe(&mut self, goal: &Goal) -> Observation {
        let standing = &self.state.standing;
        let space = &self.problem.space;
        let mut observation = Observation {
            network: NetworkFacts {
                margin: goal.margin(standing.quality) as f32,
                remaining: space.remaining(goal.metric, &standing.masks) as f32,
                target: goal.target as f32,
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
        let before = self.state.standing.masks.clone();
        // What kernels earn by themselves goes by what was known when they were switched.
        let known = self.own_reward.take();
        let own = known.unwrap_or_else(|| self.observe(goal).own_reward);
        match action.healing {
            // At fixed masks nothing could have been switched: no kernel gets older.
            Healing::Recovery { .. } if before == action.masks => {}
            Healing::Recovery { .. } | Healing::Slice => self.state.switch(action.masks.clone()),
        }
        let start = match action.healing {
            Healing::Recovery { .. } => Some(self.begin_recovery()?),
            Healing::Slice => None,
        };
        let steps = match &start {
            Some((_, starting)) => self.steps_left(action.steps, *starting),
            None => action.steps,
        };
        let plan = self.plan(action.healing, steps);
        let (mut train_loss, mut cost) = self.heal(&plan, watch)?;
        if let Some((start, starting)) = start {
            cost += starting + self.end_recovery(start)?;
        }
        self.own_reward = None;
        let mut rescued = Vec::new();
        if let Some(rescue) = action.rescue
            && goal.margin(self.state.standing.quality) < -rescue.margin
        {
            let turned_off = switched_off(&before, &action.masks);
            let count = ((turned_off as f64 * rescue.share).ceil() as usize).max(1);
            rescued = self.state.healthiest(&self.problem.space.switchable, count);
            if !rescued.is_empty() {
                let mut masks = action.masks.clone();
                for back in &rescued {
                    masks.0[back.kernel.group][back.kernel.index] = true;
                }
                self.state.switch(masks);
                let (loss, more) = self.heal(&plan, watch)?;
                (train_loss, cost) = (loss, cost + more);
            }
        }
        Ok(Step {
            train_loss,
            cost,
            reward: self.rewarded(&before, &own, goal),
            rescued,
        })
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

/// Kernels that are on before and off after.
fn switched_off(before: &Masks, after: &Masks) -> usize {
    let pairs = before.0.iter().flatten().zip(after.0.iter().flatten());
    pairs.filter(|(was, is)| **was && !**is).count()
}
