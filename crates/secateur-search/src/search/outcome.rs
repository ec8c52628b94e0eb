//! The chosen networks.

use secateur_net::train::Evaluation;

use super::{Observer, Search};
use crate::config::Target;
use crate::environment::Environment;
use crate::error::SearchError;
use crate::measure::Reading;
use crate::promise::{Candidate, Choice, Confirm, Ledger, Promise, Verdict};
use crate::store::{self, Item};

/// A chosen network.
pub struct Found<S> {
    /// `params=0.14`, or the mode's name.
    pub label: String,
    /// What it was asked to meet, if anything.
    pub target: Option<Target>,
    /// The network.
    pub state: S,
    /// How good it is on the confirmation part.
    pub confirm: Evaluation,
    /// The record in the history that made it; `None` for the given network itself.
    pub record: Option<usize>,
    /// By the user's own measure, if there is one.
    pub reading: Option<Reading>,
}

/// What the user's own measure said in a run.
#[derive(Debug, Clone)]
pub struct Readings {
    /// Of the given network.
    pub given: Reading,
    /// The candidates that it was asked of.
    pub candidates: Vec<Candidate>,
}

/// What a search brought.
pub struct Outcome<E: Environment> {
    /// The environment, to look at the networks in.
    pub environment: E,
    /// The chosen networks: one in AEC, one a budget in CECA.
    pub outputs: Vec<Found<E::State>>,
    /// Undominated networks of a CECA search without budgets.
    pub front: Vec<Found<E::State>>,
    /// What the user's own measure said, if there is one.
    pub readings: Option<Readings>,
    /// What the user must know: candidates that were not confirmed, a floor out of reach.
    pub warnings: Vec<String>,
    /// Cost of the search in sample-MACs.
    pub cost_sample_macs: f64,
    /// Work of the search: sample-MACs of the given network that take as long.
    pub work: f64,
}

impl<E: Environment> Search<'_, E> {
    /// What the promise makes of the candidates.
    pub(super) fn outcome(
        mut self,
        observer: &mut dyn Observer,
    ) -> Result<Outcome<E>, SearchError> {
        let verdict = self.verdict()?;
        self.measure_results(&verdict, observer)?;
        let found = |choice: Choice| self.found(choice);
        let outputs = verdict.outputs.into_iter().map(found);
        let outputs = outputs.collect::<Result<_, _>>()?;
        let front = verdict
            .front
            .into_iter()
            .map(found)
            .collect::<Result<_, _>>()?;
        Ok(Outcome {
            outputs,
            front,
            readings: self.readings(),
            warnings: verdict.warnings,
            cost_sample_macs: self.state.spent,
            work: self.state.worked,
            environment: self.environment,
        })
    }

    /// Which of the networks so far keep the promise, also on data that the search never saw: each is
    /// run on them once.
    pub(super) fn verdict(&mut self) -> Result<Verdict, SearchError> {
        self.confirming(|promise, ledger, confirm| promise.verdict(ledger, confirm))
    }

    /// What a promise says when it may ask how good candidates are on the confirmation part.
    pub(super) fn confirming<T>(
        &mut self,
        ask: impl FnOnce(&dyn Promise, &Ledger<'_>, &mut Confirm<'_>) -> Result<T, SearchError>,
    ) -> Result<T, SearchError> {
        let mut confirmed = std::mem::take(&mut self.confirmed);
        let ledger: Ledger<'_> = self.ledger();
        let answer = ask(&*self.promise, &ledger, &mut |candidate| {
            if let Some(known) = confirmed.get(&candidate.snapshot) {
                return Ok(known.clone());
            }
            let state: E::State = store::load(self.store, Item::Snapshot(candidate.snapshot))?;
            let found = self.environment.confirm(&state)?;
            confirmed.insert(candidate.snapshot, found.clone());
            Ok(found)
        });
        self.confirmed = confirmed;
        answer
    }

    fn found(&self, choice: Choice) -> Result<Found<E::State>, SearchError> {
        let candidate = choice.candidate.map(|index| &self.state.candidates[index]);
        Ok(Found {
            label: choice.label,
            target: choice.target,
            state: match candidate {
                Some(c) => store::load(self.store, Item::Snapshot(c.snapshot))?,
                None => self.environment.given(),
            },
            confirm: choice.confirm,
            record: candidate.map(|c| c.record),
            reading: match candidate {
                Some(c) => c.reading,
                None => self.measuring.as_ref().map(|measuring| measuring.given),
            },
        })
    }

    fn readings(&self) -> Option<Readings> {
        let given = self.measuring.as_ref()?.given;
        let mut candidates = self.state.candidates.clone();
        candidates.retain(|candidate| candidate.reading.is_some());
        Some(Readings { given, candidates })
    }
}
