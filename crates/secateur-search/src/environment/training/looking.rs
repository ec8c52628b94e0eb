//! A cheap look at what kernels are worth together: their network with solved weights.

use secateur_net::NetError;
use secateur_onnx::coupling::Masks;

use super::learning::LOOK_BATCHES;
use super::{Effort, TrainingEnvironment};

impl TrainingEnvironment<'_> {
    /// Switches kernels and solves the given network's weights for them; scores the active kernels and
    /// probes the dormant ones. Returns the mean loss of the scoring passes and what it took.
    pub(super) fn look(
        &mut self,
        masks: Masks,
        fully_judged: bool,
    ) -> Result<(f64, Effort), NetError> {
        let problem = self.problem;
        self.state.switch(masks);
        let network = problem.compact(&self.state.standing.masks)?;
        let mut weights = problem.weights.clone();
        let masks = &self.state.standing.masks;
        let healed = self.solving.solve(&network, masks, &mut weights)?;
        self.state.weights = weights;
        let standing = &mut self.state.standing;
        standing.quality = healed.after.quality;
        standing.loss = healed.after.loss;
        standing.convergence = healed.fall();
        let mut effort = healed.effort();
        if fully_judged {
            let (judged, judging) = self.judged(&network)?;
            self.state.standing.enter(&judged);
            effort.of_present += judging;
        }
        let (loss, scoring) = self.score(LOOK_BATCHES)?;
        effort.of_present += scoring;
        effort.of_given += self.probe()?;
        Ok((loss, effort))
    }
}
