//! Recoveries of large networks take hours: they are kept on the way, and gone on with.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Search;
use super::progress::Steps;
use crate::environment::{Action, Environment, EnvironmentError, Goal, Step};
use crate::error::SearchError;
use crate::store::{self, Item, StoreError};

/// A recovery that has not come to its end.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Halfway<E: Environment> {
    /// Lines in the history in front of it.
    records: usize,
    pub action: Action,
    /// How it trains, in words.
    training: String,
    network: E::State,
    shared: E::Shared,
    /// What it has taken so far.
    seconds: f64,
}

impl<E: Environment> Search<'_, E> {
    /// Recovers a network to the end, from where it was kept if that was on the way of this action. Begun
    /// `started` in this process; returns also the seconds that it took in processes before.
    pub(super) fn recovered(
        &mut self,
        kept: Option<Halfway<E>>,
        (action, goal): (&Action, &Goal),
        steps: &mut Steps<'_>,
        started: Instant,
    ) -> Result<(Step, f64), SearchError> {
        let mut earlier = 0.0;
        if let Some(kept) = kept.filter(|kept| kept.action == *action) {
            self.environment.restore(kept.network);
            self.environment.resume(kept.shared);
            earlier = kept.seconds;
        }
        loop {
            let step = self.environment.step(action, goal, steps);
            if let Err(EnvironmentError::Diverged(_)) = step {
                // What was kept on the way may have gone wrong already.
                self.store.remove(Item::Halfway)?;
            }
            let step = step?;
            if !self.environment.is_halfway() {
                return Ok((step, earlier));
            }
            let seconds = earlier + started.elapsed().as_secs_f64();
            self.keep_halfway(action, seconds)?;
            if steps.observer.stop_requested() {
                return Err(self.interrupted());
            }
            steps.are_kept();
        }
    }

    fn keep_halfway(&mut self, action: &Action, seconds: f64) -> Result<(), SearchError> {
        let halfway = Halfway::<E> {
            records: self.state.records,
            action: action.clone(),
            training: self.training_text(),
            network: self.environment.state().clone(),
            shared: self.environment.shared().clone(),
            seconds,
        };
        store::save(self.store, Item::Halfway, &halfway)?;
        Ok(())
    }

    fn training_text(&self) -> String {
        format!("{:?}", self.config.training)
    }

    /// What was kept of the next recovery, if it was begun with the present settings. What cannot be read is
    /// begun anew: the checkpoint in front of it is whole.
    pub(super) fn halfway(&self) -> Result<Option<Halfway<E>>, SearchError> {
        let kept = match store::load::<Halfway<E>>(self.store, Item::Halfway) {
            Ok(kept) => kept,
            Err(StoreError::Damaged { .. }) => return Ok(None),
            Err(StoreError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let is_this = kept.records == self.state.records && kept.training == self.training_text();
        Ok(is_this.then_some(kept))
    }
}
