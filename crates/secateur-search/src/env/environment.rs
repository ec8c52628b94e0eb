//! One pruning epoch: act, train a slice, evaluate, score.

use std::sync::Arc;

use secateur_net::NetError;
use secateur_net::data::{Augment, BatchJob};
use secateur_net::interpreter::{Engine, Network};
use secateur_net::mask::Selection;
use secateur_net::score::{Collector, probe_health};
use secateur_net::train::{
    Distillation, Evaluation, Optimizer, Schedule, ScheduleKind, Slice, StepObserver, evaluate,
    predict, train_slice,
};
use secateur_onnx::cost::Size;
use secateur_onnx::coupling::Masks;
use secateur_onnx::graph::Graph;
use secateur_onnx::surgery;

use super::features::{Facts, KernelFacts, LayerFacts, NetworkFacts};
use super::scores::{self, weight_scores};
use super::state::Shared;
use super::{KernelScores, Problem, State};
use crate::config::TrainingConfig;

/// How long and how hard a slice trains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochPlan {
    /// Steps.
    pub steps: usize,
    /// Peak learning rate; falls by a cosine within the slice.
    pub lr: f32,
    /// Warm up first (one-cycle), for long slices after a cut.
    pub warm_up: bool,
    /// Random changes to the images.
    pub augment: Augment,
    /// Probe the health of dormant kernels afterwards.
    pub probe: bool,
}

/// What a slice brought.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochOutcome {
    /// Evaluation on the search part.
    pub evaluation: Evaluation,
    /// Mean training loss.
    pub train_loss: f64,
    /// Sample-MACs of the epoch.
    pub cost: f64,
}

/// Training images in the probe of dormant kernels.
const PROBE_IMAGES: usize = 128;

/// Runs pruning epochs on a problem.
pub struct Environment<'a> {
    problem: &'a Problem,
    training: &'a TrainingConfig,
    teacher: Option<Distillation>,
}

impl<'a> Environment<'a> {
    /// Prepares the environment. With distillation, the given network scores the training
    /// data once; returns the sample-MACs of that too.
    ///
    /// # Errors
    /// As an inference pass.
    pub fn new(
        problem: &'a Problem,
        training: &'a TrainingConfig,
    ) -> Result<(Self, f64), NetError> {
        let mut cost = 0.0;
        let teacher = if training.distillation > 0.0 {
            cost = problem.train.len() as f64 * problem.size.macs as f64;
            Some(Distillation {
                scores: predict(&problem.network, &problem.weights, &problem.train)?,
                weight: training.distillation,
                temperature: training.temperature,
            })
        } else {
            None
        };
        Ok((
            Self {
                problem,
                training,
                teacher,
            },
            cost,
        ))
    }

