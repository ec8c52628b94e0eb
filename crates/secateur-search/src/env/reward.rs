//! The reward, in small pure functions (equation and reasons: docs/algorithm.md).
//!
//! r = w_a · accuracy + w_c · compression + w_v · convergence, for the epoch, the
//! same for every kernel; plus, for each kernel by itself, the dense share.

use serde::{Deserialize, Serialize};

/// Weights and scales of the reward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RewardConfig {
    /// Weight of accuracy against the floor.
    pub accuracy: f32,
    /// Points below the floor that cost one unit.
    pub below_scale: f32,
    /// Points above the floor that earn one unit, saturating.
    pub above_scale: f32,
    /// Largest loss from accuracy in one epoch.
    pub worst_accuracy: f32,
    /// Weight of compression gained, a unit for each factor e.
    pub compression: f32,
    /// Weight of convergence.
    pub convergence: f32,
    /// Weight of a kernel's own share.
    pub dense: f32,
    /// In a kernel's cost, share of parameters (the rest: multiply-adds), where no budget says
    /// what counts.
    pub param_weight: f32,
}

impl Default for RewardConfig {
    fn default() -> Self {
        Self {
            accuracy: 0.3,
            below_scale: 0.5,
            above_scale: 0.5,
            worst_accuracy: 2.0,
            compression: 0.5,
            convergence: 0.1,
            dense: 1.0,
            param_weight: 0.5,
        }
    }
}

/// Accuracy against the floor: steep below, saturating above.
///
/// `margin` in points; returns `-worst_accuracy..=1`.
pub fn accuracy(config: &RewardConfig, margin: f32) -> f32 {
    if margin < 0.0 {
        (margin / config.below_scale).max(-config.worst_accuracy)
    } else {
        (margin / config.above_scale).tanh()
    }
}

/// Compression gained: log of what remained before over what remains after.
///
/// Both in (0, 1]; negative where the network grew. Source of the log form: rewards of
/// AMC (He et al., ECCV 2018, arXiv:1802.03494) weigh error by log FLOPs.
pub fn compression(before: f32, after: f32) -> f32 {
    if before <= 0.0 || after <= 0.0 {
        0.0
    } else {
        (before / after).ln()
    }
}

/// A kernel's own share for being off (`on` false) or on, relative to the mean kernel.
///
/// Off earns its cost and pays its significance; on earns the reverse, so that both
/// actions of every kernel have a known immediate worth. `cost` and `worth` are over the
/// network's mean for one kernel; for dormant kernels `worth` is health. Range -1..=1.
pub fn dense(cost: f32, worth: f32, on: bool) -> f32 {
    let gain_off = (squash(cost) - squash(worth.max(0.0))).clamp(-1.0, 1.0);
    if on { -gain_off } else { gain_off }
}

/// x / (1 + x): one half for the mean kernel.
fn squash(ratio: f32) -> f32 {
    if ratio.is_finite() {
        ratio / (1.0 + ratio)
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falling_below_the_floor_costs_more_than_rising_above_earns() {
        let config = RewardConfig::default();
        assert_eq!(accuracy(&config, 0.0), 0.0);
        assert!(-accuracy(&config, -0.4) > accuracy(&config, 0.4));
        assert_eq!(accuracy(&config, -90.0), -config.worst_accuracy);
        assert!(accuracy(&config, 90.0) <= 1.0);
    }

    #[test]
    fn compression_adds_up_over_epochs() {
        let whole = compression(1.0, 0.25);
        assert!((whole - (compression(1.0, 0.5) + compression(0.5, 0.25))).abs() < 1e-6);
        assert!(compression(0.5, 0.6) < 0.0);
    }

    #[test]
    fn cheap_and_significant_kernels_stay_dear_and_idle_ones_go() {
        assert!(dense(0.2, 3.0, true) > 0.0 && dense(0.2, 3.0, false) < 0.0);
        assert!(dense(3.0, 0.1, false) > 0.0 && dense(3.0, 0.1, true) < 0.0);
        assert_eq!(dense(1.0, 1.0, true), 0.0);
    }
}
