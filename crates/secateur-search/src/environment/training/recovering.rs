//! Recoveries: how one begins, trains, and that it does not end worse than it began.

use secateur_net::task::Judged;
use secateur_net::train::{Schedule, ScheduleKind, StepObserver};
use secateur_net::weights::Weights;
use secateur_net::{Interpreter, NetError};
use secateur_onnx::coupling::Masks;
use serde::{Deserialize, Serialize};

use super::learning::{LOOK_BATCHES, Plan, Trained};
use super::solving::fall;
use super::{Effort, Standing, TrainingEnvironment};
use crate::environment::EnvironmentError;

/// A recovery that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ongoing {
    start: Start,
    /// What beginning it took.
    effort: Effort,
    /// Training steps of the whole recovery.
    steps: usize,
    trained: Trained,
}

/// A network in front of a recovery, as it does on the search part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Start {
    weights: Weights,
    judged: Vec<Judged>,
}

impl TrainingEnvironment<'_> {
    /// Trains the network of some masks for so many steps, less what its start took, `rate` being the share
    /// of the usual peak that the learning rate reaches; returns the mean loss and what it took, or
    /// nothing if `watch` ended it before its last step. Then the state holds what it goes on from.
    pub(super) fn recover(
        &mut self,
        masks: &Masks,
        steps: usize,
        rate: f32,
        watch: &mut dyn StepObserver,
    ) -> Result<Option<(f64, Effort)>, EnvironmentError> {
        let mut ongoing = match self.state.ongoing.take() {
            Some(ongoing) => ongoing,
            None => Box::new(self.begin_recovery(masks, steps)?),
        };
        if self.trainer.is_some() {
            self.train_outside(ongoing.steps, watch)?;
        } else {
            let plan = self.recovery_plan(ongoing.steps, rate);
            self.train(plan, &mut ongoing.trained, watch)?;
            if ongoing.trained.steps() < ongoing.steps {
                self.state.ongoing = Some(ongoing);
                return Ok(None);
            }
        }
        Ok(Some(self.end_recovery(*ongoing)?))
    }

    fn recovery_plan(&self, steps: usize, rate: f32) -> Plan {
        Plan {
            schedule: Schedule {
                kind: ScheduleKind::OneCycle,
                peak: rate * self.training.peak_of_recovery(self.problem.task.against()),
                steps,
            },
            augment: self.recover_augment(),
        }
    }

    /// Goes to the network of some masks, clears the moments, and gives it solved weights where those do
    /// better.
    fn begin_recovery(&mut self, masks: &Masks, allowed: usize) -> Result<Ongoing, NetError> {
        // At fixed masks nothing could have been switched: no kernel gets older.
        if self.state.standing.masks != *masks {
            self.state.switch(masks.clone());
        }
        let network = self.problem.compact(masks)?;
        let state = &mut self.state;
        state.weights.clear_moments();
        let healed = self.solving.solve(&network, masks, &mut state.weights)?;
        let (judged, judging) = self.judged(&network)?;
        let mut effort = healed.effort();
        effort.of_present += judging;
        Ok(Ongoing {
            start: Start {
                weights: self.state.weights.clone(),
                judged,
            },
            effort,
            steps: self.steps_left(allowed, effort),
            trained: Trained::default(),
        })
    }

    /// Training steps that are left of those allowed once the recovery has begun, which took so much
    /// work; half of them at least.
    fn steps_left(&self, allowed: usize, starting: Effort) -> usize {
        let slowdown = self.costs.slowdown(self.macs());
        let step = self.costs.step_work(self.macs()).max(1.0);
        let taken = (starting.work(slowdown) / step).ceil() as usize;
        allowed.saturating_sub(taken).max(allowed.div_ceil(2))
    }

    /// Stays with the better of what a recovery began with and what it has come to; returns the mean loss
    /// and what it took.
    fn end_recovery(&mut self, ongoing: Ongoing) -> Result<(f64, Effort), NetError> {
        let mut effort = ongoing.effort;
        effort.of_present += ongoing.steps as f64 * self.costs.step(self.macs());
        effort.of_present += self.keep_better(ongoing.start)?;
        if self.trainer.is_none() {
            self.enter(&ongoing.trained);
            return Ok((ongoing.trained.mean_loss(), effort));
        }
        // What was trained here is scored on the way; and what is not taken over need not be.
        let (loss, scoring) = self.score(LOOK_BATCHES)?;
        effort.of_present += scoring;
        Ok((loss, effort))
    }

    /// Goes back to what the recovery began with if it has become worse on the search part for certain:
    /// on few samples training may fit their noise. What was trained here is held to the loss that it
    /// was trained by, what was trained outside to its quality, since its loss is another. Returns the
    /// sample-MACs.
    fn keep_better(&mut self, start: Start) -> Result<f64, NetError> {
        let network = self.problem.compact(&self.state.standing.masks)?;
        let (mut judged, judging) = self.judged(&network)?;
        let began = mean(&start.judged, |judged| judged.loss);
        let figure: fn(&Judged) -> f64 = match self.trainer {
            None => |judged| judged.loss,
            Some(_) => |judged| 1.0 - f64::from(judged.quality),
        };
        if has_risen(&start.judged, &judged, figure) {
            judged = start.judged;
            self.state.weights = start.weights;
        }
        let standing = &mut self.state.standing;
        standing.enter(&judged);
        standing.convergence = fall(began, standing.loss);
        Ok(judging)
    }

    /// How the present network does on each sample of the search part, and the sample-MACs.
    pub(super) fn judged(&self, network: &Interpreter) -> Result<(Vec<Judged>, f64), NetError> {
        let problem = self.problem;
        let (task, compact) = (problem.task.as_ref(), problem.gathered(&self.state));
        let judged = problem.search.judge(network, task, &compact)?.samples;
        Ok((judged, self.costs.evaluation(self.macs())))
    }
}

