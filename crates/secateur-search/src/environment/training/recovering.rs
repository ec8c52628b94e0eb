//! How a recovery begins, and that it never ends worse than it began.

use secateur_net::NetError;
use secateur_net::weights::Weights;

use super::TrainingEnvironment;
use super::solving::Solving;

/// A network in front of a recovery, as it does on the search part.
pub(super) struct Start {
    weights: Weights,
    quality: f64,
    loss: f64,
}

impl TrainingEnvironment<'_> {
    /// Clears the moments, and gives the present network solved weights where those do better;
    /// returns what the recovery begins with, and the sample-MACs.
    pub(super) fn begin_recovery(&mut self) -> Result<(Start, f64), NetError> {
        let problem = self.problem;
        self.state.weights.clear_moments();
        let mut cost = 0.0;
        let solving = match &mut self.solving {
            Some(solving) => solving,
            none => {
                let made = none.insert(Solving::new(problem, self.seed)?);
                cost += made.setup();
                made
            }
        };
        let network = problem.compact(&self.state.standing.masks)?;
        cost += solving.solve(&network, &mut self.state)?;
        let (task, compact) = (problem.task.as_ref(), problem.gathered(&self.state));
        let found = problem.search.evaluate(&network, task, &compact)?;
        cost += self.costs.evaluation(self.macs());
        let start = Start {
            weights: self.state.weights.clone(),
            quality: found.quality,
            loss: found.loss,
        };
        Ok((start, cost))
    }

    /// Training steps that are left of those allowed once the recovery has begun, which took so many
    /// sample-MACs; half of them at least.
    pub(super) fn steps_left(&self, allowed: usize, starting: f64) -> usize {
        let taken = (starting / self.costs.step(self.macs()).max(1.0)).ceil() as usize;
        allowed.saturating_sub(taken).max(allowed.div_ceil(2))
    }

    /// Goes back to what the recovery began with if the loss on the search part has risen: on few
    /// samples training may fit their noise.
    pub(super) fn end_recovery(&mut self, start: Start) {
        let standing = &mut self.state.standing;
        if start.loss < standing.loss {
            self.state.weights = start.weights;
            standing.quality = start.quality;
            standing.loss = start.loss;
        }
    }
}
