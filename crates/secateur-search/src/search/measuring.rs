//! The user's own measure in a run: of recovered networks where the promise goes by it, and of the
//! results.

use super::{Observer, Search};
use crate::environment::Environment;
use crate::error::SearchError;
use crate::measure::{MeasureError, take};
use crate::promise::{Candidate, Verdict};
use crate::store::{self, Item};

impl<E: Environment> Search<'_, E> {
    /// Asks the measure of the network of recovery `number`, the candidate that was kept last. A
    /// phase of its own, so that a reading that fails, or takes too long for its user, costs no
    /// recovery.
    pub(super) fn measure_recovered(
        &mut self,
        number: usize,
        observer: &mut dyn Observer,
    ) -> Result<(), SearchError> {
        if let Some(last) = self.state.candidates.len().checked_sub(1) {
            self.read(last, observer)?;
        }
        self.state.phase = self.after_recovery(number)?;
        Ok(())
    }

    /// Asks the measure of those chosen networks that it was not asked of; each number is kept at
    /// once.
    pub(super) fn measure_results(
        &mut self,
        verdict: &Verdict,
        observer: &mut dyn Observer,
    ) -> Result<(), SearchError> {
        let chosen = verdict.outputs.iter().chain(&verdict.front);
        for index in chosen.filter_map(|choice| choice.candidate) {
            if self.state.candidates[index].reading.is_none() {
                self.read(index, observer)?;
                self.save()?;
            }
        }
        Ok(())
    }

    /// Reads the number of a candidate, if there is a measure.
    fn read(&mut self, index: usize, observer: &mut dyn Observer) -> Result<(), SearchError> {
        let Some(measuring) = &mut self.measuring else {
            return Ok(());
        };
        let candidate: &Candidate = &self.state.candidates[index];
        let name = format!("{:03}", candidate.snapshot);
        let share = 100.0 * candidate.remaining;
        let text = format!("network {name}, with {share:.2} % of the parameters");
        let network: E::State = store::load(self.store, Item::Snapshot(candidate.snapshot))?;
        let measure = measuring.measure.as_mut();
        let reading = take(&text, observer, |stop| {
            measure.measure(&name, &network, stop)
        });
        match reading {
            Ok(reading) => {
                self.state.candidates[index].reading = Some(reading);
                Ok(())
            }
            Err(MeasureError::Stopped) => Err(self.interrupted()),
            Err(MeasureError::Failed(source)) => Err(SearchError::Measure {
                network: text,
                path: self.folder(),
                source,
            }),
        }
    }
}
