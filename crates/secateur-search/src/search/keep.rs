//! What a pruning epoch leaves behind: candidates for a result, and its record.

use secateur_onnx::coupling::Masks;

use super::{Observer, Search};
use crate::config::Metric;
use crate::environment::{Environment, Step};
use crate::error::SearchError;
use crate::observation::Observation;
use crate::policy::Exploration;
use crate::promise::{Candidate, Kept};
use crate::record::{EpochRecord, KernelId, ReactivatedBy, Reactivation};
use crate::scores::{HEALTH, TAYLOR, ranks};
use crate::store::{self, Item};

/// What changed in an epoch, for the record.
#[derive(Default)]
pub(super) struct Changes {
    pub turned_off: Vec<KernelId>,
    pub reactivated: Vec<Reactivation>,
}

impl Changes {
    /// From some masks to others; `observation` is from before.
    pub(super) fn between(
        observation: &Observation,
        before: &Masks,
        after: &Masks,
        by: ReactivatedBy,
    ) -> Self {
        let mut changes = Self::default();
        for (group, (old, new)) in before.0.iter().zip(&after.0).enumerate() {
            let health = observation.scores.of_group(HEALTH, group);
            for (index, (&was, &is)) in old.iter().zip(new).enumerate() {
                let kernel = KernelId { group, index };
                match (was, is) {
                    (true, false) => changes.turned_off.push(kernel),
                    (false, true) => changes.reactivated.push(Reactivation {
                        kernel,
                        health: health.get(index).copied().unwrap_or_default(),
                        by,
                    }),
                    _ => {}
                }
            }
        }
        changes
    }

    /// With kernels that came back by rule: off and on again within one epoch is no change.
    pub(super) fn rescued(mut self, back: &[Reactivation]) -> Self {
        self.turned_off
            .retain(|off| back.iter().all(|b| b.kernel != *off));
        self.reactivated.extend_from_slice(back);
        self
    }
}

/// The parts of a record that differ between searching and recovering.
pub(super) struct RecordParts {
    pub episode: usize,
    pub exploration: Exploration,
    pub changes: Changes,
    pub q_advantage: Vec<Vec<f32>>,
    pub agent_loss: Option<f64>,
    pub candidate: bool,
    pub seconds: f64,
}

impl<E: Environment> Search<'_, E> {
    /// Keeps the present network if the promise wants it; true if it did.
    pub(super) fn keep_candidate(&mut self) -> Result<bool, SearchError> {
        let Some(Kept { stop }) = self.promise.keep(&self.ledger()) else {
            return Ok(false);
        };
        self.keep(stop, false)?;
        let last = self.promise.corridor().stops.len() - 1;
        if stop == Some(self.state.next_stop) && self.state.next_stop < last {
            self.state.next_stop += 1;
        }
        Ok(true)
    }

    /// Keeps the present network as a candidate.
    pub(super) fn keep(&mut self, stop: Option<usize>, recovered: bool) -> Result<(), SearchError> {
        let snapshot = self.state.snapshots;
        store::save(
            self.store,
            Item::Snapshot(snapshot),
            self.environment.state(),
        )?;
        let ledger = self.ledger();
        let candidate = Candidate {
            snapshot,
            record: self.state.records,
            stop,
            remaining: ledger.remaining(Metric::Params),
            quality: ledger.standing.quality,
            loss: ledger.standing.loss,
            recovered,
            reading: None,
        };
        self.state.candidates.push(candidate);
        self.state.snapshots += 1;
        Ok(())
    }

    /// Writes the record of an epoch; `observation` is from its end.
    pub(super) fn record(
        &mut self,
        parts: RecordParts,
        step: &Step,
        observation: &Observation,
        observer: &mut dyn Observer,
    ) -> Result<(), SearchError> {
        let standing = self.environment.standing();
        let masks = &standing.masks.0;
        let significance = observation.scores.get(TAYLOR).iter().zip(masks);
        let record = EpochRecord {
            epoch: self.state.records,
            episode: parts.episode,
            stage: parts.exploration.stage,
            epsilon: parts.exploration.epsilon,
            quality: standing.quality,
            loss: standing.loss,
            floor: self.promise.floor().search(),
            train_loss: step.train_loss,
            convergence: standing.convergence,
            size: self.environment.space().count(&standing.masks),
            reward: step.reward.parts,
            turned_off: parts.changes.turned_off,
            reactivated: parts.changes.reactivated,
            masks: standing.masks.to_strings(),
            significance: significance.map(|(s, mask)| ranks(s, mask)).collect(),
            q_advantage: parts.q_advantage,
            cost_sample_macs: step.cost,
            seconds: parts.seconds,
            agent_loss: parts.agent_loss,
            candidate: parts.candidate,
        };
        self.store.append(&record)?;
        self.state.records += 1;
        observer.epoch(&record);
        Ok(())
    }
}
