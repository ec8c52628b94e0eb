//! All that is measured before the first pruning epoch.

use std::sync::Arc;

use secateur_net::NetError;
use secateur_net::data::BatchSampler;
use secateur_net::task::Against;
use secateur_net::train::Reference;

use super::sizing::StepSize;
use super::solving::{self, Solving};
use super::{OutsideTrainer, Problem, Shared, TrainingEnvironment, given, sizing, withstanding};
use crate::config::PruneConfig;
use crate::scores::own;

/// Seeds of a run's streams are the run's seed with one of these mixed in, so that batches,
/// agent and policy do not share randomness.
const SAMPLER_STREAM: u64 = 0x5a4d_504c;

impl<'a> TrainingEnvironment<'a> {
    /// Prepares the environment. With distillation, the given network scores the training data
    /// once, which is counted as its set-up cost.
    ///
    /// # Errors
    /// As an inference pass.
    pub fn new(problem: &'a Problem, config: &'a PruneConfig) -> Result<Self, NetError> {
        Self::trained_by(problem, config, None)
    }

    /// The same, whose recoveries are trained outside if there is a trainer.
    ///
    /// # Errors
    /// As an inference pass.
    pub fn trained_by(
        problem: &'a Problem,
        config: &'a PruneConfig,
        trainer: Option<Box<dyn OutsideTrainer + 'a>>,
    ) -> Result<Self, NetError> {
        let training = &config.training;
        let StepSize {
            batch_size,
            recomputes,
        } = sizing::step_size(problem, training.batch_size)?;
        let mut costs = problem.costs(batch_size)?;
        costs.training_pass += if recomputes { 1.0 } else { 0.0 };
        let share = training.share_of_distillation(problem.train.len());
        let learns = share > 0.0 || problem.task.against() == Against::Original;
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
        let solving = Solving::new(problem, seed)?;
        costs.setup += taken + solving.setup();
        let (recover_augment, taken) = match &trainer {
            None => withstanding::of_recovery(problem, training, seed)?,
            Some(_) => (training.recover_augment(withstanding::USUAL_SHIFT), 0.0),
        };
        costs.setup += taken;
        if let Some(trainer) = &trainer {
            let data = trainer.data();
            (costs.n_train, costs.batch_size) = (data.samples, data.batch_size);
        }
        let sampler = BatchSampler::new(problem.train.len(), batch_size, seed);
        Ok(Self {
            problem,
            training,
            reward: &config.reward,
            teacher,
            trainer,
            scores: own().into_iter().collect(),
            costs,
            state: given(problem, training),
            shared: Shared { sampler },
            errors: Arc::new(errors),
            solving,
            recover_augment,
            own_reward: None,
        })
    }
}