impl Standing {
    /// Enters how the network does on each sample of the search part.
    pub(super) fn enter(&mut self, judged: &[Judged]) {
        self.quality = mean(judged, |judged| f64::from(judged.quality));
        self.loss = mean(judged, |judged| judged.loss);
    }
}

fn mean(judged: &[Judged], value: impl Fn(&Judged) -> f64) -> f64 {
    judged.iter().map(value).sum::<f64>() / judged.len().max(1) as f64
}

/// True if a figure of the samples has risen by more than a standard error of its mean rise, or the loss
/// is no number. Of fifty samples one or two decide the mean, and recoveries mostly help, so that a
/// smaller rise says nothing.
fn has_risen(before: &[Judged], after: &[Judged], figure: impl Fn(&Judged) -> f64) -> bool {
    if !mean(after, |judged| judged.loss).is_finite() {
        return true;
    }
    let rises = before.iter().zip(after).map(|(b, a)| figure(a) - figure(b));
    let (n, sum, squares) = rises.fold((0.0, 0.0, 0.0), |(n, sum, squares), rise| {
        (n + 1.0, sum + rise, squares + rise * rise)
    });
    let mean: f64 = sum / f64::max(n, 1.0);
    let variance = (squares / f64::max(n, 1.0) - mean * mean).max(0.0);
    mean > (variance / f64::max(n - 1.0, 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(losses: &[f64]) -> Vec<Judged> {
        let of_loss = |&loss: &f64| Judged {
            quality: 1.0,
            loss,
            class: None,
        };
        losses.iter().map(of_loss).collect()
    }

    #[test]
    fn losses_have_risen_where_they_rose_by_more_than_chance_explains() {
        let loss = |judged: &Judged| judged.loss;
        let rises =
            |before: &[f64], after: &[f64]| has_risen(&judged(before), &judged(after), loss);
        assert!(rises(&[1.0, 1.0, 1.0], &[1.1, 1.2, 1.1]));
        assert!(!rises(&[1.0, 1.0, 1.0], &[0.9, 0.8, 0.9]));
        // One sample of three makes the whole rise.
        assert!(!rises(&[1.0, 1.0, 1.0], &[0.9, 2.0, 0.9]));
        assert!(!rises(&[1.0, 1.0], &[1.0, 1.0]));
        // What is no number is worse than anything, and anything else better.
        assert!(rises(&[1.0, 1.0], &[1.0, f64::NAN]));
        assert!(rises(&[1.0, 1.0], &[1.0, f64::INFINITY]));
        assert!(!rises(&[1.0, f64::INFINITY], &[1.0, 2.0]));
    }
}
