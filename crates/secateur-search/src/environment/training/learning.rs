//! Passes over training data: what trains a network, and what is told of its kernels.

use std::sync::Arc;

use secateur_net::NetError;
use secateur_net::data::{Augment, BatchJob};
use secateur_net::health::probe_health;
use secateur_net::mask::Selection;
use secateur_net::score::{Collector, Gathered};
use secateur_net::task::{Against, Targets};
use secateur_net::train::{Schedule, ScheduleKind, Slice, StepObserver, train_slice};

use serde::{Deserialize, Serialize};

use super::{PROBE_IMAGES, TrainingEnvironment, statistics};
use crate::costs::Costs;

/// Batches that score the kernels of a network that was not trained here.
pub(super) const LOOK_BATCHES: usize = 2;

/// How the present network trains.
pub(super) struct Plan {
    pub schedule: Schedule,
    pub augment: Augment,
}

impl Plan {
    /// Passes that change nothing.
    fn still(steps: usize) -> Self {
        let schedule = Schedule {
            kind: ScheduleKind::Cosine,
            peak: 0.0,
            steps,
        };
        Self {
            schedule,
            augment: Augment::default(),
        }
    }
}

/// How far the present network has come with a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// Loss of each step.
    losses: Vec<f32>,
    /// What the steps told of its kernels.
    gathered: Gathered,
}

impl Trained {
    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.losses.len()
    }

    /// Mean loss of the steps.
    pub fn mean_loss(&self) -> f64 {
        let sum: f64 = self.losses.iter().map(|&loss| f64::from(loss)).sum();
        sum / self.losses.len().max(1) as f64
    }
}

impl TrainingEnvironment<'_> {
    /// Goes on with training the present network, until the end of the plan or until `watch` ends it.
    pub(super) fn train(
        &mut self,
        plan: Plan,
        trained: &mut Trained,
        watch: &mut dyn StepObserver,
    ) -> Result<(), NetError> {
        let problem = self.problem;
        let state = &mut self.state;
        let masks = &state.standing.masks;
        let groups = &problem.space.groups;
        let kept = |value: &str, axis| groups.kept_along(value, axis, masks);
        let teacher = self.teacher.as_ref().map(|t| t.cut(kept));
        let network =
            problem.compact_with(masks, teacher.iter().flat_map(|t| t.features.names()))?;
        let selection = Selection::new(groups, masks);
        let mut compact = selection.gather(&state.weights);
        let gathered = std::mem::take(&mut trained.gathered);
        let collector = Arc::new(Collector::from_gathered(gathered));
        let slice = Slice {
            network: &network,
            task: problem.task.as_ref(),
            data: &problem.train,
            schedule: plan.schedule,
            done: trained.steps(),
            smoothing: self.training.smoothing,
            augment: plan.augment,
            teacher: teacher.as_ref(),
            collector: Some(collector.clone()),
        };
        let (optimizer, sampler) = (&mut state.optimizer, &mut self.shared.sampler);
        let report = train_slice(&slice, &mut compact, optimizer, sampler, watch)?;
        selection.scatter(&compact, &mut state.weights);
        trained.losses.extend(report.losses);
        trained.gathered = collector.gathered();
        Ok(())
    }

    /// Enters what the steps of a training told of the present network's kernels.
    pub(super) fn enter(&mut self, trained: &Trained) {
        let groups = &self.problem.space.groups;
        let state = &mut self.state;
        let scores = trained.gathered.scores();
        statistics::enter(&mut state.kernels, groups, &state.standing.masks, &scores);
    }

    /// Scores the active kernels by passes over so many batches; returns their mean loss and the
    /// sample-MACs.
    pub(super) fn score(&mut self, batches: usize) -> Result<(f64, f64), NetError> {
        let before = self.state.weights.clone();
        let mut trained = Trained::default();
        self.train(Plan::still(batches), &mut trained, &mut ())?;
        self.state.weights = before;
        self.enter(&trained);
        // An outside trainer's batches are of another size.
        let costs = Costs {
            batch_size: self.shared.sampler.batch_size(),
            ..self.costs
        };
        let cost = trained.steps() as f64 * costs.step(self.macs());
        Ok((trained.mean_loss(), cost))
    }

    /// Measures the health of the dormant kernels, if there are any, on one batch; returns the
    /// sample-MACs.
    pub(super) fn probe(&mut self) -> Result<f64, NetError> {
        if self.state.standing.masks.0.iter().flatten().all(|&on| on) {
            return Ok(0.0);
        }
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
        Ok(self.costs.probe(n))
    }
}