    /// The problem.
    pub fn problem(&self) -> &'a Problem {
        self.problem
    }

    /// The given network, all kernels active, nothing scored yet.
    pub fn initial_state(&self) -> State {
        let problem = self.problem;
        State {
            masks: Masks::all_active(&problem.groups),
            weights: problem.weights.clone(),
            optimizer: Optimizer::new(self.training.optimizer.clone()),
            scores: problem
                .groups
                .groups
                .iter()
                .map(|group| vec![KernelScores::default(); group.width])
                .collect(),
            accuracy: problem.baseline.search.accuracy,
            loss: problem.baseline.search.loss,
            convergence: 0.0,
        }
    }

    /// Size of a state's network.
    pub fn size(&self, masks: &Masks) -> Size {
        self.problem.cost.count(masks)
    }

    /// The compact network of some masks.
    ///
    /// # Errors
    /// As surgery and planning.
    pub fn compact(&self, masks: &Masks) -> Result<Network, NetError> {
        let model = surgery::remove(&self.problem.model, &self.problem.groups, masks)?;
        Network::new(&Graph::from_model(&model)?, Engine::Fused)
    }

    /// Sample-MACs of one training step of a network with these masks.
    pub fn step_cost(&self, masks: &Masks) -> f64 {
        self.step_cost_at(self.size(masks).macs as f64)
    }

    /// Sample-MACs of one training step of a network of so many multiply-adds.
    pub fn step_cost_at(&self, macs: f64) -> f64 {
        3.0 * self.training.batch_size as f64 * macs
    }

    /// Sample-MACs of evaluating such a network on the search part and probing the dormant
    /// kernels, as at the end of every slice.
    pub fn look_cost(&self, masks: &Masks) -> f64 {
        self.evaluation_cost(masks) + self.probe_cost(PROBE_IMAGES)
    }

    fn evaluation_cost(&self, masks: &Masks) -> f64 {
        self.problem.search.len() as f64 * self.size(masks).macs as f64
    }

    fn probe_cost(&self, images: usize) -> f64 {
        3.0 * images as f64 * self.problem.size.macs as f64
    }

    /// Scores the kernels without training: passes whose gradients are thrown away.
    ///
    /// # Errors
    /// As a training pass.
    pub fn score(
        &self,
        state: &mut State,
        shared: &mut Shared,
        batches: usize,
    ) -> Result<(), NetError> {
        let before = state.weights.clone();
        let plan = EpochPlan {
            steps: batches,
            lr: 0.0,
            warm_up: false,
            augment: self.training.slice_augment(),
            probe: false,
        };
        self.slice(state, shared, &plan, &mut ())?;
        state.weights = before;
        shared.cost += batches as f64 * self.step_cost(&state.masks);
        Ok(())
    }

    /// Applies new masks: counts the switches.
    pub fn act(&self, state: &mut State, masks: Masks) {
        for (g, kernels) in state.scores.iter_mut().enumerate() {
            for (k, kernel) in kernels.iter_mut().enumerate() {
                if state.masks.0[g][k] == masks.0[g][k] {
                    kernel.since_switch += 1;
                } else {
                    kernel.since_switch = 0;
                    kernel.times_switched += 1;
                }
            }
        }
        state.masks = masks;
    }

    /// Trains a slice, evaluates, and updates the scores.
    ///
    /// # Errors
    /// [`NetError::Diverged`] with `state` as it was before the slice.
    pub fn train(
        &self,
        state: &mut State,
        shared: &mut Shared,
        plan: &EpochPlan,
        observer: &mut dyn StepObserver,
    ) -> Result<EpochOutcome, NetError> {
        let problem = self.problem;
        let (network, train_loss, steps) = self.slice(state, shared, plan, observer)?;
        let compact = Selection::new(&problem.groups, &state.masks).gather(&state.weights);
        let evaluation = evaluate(&network, &compact, &problem.search)?;
        state.accuracy = evaluation.accuracy;
        state.loss = evaluation.loss;
        let mut cost =
            steps as f64 * self.step_cost(&state.masks) + self.evaluation_cost(&state.masks);
        let any_dormant = state.masks.0.iter().flatten().any(|on| !on);
        if plan.probe && any_dormant {
            let indices: Vec<usize> = shared.sampler.next_batch();
            let batch = problem.train.batch(&BatchJob {
                indices: indices.into_iter().take(PROBE_IMAGES).collect(),
                augment: Augment::default(),
                seed: 0,
            })?;
            let n = batch.n;
            let health = probe_health(
                &problem.network,
                &state.weights,
                &problem.groups,
                &state.masks,
                batch.images,
                &batch.labels,
            )?;
            for (scores, health) in state.scores.iter_mut().zip(health) {
                for (score, health) in scores.iter_mut().zip(health) {
                    score.health = if health.is_finite() { health } else { 0.0 };
                }
            }
            cost += self.probe_cost(n);
        }
        shared.cost += cost;
        Ok(EpochOutcome {
            evaluation,
            train_loss,
            cost,
        })
    }

    /// The training itself: gather, train, scatter, enter the scores.
    fn slice(
        &self,
        state: &mut State,
        shared: &mut Shared,
        plan: &EpochPlan,
        observer: &mut dyn StepObserver,
    ) -> Result<(Network, f64, usize), NetError> {
        let problem = self.problem;
        let network = self.compact(&state.masks)?;
        let selection = Selection::new(&problem.groups, &state.masks);
        let mut compact = selection.gather(&state.weights);
        let collector = Arc::new(Collector::default());
        let kind = if plan.warm_up {
            ScheduleKind::OneCycle
        } else {
            ScheduleKind::Cosine
        };
        let slice = Slice {
            network: &network,
            data: &problem.train,
            schedule: Schedule {
                kind,
                peak: plan.lr,
                steps: plan.steps,
            },
            smoothing: self.training.smoothing,
            augment: plan.augment,
            distillation: self.teacher.as_ref(),
            collector: Some(collector.clone()),
        };
        let report = train_slice(
            &slice,
            &mut compact,
            &mut state.optimizer,
            &mut shared.sampler,
            observer,
        )?;
        selection.scatter(&compact, &mut state.weights);
        scores::update(
            &mut state.scores,
            &problem.groups,
            &state.masks,
            &collector.scores(),
        );
        let (first, last) = report.first_and_last_quarter();
        state.convergence = if first > 0.0 {
            ((first - last) / first).clamp(-1.0, 1.0)
        } else {
            0.0
        };
        Ok((network, report.mean_loss(), report.steps))
    }

    /// Evaluates a state's network on the confirmation part.
    ///
    /// # Errors
    /// As an inference pass.
    pub fn confirm(&self, state: &State) -> Result<Evaluation, NetError> {
        let network = self.compact(&state.masks)?;
        let selection = Selection::new(&self.problem.groups, &state.masks);
        evaluate(
            &network,
            &selection.gather(&state.weights),
            &self.problem.confirm,
        )
    }

    /// What policies and agent may look at.
    pub fn facts(&self, state: &State, network: NetworkFacts) -> Facts {
        let problem = self.problem;
        let marginal = problem.cost.marginal(&state.masks);
        let size = self.size(&state.masks);
        let weights = weight_scores(&problem.graph, &problem.groups, &state.weights);
        let n = problem.groups.groups.len();
        let layers = problem
            .groups
            .groups
            .iter()
            .enumerate()
            .map(|(g, group)| LayerFacts {
                depth: g as f32 / (n - 1).max(1) as f32,
                width: group.width,
                active: state.masks.active(g),
                param_share: marginal[g].params as f32 / size.params.max(1) as f32,
                mac_share: marginal[g].macs as f32 / size.macs.max(1) as f32,
                is_conv: group.is_conv,
            })
            .collect();
        let kernels = state
            .scores
            .iter()
            .enumerate()
            .map(|(g, scores)| {
                scores
                    .iter()
                    .enumerate()
                    .map(|(k, score)| KernelFacts {
                        weight_norm: weights[g][k].0,
                        scale: weights[g][k].1,
                        activation: score.activation,
                        positive: score.positive,
                        significance: score.significance,
                        health: score.health,
                        active: state.masks.0[g][k],
                        score_age: score.age,
                        since_switch: score.since_switch,
                        times_switched: score.times_switched,
                    })
                    .collect()
            })
            .collect();
        Facts {
            network,
            layers,
            kernels,
            switchable: problem.switchable.clone(),
        }
    }
}
