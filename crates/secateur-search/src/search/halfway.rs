//! Recoveries of large networks take hours: they are kept on the way, and gone on with.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Search;
use super::progress::Steps;
use crate::environment::{Action, Environment, Goal, Step};
use crate::error::SearchError;
use crate::store::{self, Item, StoreError};

/// A recovery that has not come to its end.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Halfway<E: Environment> {
    /// Lines in the history in front of it.
    records: usize,
    action: Action,
    network: E::State,
    shared: E::Shared,
    /// What it has taken so far.
    seconds: f64,
}

impl<E: Environment> Search<'_, E> {
    /// Recovers a network to the end, and goes on where this was begun before; `started` is when that was
    /// in this process. Returns also the seconds that it took in processes before.
    pub(super) fn recovered(
        &mut self,
        action: &Action,
        goal: &Goal,
        steps: &mut Steps<'_>,
        started: Instant,
    ) -> Result<(Step, f64), SearchError> {
        let mut earlier = 0.0;
        if let Some(halfway) = self.halfway(action)? {
            self.environment.restore(halfway.network);
            self.environment.resume(halfway.shared);
            earlier = halfway.seconds;
        }
        loop {
            let step = self.environment.step(action, goal, steps)?;
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
            network: self.environment.state().clone(),
            shared: self.environment.shared().clone(),
            seconds,
        };
        store::save(self.store, Item::Halfway, &halfway)?;
        Ok(())
    }

    /// What was kept of this recovery, if it was begun. What cannot be read is begun anew: the checkpoint
    /// in front of it is whole.
    fn halfway(&self, action: &Action) -> Result<Option<Halfway<E>>, SearchError> {
        let kept = match store::load::<Halfway<E>>(self.store, Item::Halfway) {
            Ok(kept) => kept,
            Err(StoreError::Damaged { .. }) => return Ok(None),
            Err(StoreError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let is_this = kept.records == self.state.records && kept.action == *action;
        Ok(is_this.then_some(kept))
    }
}
