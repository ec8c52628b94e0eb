//! Where no recovery led to a result: networks whose weights are only solved, at the sizes that the
//! promise asks for.

use std::time::Instant;

use super::keep::Changes;
use super::progress::Steps;
use super::{Observer, Phase, Search};
use crate::config::Metric;
use crate::environment::{Action, Environment, Healing, Step};
use crate::error::SearchError;
use crate::promise::Finish;
use crate::record::{ReactivatedBy, Stage};

impl<E: Environment> Search<'_, E> {
    /// Network `number` of those whose weights are only solved, and what comes after it.
    pub(super) fn solve(
        &mut self,
        number: usize,
        observer: &mut dyn Observer,
    ) -> Result<(), SearchError> {
        let share =
            self.confirming(|promise, ledger, confirm| promise.solved_size(ledger, confirm))?;
        let is_wanted = number > 0 || share.is_none() || !self.has_result()?;
        self.state.phase = match share.filter(|_| is_wanted) {
            Some(share) => {
                self.solve_at(share, number, observer)?;
                Phase::Solve(number + 1)
            }
            None => Phase::Done,
        };
        Ok(())
    }

    /// Would the run end with another network than the given one?
    fn has_result(&mut self) -> Result<bool, SearchError> {
        let verdict = self.verdict()?;
        Ok(verdict
            .outputs
            .iter()
            .any(|choice| choice.candidate.is_some()))
    }

    /// Cuts the given network to a share of the parameters, or the one before to the next share, and
    /// solves the given network's weights for it.
    fn solve_at(
        &mut self,
        share: f64,
        number: usize,
        observer: &mut dyn Observer,
    ) -> Result<(), SearchError> {
        let started = Instant::now();
        let epochs = self.episodes.epochs();
        let goal = self.goal(epochs, epochs);
        let scoring = match number {
            0 => self.environment.reset()?,
            _ => Step::default(),
        };
        let observation = self.environment.observe(&goal);
        let was = self.environment.standing().masks.clone();
        let masks = self.resized(&observation, Metric::Params, share)?;
        let changes = Changes::between(&observation, &was, &masks, ReactivatedBy::Rule);
        let progress = self.progress_at(&masks, Stage::Solve, self.episodes.last());
        let mut steps = Steps::new(observer, progress, 0);
        let action = Action {
            masks,
            healing: Healing::Solved { fully_judged: true },
        };
        let mut step = self
            .environment
            .step(&action, &goal, &mut steps)?
            .without_reward();
        step.cost += scoring.cost;
        step.work += scoring.work;
        self.state.pay(&step);
        self.keep(None, Finish::Solved)?;
        let quality = self.environment.standing().quality;
        let may_hold = self.promise.floor().may_hold(quality);
        let seconds = started.elapsed().as_secs_f64();
        self.record_by_rule(Stage::Solve, changes, may_hold, (&step, seconds), observer)
    }
}
