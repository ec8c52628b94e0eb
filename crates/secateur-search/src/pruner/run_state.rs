//! The state of a run: everything that a resumed run needs.

use rand_chacha::ChaCha8Rng;
use secateur_net::data::BatchSampler;
use serde::{Deserialize, Serialize};

use crate::agent::{AgentState, DqnAgent};
use crate::env::{Problem, Shared, State};
use crate::run_dir::checksum;

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// In pruning epoch `t` (from 1; 0 scores the given network) of an episode.
    Search {
        /// From 0; the last one gives the results.
        episode: usize,
        /// See above.
        t: usize,
    },
    /// Recovering an output.
    Finish {
        /// Which stop (CECA); 0 in AEC.
        output: usize,
        /// Which try (AEC).
        attempt: usize,
    },
    /// Over.
    Done,
}

/// A network that may become a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Number of its file among the snapshots.
    pub snapshot: usize,
    /// Record in the history that made it.
    pub record: usize,
    /// Which stop of the corridor it meets; `None` in AEC.
    pub stop: Option<usize>,
    /// Share of the parameters that remains.
    pub remaining: f64,
    /// Accuracy on the search part.
    pub accuracy: f64,
    /// Loss on the search part.
    pub loss: f64,
    /// True after recovery.
    pub recovered: bool,
}

/// See the module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RunState {
    pub phase: Phase,
    /// Of the given network's values.
    pub fingerprint: u64,
    /// Lines in the history.
    pub records: usize,
    pub state: State,
    pub shared: Shared,
    pub agent: AgentState,
    /// Epsilon that the agent came with: exploration goes on from there.
    pub epsilon_start: f32,
    pub rng: ChaCha8Rng,
    pub next_stop: usize,
    pub candidates: Vec<Candidate>,
    pub snapshots: usize,
    /// Kernels turned off in the last epoch, for the rule of re-activation.
    pub last_off: Vec<(usize, usize)>,
}

impl RunState {
    pub(super) fn new(
        problem: &Problem,
        state: State,
        sampler: BatchSampler,
        rng: ChaCha8Rng,
        agent: &DqnAgent,
        cost: f64,
    ) -> Self {
        Self {
            phase: Phase::Search { episode: 0, t: 0 },
            fingerprint: fingerprint(problem),
            records: 0,
            state,
            shared: Shared { sampler, cost },
            epsilon_start: agent.epsilon(),
            agent: agent.state().clone(),
            rng,
            next_stop: 0,
            candidates: Vec::new(),
            snapshots: 0,
            last_off: Vec::new(),
        }
    }

    /// Does the state belong to this problem?
    pub(super) fn check(&self, problem: &Problem) -> Result<(), String> {
        let groups = &problem.groups.groups;
        let fits = self.state.masks.0.len() == groups.len()
            && self
                .state
                .masks
                .0
                .iter()
                .zip(groups)
                .all(|(m, g)| m.len() == g.width);
        if !fits {
            return Err("it was begun with a network of other layers".to_string());
        }
        if self.fingerprint != fingerprint(problem) {
            return Err("it was begun with another network".to_string());
        }
        let (begun, now) = (self.shared.sampler.n_images(), problem.train.len());
        if begun != now {
            return Err(format!(
                "it was begun with {begun} training images, now there are {now}"
            ));
        }
        Ok(())
    }
}

/// Tells networks of the same layers apart.
fn fingerprint(problem: &Problem) -> u64 {
    let bytes = problem.weights.iter().flat_map(|(name, weight)| {
        let values = weight.data.iter().flat_map(|v| v.to_le_bytes());
        name.bytes().chain(values)
    });
    checksum(bytes)
}
