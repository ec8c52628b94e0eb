//! The double DQN.
//!
//! y = r + gamma · Q_target(s', argmax_a Q(s', a)), or r at the end of an episode;
//! Huber loss on Q(s, a) - y.
//!
//! Sources: Mnih et al., Nature 2015, doi 10.1038/nature14236; van Hasselt et al.,
//! AAAI 2016, arXiv:1509.06461.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::adam::Adam;
use super::{DqnConfig, QNet, Replay, Transition};
use crate::env::features::{Features, N_FEATURES};

/// What a round of learning did.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LearnReport {
    /// Mean Huber loss over the updates.
    pub mean_huber_loss: f64,
    /// Number of updates.
    pub updates: usize,
}

/// Everything that an agent is, for checkpoints: networks, moments, replay, counters,
/// exploration, RNG.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentState {
    pub(super) q_net: QNet,
    pub(super) target_q_net: QNet,
    pub(super) adam: Adam,
    pub(super) replay: Replay,
    pub(super) updates: u64,
    /// Share of random decisions in its last actions.
    pub(super) epsilon: f32,
    pub(super) rng: ChaCha8Rng,
}

/// The agent.
#[derive(Debug, Clone)]
pub struct DqnAgent {
    config: DqnConfig,
    state: AgentState,
}

impl DqnAgent {
    /// A new agent.
    pub fn new(config: DqnConfig, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let q_net = QNet::new(N_FEATURES, config.hidden, &mut rng);
        let state = AgentState {
            target_q_net: q_net.clone(),
            adam: Adam::new(q_net.parameters().len()),
            replay: Replay::new(config.replay_capacity, config.replay_decay),
            updates: 0,
            epsilon: config.epsilon_start,
            q_net,
            rng,
        };
        Self { config, state }
    }

    /// Goes on from a state.
    pub fn from_state(config: DqnConfig, state: AgentState) -> Self {
        Self { config, state }
    }

    /// The whole state.
    pub fn state(&self) -> &AgentState {
        &self.state
    }

    /// Its configuration.
    pub fn config(&self) -> &DqnConfig {
        &self.config
    }

    /// `[Q(off), Q(on)]` of every kernel.
    pub fn q_values(&self, observations: &[Features]) -> Vec<[f32; 2]> {
        self.state.q_net.q_values(observations)
    }

    /// Desired states, epsilon-greedy: true is on. Also says which were random.
    pub fn act(&mut self, observations: &[Features], epsilon: f32) -> Vec<(bool, bool)> {
        self.state.epsilon = epsilon;
        let q_values = self.q_values(observations);
        q_values
            .into_iter()
            .map(|[off, on]| {
                let explores = self.state.rng.random::<f32>() < epsilon;
                let random_choice = self.state.rng.random::<bool>();
                if explores {
                    (random_choice, true)
                } else {
                    (on >= off, false)
                }
            })
            .collect()
    }

    /// Share of random decisions in its last actions; the configured start before any.
    pub fn epsilon(&self) -> f32 {
        self.state.epsilon
    }

    /// Updates of its Q-network so far, in earlier runs too.
    pub fn updates(&self) -> u64 {
        self.state.updates
    }

    /// Remembers the transitions of a pruning epoch.
    pub fn remember(&mut self, transitions: Vec<Transition>) {
        self.state.replay.push_epoch(transitions);
    }

    /// Number of transitions remembered.
    pub fn remembered(&self) -> usize {
        self.state.replay.len()
    }

    /// Learns from remembered transitions.
    pub fn learn(&mut self, updates: usize) -> LearnReport {
        if self.state.replay.len() < self.config.learning_starts.max(1) {
            return LearnReport::default();
        }
        let mut sum = 0.0f64;
        for _ in 0..updates {
            let batch = self
                .state
                .replay
                .sample(self.config.batch_size, &mut self.state.rng);
            let next: Vec<Features> = batch.iter().map(|t| t.next_observation).collect();
            let chosen = self.state.q_net.q_values(&next);
            let valued = self.state.target_q_net.q_values(&next);
            let mut targets = Vec::with_capacity(batch.len());
            let mut weights = Vec::with_capacity(batch.len());
            for ((transition, q), target) in batch.iter().zip(&chosen).zip(&valued) {
                let best = usize::from(q[1] >= q[0]);
                let future = if transition.terminated {
                    0.0
                } else {
                    target[best]
                };
                let y = transition.reward + self.config.gamma * future;
                let mut weight = [0.0; 2];
                weight[usize::from(transition.action)] = 1.0;
                targets.push([y; 2]);
                weights.push(weight);
            }
            let rows: Vec<Features> = batch.iter().map(|t| t.observation).collect();
            sum += f64::from(self.update(&rows, &targets, &weights));
            if self
                .state
                .updates
                .is_multiple_of(self.config.target_update_interval.max(1))
            {
                self.state.target_q_net = self.state.q_net.clone();
            }
        }
        LearnReport {
            mean_huber_loss: sum / updates.max(1) as f64,
            updates,
        }
    }

    fn update(&mut self, rows: &[Features], targets: &[[f32; 2]], weights: &[[f32; 2]]) -> f32 {
        let (loss, mut gradient) =
            self.state
                .q_net
                .loss_and_gradient(rows, targets, weights, self.config.huber_delta);
        let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
        if norm > self.config.max_gradient_norm {
            let scale = self.config.max_gradient_norm / norm;
            gradient.iter_mut().for_each(|g| *g *= scale);
        }
        let lr = self.config.learning_rate;
        self.state
            .adam
            .step(self.state.q_net.parameters_mut(), &gradient, lr);
        self.state.updates += 1;
        loss
    }
}
