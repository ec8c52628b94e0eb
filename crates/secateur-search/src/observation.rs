//! What policies may look at: facts, never a network.

use std::sync::Arc;

use secateur_net::heal::WidthErrors;

use crate::scores::Scores;

/// What is known of a kernel besides its scores.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KernelFacts {
    /// On or off.
    pub active: bool,
    /// Pruning epochs since what passes tell of it was measured.
    pub score_age: u32,
    /// Pruning epochs since it was switched.
    pub since_switch: u32,
    /// Times switched in this episode.
    pub times_switched: u32,
}

/// What is known of a layer (channel group).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LayerFacts {
    /// Position in the network, 0..=1.
    pub depth: f32,
    /// Kernels at full width.
    pub width: usize,
    /// Active kernels.
    pub active: usize,
    /// Share of the network's parameters that one kernel costs now.
    pub param_share: f32,
    /// Share of the network's multiply-adds that one kernel costs now.
    pub mac_share: f32,
    /// Share of the given network's parameters that one kernel costs there.
    pub given_param_share: f32,
    /// Share of its multiply-adds that one kernel costs there.
    pub given_mac_share: f32,
    /// Layers whose kernels go together, this one included.
    pub coupled: usize,
    /// Convolution kernels, not fully connected features.
    pub is_conv: bool,
    /// May its kernels be switched?
    pub switchable: bool,
}

/// What is known of the network.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NetworkFacts {
    /// Quality minus floor, points (hundredths).
    pub margin: f32,
    /// Share of the parameters (or of the budget's metric) that remains, 0..=1.
    pub remaining: f32,
    /// Share that is to remain in the end, 0..=1.
    pub target: f32,
    /// Natural logarithm of the loss.
    pub log_loss: f32,
    /// By how much the last healing lowered the loss, as share of what it was; -1..=1.
    pub convergence: f32,
    /// Progress in the episode, 0..=1.
    pub progress: f32,
    /// True if the promise is a floor of quality, false if it is a budget.
    pub keeps_floor: bool,
}

/// Everything that policies may look at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observation {
    /// The network.
    pub network: NetworkFacts,
    /// Layers, one a channel group.
    pub layers: Vec<LayerFacts>,
    /// Kernels, `[group][kernel]`.
    pub kernels: Vec<Vec<KernelFacts>>,
    /// Scores of the kernels, by name.
    pub scores: Scores,
    /// What the given network's layers lose with kernels, by group; empty where that was not
    /// measured.
    pub errors: Arc<Vec<WidthErrors>>,
    /// What being on earns each kernel by itself at once, `[group][kernel]`; being off earns the
    /// reverse. Empty for groups that may not be switched.
    pub own_reward: Vec<Vec<f32>>,
}

impl Observation {
    /// Which kernels of a group are on.
    pub fn active(&self, group: usize) -> Vec<bool> {
        self.kernels[group].iter().map(|k| k.active).collect()
    }

    /// Mean of a score over the active kernels of a group; 0 if there is none.
    pub fn mean_active(&self, score: &str, group: usize) -> f64 {
        let values = self.scores.of_group(score, group);
        self.mean_of(group, |k| values.get(k).copied().unwrap_or_default())
    }

    /// Mean of a figure over the active kernels of a group; 0 if there is none.
    pub fn mean_of(&self, group: usize, get: impl Fn(usize) -> f32) -> f64 {
        let kernels = self.kernels[group].iter().enumerate();
        let active = kernels.filter(|(_, kernel)| kernel.active);
        let (sum, n) = active.fold((0.0f64, 0u32), |(sum, n), (k, _)| {
            (sum + f64::from(get(k)), n + 1)
        });
        sum / f64::from(n.max(1))
    }

    /// One value for every kernel that may be switched, `[group][kernel]`; empty for the other
    /// groups.
    pub fn of_switchable<T>(&self, get: impl Fn(usize, usize) -> T) -> Vec<Vec<T>> {
        let groups = self.kernels.iter().zip(&self.layers).enumerate();
        let of_group = |(g, (kernels, layer)): (usize, (&Vec<KernelFacts>, &LayerFacts))| {
            let n = if layer.switchable { kernels.len() } else { 0 };
            (0..n).map(|k| get(g, k)).collect()
        };
        groups.map(of_group).collect()
    }
}
