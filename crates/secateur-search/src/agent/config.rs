//! Hyperparameters of the agent.

use serde::{Deserialize, Serialize};

/// Every constant of the double DQN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DqnConfig {
    /// Width of the two hidden layers.
    pub hidden: usize,
    /// Discount of the next pruning epoch's worth.
    pub gamma: f32,
    /// Learning rate of Adam.
    pub learning_rate: f32,
    /// Transitions an update.
    pub batch_size: usize,
    /// Transitions kept.
    pub replay_capacity: usize,
    /// Chance of a transition falls by this factor for each pruning epoch of age.
    pub replay_decay: f32,
    /// Transitions before the first update.
    pub learning_starts: usize,
    /// Updates after which the target network follows.
    pub target_update_interval: u64,
    /// Where Huber's loss turns from square to linear.
    pub huber_delta: f32,
    /// Largest norm of a gradient.
    pub max_gradient_norm: f32,
    /// Share of kernels that act at random in the first pruning epoch.
    pub epsilon_start: f32,
    /// The same in the end.
    pub epsilon_end: f32,
    /// Share of the run over which epsilon falls.
    pub exploration_share: f32,
}

impl Default for DqnConfig {
    fn default() -> Self {
        Self {
            hidden: 64,
            gamma: 0.9,
            learning_rate: 1e-3,
            batch_size: 256,
            replay_capacity: 40_000,
            replay_decay: 0.9,
            learning_starts: 256,
            target_update_interval: 50,
            huber_delta: 1.0,
            max_gradient_norm: 10.0,
            epsilon_start: 0.3,
            epsilon_end: 0.01,
            exploration_share: 0.5,
        }
    }
}
