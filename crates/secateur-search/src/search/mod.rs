//! A search from the given network to the chosen ones.
//!
//! ```text
//! episodes: explore … explore, then the last one: cut, exchange, by looks at solved weights
//! recover:  each output (CECA), or one size after another until the floor holds (AEC)
//! measure:  by the user's own measure, where there is one
//! solve:    larger networks, with solved weights alone, if no recovery held (AEC)
//! verdict:  the chosen networks on held-out data that the search never saw
//! ```
//!
//! Every pruning epoch ends with a checkpoint, and recoveries are kept on the way, so a killed run goes
//! on with the decisions that an undisturbed one takes.

mod episodes;
mod epoch;
mod halfway;
mod keep;
mod measuring;
mod outcome;
mod progress;
#[cfg(test)]
pub(crate) mod reactivation_tests;
mod recovery;
mod sizes;
mod solving;
mod state;

pub use outcome::{Found, Outcome, Readings};
pub use progress::{Observer, Progress};
pub use state::Phase;

use std::collections::HashMap;

use secateur_net::train::Evaluation;

use crate::config::PruneConfig;
use crate::environment::{Environment, EnvironmentError};
use crate::error::SearchError;
use crate::gauge::Gauge;
use crate::measure::{Measuring, Reading, UserMeasure};
use crate::policy::Policy;
use crate::promise::{self, Ledger, Promise};
use crate::record::{GroupHeader, RunHeader};
use crate::store::{self, Item, Store};
use episodes::Episodes;
use sizes::Sizes;
use state::RunState;

/// A search in an environment.
pub struct Search<'a, E: Environment> {
    environment: E,
    policy: Box<dyn Policy + 'a>,
    promise: Box<dyn Promise>,
    store: &'a mut dyn Store,
    config: &'a PruneConfig,
    episodes: Episodes,
    state: RunState<E>,
    measuring: Option<Measuring<'a, E::State>>,
    /// Measures whether networks keep their budgets, where counting alone cannot tell.
    gauge: Option<&'a dyn Gauge>,
    /// Of the networks on the way, for forecasts.
    sizes: Sizes,
    /// How good candidates are on the confirmation part, by their snapshots, as far as it was asked.
    confirmed: HashMap<usize, Evaluation>,
}

impl<'a, E: Environment> Search<'a, E> {
    /// Begins a search; with a measure of the user's own, AEC goes by that.
    ///
    /// # Errors
    /// [`SearchError::Space`] for budgets out of reach, [`SearchError::Store`] if nothing can be
    /// kept.
    pub fn begin(
        environment: E,
        policy: Box<dyn Policy + 'a>,
        config: &'a PruneConfig,
        store: &'a mut dyn Store,
        model_name: &str,
        measuring: Option<Measuring<'a, E::State>>,
    ) -> Result<Self, SearchError> {
        let given = measuring.as_ref().map(|measuring| measuring.given);
        let promise = promise_of(&environment, config, given.as_ref())?;
        let state = RunState::new(&environment, policy.as_ref());
        store.put_header(&header(&environment, model_name, given))?;
        store.rewind(0)?;
        Ok(Self::with(
            environment,
            policy,
            promise,
            config,
            store,
            state,
            measuring,
        ))
    }

    /// Goes on with the search that the store keeps, and by its number of the given network where
    /// it is measured.
    ///
    /// # Errors
    /// [`SearchError::OtherRun`] if it was begun with something else, [`SearchError::Store`] if
    /// it cannot be read, [`SearchError::Policy`] if it was another policy's.
    pub fn resume(
        mut environment: E,
        mut policy: Box<dyn Policy + 'a>,
        config: &'a PruneConfig,
        store: &'a mut dyn Store,
        measure: Option<Box<dyn UserMeasure<E::State> + 'a>>,
    ) -> Result<Self, SearchError> {
        let state: RunState<E> = store::load(store, Item::Checkpoint)?;
        let given = store.read()?.0.baseline_measure;
        let checked = state
            .check(&environment, policy.as_ref())
            .and_then(|()| measuring(measure, given));
        let measuring = checked.map_err(|reason| {
            let path = store.folder().unwrap_or("".as_ref()).to_path_buf();
            SearchError::OtherRun { path, reason }
        })?;
        let promise = promise_of(&environment, config, given.as_ref())?;
        store.rewind(state.records)?;
        policy.restore(&state.policy)?;
        environment.restore(state.network.clone());
        environment.resume(state.shared.clone());
        Ok(Self::with(
            environment,
            policy,
            promise,
            config,
            store,
            state,
            measuring,
        ))
    }

    fn with(
        environment: E,
        mut policy: Box<dyn Policy + 'a>,
        promise: Box<dyn Promise>,
        config: &'a PruneConfig,
        store: &'a mut dyn Store,
        state: RunState<E>,
        measuring: Option<Measuring<'a, E::State>>,
    ) -> Self {
        let explores = policy.learner().map(|learner| learner.explores());
        let explores = explores.unwrap_or_default();
        let episodes = Episodes::new(&config.search, promise.stops(), explores);
        Self {
            environment,
            policy,
            promise,
            store,
            config,
            episodes,
            state,
            measuring,
            gauge: None,
            sizes: Sizes::default(),
            confirmed: HashMap::new(),
        }
    }

