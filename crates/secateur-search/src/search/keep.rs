//! What a pruning epoch leaves behind: candidates for a result, and its record.

use secateur_onnx::coupling::Masks;

use super::{Observer, Search};
use crate::config::Metric;
use crate::environment::{Environment, Step};
use crate::error::SearchError;
use crate::observation::Observation;
use crate::policy::Exploration;
use crate::promise::{Candidate, Finish};
use crate::record::{EpochRecord, KernelId, ReactivatedBy, Reactivation, Stage};
use crate::scores::{HEALTH, TAYLOR, ranks};
use crate::store::{self, Item};

/// What changed in an epoch, for the record.
#[derive(Default)]
pub(super) struct Changes {
    pub turned_off: Vec<KernelId>,
    pub reactivated: Vec<Reactivation>,
    /// How many of them the policy wished, and of how many wishes nothing came.
    pub wished: usize,
    pub held_back: usize,
}

impl Changes {
    /// Holds what became of the policy's wishes against them.
    pub(super) fn beside(mut self, wishes: &[Vec<bool>], before: &Masks, after: &Masks) -> Self {
        for ((wishes, before), after) in wishes.iter().zip(&before.0).zip(&after.0) {
            for ((&wish, &was), &is) in wishes.iter().zip(before).zip(after) {
                self.wished += usize::from(was != is && wish == is);
                self.held_back += usize::from(was == is && wish != is);
            }
        }
        self
    }

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
    /// Keeps the present network for a stop if it meets that with a lower loss than those kept
    /// before; true if it did. By its loss, as qualities differ by chance.
    pub(super) fn keep_candidate(&mut self, stop: usize) -> Result<bool, SearchError> {
        let ledger = self.ledger();
        let size = ledger.space.count(&ledger.standing.masks);
        let is_met = self.promise.stops().is_met(stop, &size, &ledger.space.size);
        let losses = ledger.kept_for(stop).map(|(_, kept)| kept.loss);
        let best = losses.fold(f64::INFINITY, f64::min);
        // A loss that is no number is none to compare with.
        let is_better = is_met && (ledger.standing.loss < best || best.is_infinite());
        if is_better {
            self.keep(Some(stop), Finish::Looked)?;
        }
        Ok(is_better)
    }

    /// Keeps the present network as a candidate.
    pub(super) fn keep(&mut self, stop: Option<usize>, finish: Finish) -> Result<(), SearchError> {
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
            finish,
            reading: None,
        };
        self.state.candidates.push(candidate);
        self.state.snapshots += 1;
        Ok(())
    }

    /// Writes the record of the present network, whose kernels were chosen by rule, as was healed in so
    /// many seconds.
    pub(super) fn record_by_rule(
        &mut self,
        stage: Stage,
        changes: Changes,
        candidate: bool,
        (step, seconds): (&Step, f64),
        observer: &mut dyn Observer,
    ) -> Result<(), SearchError> {
        let epochs = self.episodes.epochs();
        let goal = self.goal(epochs, epochs);
        let observation = self.environment.observe(&goal);
        let parts = RecordParts {
            episode: self.episodes.last(),
            exploration: Exploration {
                epsilon: 0.0,
                stage,
            },
            changes,
            q_advantage: self.advantages(&observation),
            agent_loss: None,
            candidate,
            seconds,
        };
        self.record(parts, false, step, &observation, observer)
    }

    /// Writes the record of an epoch, which may be taken back; `observation` is from its end.
    pub(super) fn record(
        &mut self,
        parts: RecordParts,
        taken_back: bool,
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
            wished: parts.changes.wished,
            held_back: parts.changes.held_back,
            taken_back,
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
