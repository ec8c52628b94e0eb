//! What a pruning epoch leaves behind: candidates for a result, and its record.

use secateur_onnx::coupling::Masks;

use super::{Candidate, PruneError, Pruner, RunObserver};
use crate::config::{Metric, Mode};
use crate::env::{EpochOutcome, State, ratio};
use crate::mode::Corridor;
use crate::run_dir::record::{
    EpochRecord, KernelId, ReactivatedBy, Reactivation, RewardParts, Stage,
};
use crate::run_dir::write_checkpoint;

/// What changed in an epoch, for the record.
#[derive(Default)]
pub(super) struct Changes {
    pub turned_off: Vec<KernelId>,
    pub reactivated: Vec<Reactivation>,
}

impl Changes {
    pub(super) fn between(before: &State, after: &Masks, by: ReactivatedBy) -> Self {
        let mut changes = Self::default();
        for (group, (old, new)) in before.masks.0.iter().zip(&after.0).enumerate() {
            for (index, (&was, &is)) in old.iter().zip(new).enumerate() {
                let kernel = KernelId { group, index };
                match (was, is) {
                    (true, false) => changes.turned_off.push(kernel),
                    (false, true) => changes.reactivated.push(Reactivation {
                        kernel,
                        health: before.scores[group][index].health,
                        by,
                    }),
                    _ => {}
                }
            }
        }
        changes
    }
}

/// The parts of a record that differ between searching and finishing.
pub(super) struct RecordParts {
    pub episode: usize,
    pub stage: Stage,
    pub epsilon: f32,
    pub changes: Changes,
    pub reward: RewardParts,
    pub q_advantage: Vec<Vec<f32>>,
    pub agent_loss: Option<f64>,
    pub candidate: bool,
    pub seconds: f64,
    pub cost: f64,
}

impl Pruner<'_> {
    /// Saves the network if it meets the next stop (CECA) or holds the floor (AEC).
    pub(super) fn keep_candidates(&mut self, corridor: &Corridor) -> Result<bool, PruneError> {
        let size = self.environment.size(&self.state.state.masks);
        let share = ratio(corridor.metric, &size, &self.problem.size);
        if matches!(self.config.mode, Mode::Aec { .. }) {
            if !self.may_hold() || share >= 1.0 {
                return Ok(false);
            }
            self.keep(None, false)?;
            return Ok(true);
        }
        let stops = &corridor.stops;
        let total = corridor.metric.of(&self.problem.size) as f64;
        let met = |stop: f64| corridor.metric.of(&size) <= (stop * total).floor() as u64;
        let last_stop = stops.len() - 1;
        // The others are kept as they are passed, the last in every epoch that meets it: the
        // best of the exchange is taken. By its loss: accuracies after short slices differ by
        // chance.
        let next = self.state.next_stop;
        if next < last_stop && met(stops[next]) {
            self.keep(Some(next), false)?;
            self.state.next_stop += 1;
            return Ok(true);
        }
        if next >= last_stop && met(stops[last_stop]) {
            let best = self
                .state
                .candidates
                .iter()
                .filter(|c| c.stop == Some(last_stop))
                .map(|c| c.loss)
                .fold(f64::INFINITY, f64::min);
            if self.state.state.loss < best {
                self.keep(Some(last_stop), false)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Saves the present network as a candidate.
    pub(super) fn keep(&mut self, stop: Option<usize>, recovered: bool) -> Result<(), PruneError> {
        let number = self.state.snapshots;
        write_checkpoint(&self.snapshot_path(number), &self.state.state)?;
        let size = self.environment.size(&self.state.state.masks);
        self.state.candidates.push(Candidate {
            snapshot: number,
            record: self.state.records,
            stop,
            remaining: ratio(Metric::Params, &size, &self.problem.size),
            accuracy: self.state.state.accuracy,
            loss: self.state.state.loss,
            recovered,
        });
        self.state.snapshots += 1;
        Ok(())
    }

    pub(super) fn snapshot_path(&self, number: usize) -> std::path::PathBuf {
        self.run_dir
            .file("snapshots")
            .join(format!("{number:03}.bin"))
    }

    pub(super) fn write_record(
        &mut self,
        parts: RecordParts,
        outcome: &EpochOutcome,
        observer: &mut dyn RunObserver,
    ) -> Result<(), PruneError> {
        let state = &self.state.state;
        let record = EpochRecord {
            epoch: self.state.records,
            episode: parts.episode,
            stage: parts.stage,
            epsilon: parts.epsilon,
            accuracy: state.accuracy,
            loss: state.loss,
            floor: self.floor().search(),
            train_loss: outcome.train_loss,
            convergence: state.convergence,
            size: self.environment.size(&state.masks),
            reward: parts.reward,
            turned_off: parts.changes.turned_off,
            reactivated: parts.changes.reactivated,
            masks: state.masks.to_strings(),
            significance: state
                .scores
                .iter()
                .zip(&state.masks.0)
                .map(|(scores, mask)| {
                    let values: Vec<f32> = scores.iter().map(|s| s.significance).collect();
                    crate::env::features::ranks(&values, mask)
                })
                .collect(),
            q_advantage: parts.q_advantage,
            cost_sample_macs: parts.cost,
            seconds: parts.seconds,
            agent_loss: parts.agent_loss,
            candidate: parts.candidate,
        };
        self.run_dir.append(&record)?;
        self.state.records += 1;
        observer.epoch(&record);
        Ok(())
    }
}