    /// The same, which measures networks before they are recovered.
    #[must_use]
    pub fn gauged_by(self, gauge: Option<&'a dyn Gauge>) -> Self {
        Self { gauge, ..self }
    }

    /// Searches to the end.
    ///
    /// # Errors
    /// [`SearchError::Interrupted`] after the observer asked to stop (the run can be
    /// resumed), [`SearchError::Diverged`] if a loss is not finite, [`SearchError::Measure`] if the
    /// user's own measure fails, [`SearchError::Store`] if nothing can be kept; all leave the state of the last finished pruning epoch.
    pub fn run(mut self, observer: &mut dyn Observer) -> Result<Outcome<E>, SearchError> {
        self.sizes = self.sizes_ahead()?;
        while self.state.phase != Phase::Done {
            self.advance_by_one(observer)?;
            if self.state.phase != Phase::Done && observer.stop_requested() {
                return Err(self.interrupted());
            }
        }
        let learner = self.policy.learner();
        if let Some(learnt) = learner
            .map(|learner| learner.export())
            .transpose()?
            .flatten()
        {
            self.store.put(Item::Agent, &learnt)?;
        }
        self.outcome(observer)
    }

    /// One pruning epoch, recovery or measurement, and a checkpoint.
    fn advance_by_one(&mut self, observer: &mut dyn Observer) -> Result<(), SearchError> {
        let done = match self.state.phase {
            Phase::Search { episode, t: 0 } => self.begin_episode(episode),
            Phase::Search { episode, t } => self.epoch(episode, t, observer),
            Phase::Recover(number) => self.recover(number, observer),
            Phase::Measure(number) => self.measure_recovered(number, observer),
            Phase::Solve(number) => self.solve(number, observer),
            Phase::Done => Ok(()),
        };
        done.map_err(|error| self.diverged(error))?;
        self.state.network = self.environment.state().clone();
        self.state.shared = self.environment.shared().clone();
        self.state.policy = self.policy.checkpoint();
        self.save()?;
        self.store.remove(Item::Halfway)?;
        Ok(())
    }

    fn save(&mut self) -> Result<(), SearchError> {
        store::save(self.store, Item::Checkpoint, &self.state)?;
        Ok(())
    }

    fn interrupted(&self) -> SearchError {
        SearchError::Interrupted {
            path: self.folder(),
            epochs: self.state.records,
        }
    }

    fn folder(&self) -> Option<std::path::PathBuf> {
        self.store.folder().map(std::path::Path::to_path_buf)
    }

    /// Says where the last good state is.
    fn diverged(&self, error: SearchError) -> SearchError {
        match error {
            SearchError::Environment(EnvironmentError::Diverged(source)) => SearchError::Diverged {
                path: self.folder(),
                epochs: self.state.records,
                source,
            },
            other => other,
        }
    }

    /// What the promise looks at.
    fn ledger(&self) -> Ledger<'_> {
        Ledger {
            space: self.environment.space(),
            costs: self.environment.costs(),
            standing: self.environment.standing(),
            candidates: &self.state.candidates,
            spent: self.state.spent,
            worked: self.state.worked,
        }
    }
}

fn promise_of<E: Environment>(
    environment: &E,
    config: &PruneConfig,
    measured: Option<&Reading>,
) -> Result<Box<dyn Promise>, SearchError> {
    Ok(promise::of_config(
        config,
        environment.space(),
        environment.baseline(),
        environment.quality_name(),
        measured,
    )?)
}

/// The measure of a resumed run, with the number that the given network had.
fn measuring<'a, S>(
    measure: Option<Box<dyn UserMeasure<S> + 'a>>,
    given: Option<Reading>,
) -> Result<Option<Measuring<'a, S>>, String> {
    match (measure, given) {
        (None, None) => Ok(None),
        (Some(measure), Some(given)) => Ok(Some(Measuring { measure, given })),
        (Some(_), None) => Err("it was begun without a measure of its own".to_string()),
        (None, Some(_)) => Err("it was begun with a measure of its own".to_string()),
    }
}

fn header<E: Environment>(
    environment: &E,
    model_name: &str,
    baseline_measure: Option<Reading>,
) -> RunHeader {
    let (space, baseline) = (environment.space(), environment.baseline());
    let reference = environment.costs().reference;
    let groups = space.groups.groups.iter().zip(&space.switchable);
    RunHeader {
        model: model_name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        groups: groups
            .map(|(group, &switchable)| GroupHeader {
                name: group.name.clone(),
                width: group.width,
                is_conv: group.is_conv,
                switchable,
            })
            .collect(),
        size: space.size,
        quality_name: environment.quality_name().to_string(),
        baseline_search_quality: baseline.search.quality,
        baseline_confirm_quality: baseline.confirm.quality,
        baseline_measure,
        initial_training_sample_macs: reference.sample_macs,
        initial_training_seconds: reference.seconds,
    }
}
