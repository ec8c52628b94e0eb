//! The state of a run: everything that a run needs to go on.

use serde::{Deserialize, Serialize};

use crate::environment::{Environment, Identity, Step};
use crate::policy::Policy;
use crate::promise::Candidate;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// In pruning epoch `t` (from 1; 0 scores the given network) of an episode.
    Search {
        /// From 0; the last one gives the results.
        episode: usize,
        /// See above.
        t: usize,
    },
    /// Recovering, by number from 0.
    Recover(usize),
    /// Asking the user's own measure of the network of that recovery.
    Measure(usize),
    /// Seeking a network that holds without training, by number from 0, where no recovery brought
    /// one.
    Solve(usize),
    /// Over.
    Done,
}

/// See the module.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct RunState<E: Environment> {
    pub phase: Phase,
    /// Of the environment that the run was begun in.
    pub identity: Identity,
    /// Lines in the history.
    pub records: usize,
    /// The present network.
    pub network: E::State,
    /// What all episodes share.
    pub shared: E::Shared,
    /// Name of the policy.
    pub policy_name: String,
    /// Its state.
    pub policy: Vec<u8>,
    /// Sample-MACs so far.
    pub spent: f64,
    /// Work so far.
    pub worked: f64,
    /// Work of the pruning epochs of all episodes, and their number.
    pub looked: f64,
    pub looks: usize,
    pub candidates: Vec<Candidate>,
    pub snapshots: usize,
}

impl<E: Environment> RunState<E> {
    /// At the beginning of a run.
    pub(super) fn new(environment: &E, policy: &dyn Policy) -> Self {
        Self {
            phase: Phase::Search { episode: 0, t: 0 },
            identity: environment.identity(),
            records: 0,
            network: environment.state().clone(),
            shared: environment.shared().clone(),
            policy_name: policy.name(),
            policy: policy.checkpoint(),
            spent: environment.costs().setup,
            worked: environment.costs().setup,
            looked: 0.0,
            looks: 0,
            candidates: Vec::new(),
            snapshots: 0,
        }
    }

    /// Counts what a step took.
    pub(super) fn pay(&mut self, step: &Step) {
        self.spent += step.cost;
        self.worked += step.work;
    }

    /// Does the state belong to this environment and this policy?
    pub(super) fn check(&self, environment: &E, policy: &dyn Policy) -> Result<(), String> {
        if self.policy_name != policy.name() {
            let (then, now) = (&self.policy_name, policy.name());
            return Err(format!(
                "it was begun with the policy `{then}`, now it is `{now}`"
            ));
        }
        let now = environment.identity();
        let widths = |masks: &secateur_onnx::coupling::Masks| -> Vec<usize> {
            masks.0.iter().map(Vec::len).collect()
        };
        let saved = environment.standing_of(&self.network);
        if widths(&saved.masks) != widths(&environment.space().all_active()) {
            return Err("it was begun with a network of other layers".to_string());
        }
        if self.identity.fingerprint != now.fingerprint {
            return Err("it was begun with another network".to_string());
        }
        if self.identity.outside_batch_size != now.outside_batch_size {
            let trained = |batch_size: Option<usize>| match batch_size {
                Some(size) => format!("trained outside in batches of {size} samples"),
                None => "trained by secateur itself".to_string(),
            };
            return Err(format!(
                "its networks were {}, now they would be {}",
                trained(self.identity.outside_batch_size),
                trained(now.outside_batch_size)
            ));
        }
        if self.identity.n_train != now.n_train {
            return Err(format!(
                "it was begun with {} training samples, now there are {}",
                self.identity.n_train, now.n_train
            ));
        }
        Ok(())
    }
}
