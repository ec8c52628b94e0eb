//! The double DQN.
//!
//! y = r + gamma · Q_target(s', argmax_a Q(s', a)), or r at the end of an episode;
//! Huber loss on Q(s, a) - y.
//!
//! Sources: Mnih et al., Nature 2015, doi 10.1038/nature14236; van Hasselt et al.,
//! AAAI 2016, arXiv:1509.06461.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_net::Engine;
use secateur_net::heal::WidthErrors;
use serde::{Deserialize, Serialize};

use super::adam::Moments;
use super::features::{Features, N_FEATURES};
use super::shapes::Shapes;
use super::{DqnConfig, QNet, Replay, Transition};
use crate::observation::Observation;
use crate::policy::LearnReport;

/// A transition's chance to be drawn falls by this factor for each pruning epoch of age: what a
/// kernel is worth changes as the network shrinks.
const REPLAY_DECAY: f32 = 0.9;
/// Updates after which the target network follows: nearly once a pruning epoch (60 updates).
const TARGET_UPDATE_INTERVAL: u64 = 50;
/// Where Huber's loss turns from square to linear: rewards are of order 1.
const HUBER_DELTA: f32 = 1.0;
/// Largest norm of a gradient: only outliers are clipped.
const MAX_GRADIENT_NORM: f32 = 10.0;

/// Everything that an agent is, for checkpoints: networks, moments, replay, counters,
/// exploration, RNG.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentState {
    pub(super) q_net: QNet,
    pub(super) target_q_net: QNet,
    pub(super) adam: Moments,
    pub(super) replay: Replay,
    pub(super) shapes: Shapes,
    pub(super) updates: u64,
    /// Share of random decisions in its last actions.
    pub(super) epsilon: f32,
    pub(super) rng: ChaCha8Rng,
}

/// The agent.
#[derive(Debug, Clone)]
pub struct DqnAgent {
    config: DqnConfig,
    engine: Engine,
    state: AgentState,
}

impl DqnAgent {
    /// A new agent, its Q-network computed by `engine`.
    pub fn new(config: DqnConfig, seed: u64, engine: &Engine) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let q_net = QNet::new(N_FEATURES, config.hidden, &mut rng);
        let shipped = config.pretrained.then(Shapes::shipped).flatten();
        let shapes = shipped.unwrap_or_else(|| Shapes::new(&mut rng));
        let state = AgentState {
            target_q_net: q_net.clone(),
            adam: Moments::new(q_net.parameters().len()),
            replay: Replay::new(config.replay_capacity, REPLAY_DECAY),
            shapes,
            updates: 0,
            epsilon: config.epsilon_start,
            q_net,
            rng,
        };
        Self {
            config,
            engine: engine.clone(),
            state,
        }
    }

    /// Goes on from a state.
    pub fn resume(&mut self, state: AgentState) {
        self.state = state;
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
        self.state.q_net.q_values(observations, &self.engine)
    }

    /// Desired states, epsilon-greedy: true is on.
    pub fn act(&mut self, observations: &[Features], epsilon: f32) -> Vec<bool> {
        self.state.epsilon = epsilon;
        let q_values = self.q_values(observations);
        q_values
            .into_iter()
            .map(|[off, on]| {
                let explores = self.state.rng.random::<f32>() < epsilon;
                let random_choice = self.state.rng.random::<bool>();
                if explores { random_choice } else { on >= off }
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

    /// Errors by width, each layer's by what it matters, counting by a power of their amplification;
    /// with noise where others are tried.
    pub(super) fn weighed(
        &mut self,
        observation: &Observation,
        power: f64,
        tries: bool,
    ) -> Vec<WidthErrors> {
        let AgentState { shapes, rng, .. } = &mut self.state;
        let noise = if tries { self.config.width_noise } else { 0.0 };
        shapes.weighed(observation, power, f64::from(noise), rng)
    }

    /// Learns how much the layers' errors matter from the network that was looked at last, where it
    /// tries widths: of networks with the same widths nothing follows.
    pub(super) fn learn_shapes(&mut self, observation: &Observation, updates: usize) {
        if self.config.width_noise > 0.0 {
            let AgentState { shapes, rng, .. } = &mut self.state;
            shapes.remember(observation);
            shapes.learn(updates, rng);
        }
    }

    /// Number of transitions remembered.
    pub fn remembered(&self) -> usize {
        self.state.replay.len()
    }

    /// Learns from remembered transitions, once there are enough for an update.
    pub fn learn(&mut self, updates: usize) -> LearnReport {
        if self.state.replay.len() < self.config.batch_size.max(1) {
            return LearnReport::default();
        }
        let mut sum = 0.0f64;
        for _ in 0..updates {
            let batch = self
                .state
                .replay
                .sample(self.config.batch_size, &mut self.state.rng);
            let next: Vec<Features> = batch.iter().map(|t| t.next_observation).collect();
            let chosen = self.state.q_net.q_values(&next, &self.engine);
            let valued = self.state.target_q_net.q_values(&next, &self.engine);
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
            if self.state.updates.is_multiple_of(TARGET_UPDATE_INTERVAL) {
                self.state.target_q_net = self.state.q_net.clone();
            }
        }
        LearnReport {
            mean_loss: sum / updates.max(1) as f64,
            updates,
        }
    }

    fn update(&mut self, rows: &[Features], targets: &[[f32; 2]], weights: &[[f32; 2]]) -> f32 {
        let (loss, mut gradient) =
            self.state
                .q_net
                .loss_and_gradient(rows, targets, weights, HUBER_DELTA, &self.engine);
        let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
        if norm > MAX_GRADIENT_NORM {
            let scale = MAX_GRADIENT_NORM / norm;
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
