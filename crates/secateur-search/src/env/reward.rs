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

/// A kernel's own share for being on.
///
/// On earns what it is `worth` over the mean kernel of its layer, off the reverse
/// ([`super::features::own_share`]), so that both actions of every kernel have a known immediate
/// worth:
///
/// d(on) = (v - 1) / (v + 1), d(off) = -d(on)
///
/// `worth` v as in [`super::worth`], from 0; range -1..=1.
pub fn dense(worth: f32) -> f32 {
    let worth = worth.max(0.0);
    if worth.is_finite() {
        (worth - 1.0) / (worth + 1.0)
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::features::{KNOWN_REWARD, N_FEATURES, own_share};

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
    fn a_kernel_earns_by_what_it_is_worth_over_the_mean() {
        let share = |worth: f32, on: bool| {
            let mut row = [0.0; N_FEATURES];
            row[KNOWN_REWARD] = dense(worth);
            own_share(&row, on)
        };
        assert_eq!(share(1.0, true), 0.0);
        assert!(share(3.0, true) > 0.0 && share(3.0, false) < 0.0);
        assert!(share(0.1, false) > 0.0 && share(0.1, true) < 0.0);
        // A third is as bad as threefold is good.
        assert!((dense(3.0) + dense(1.0 / 3.0)).abs() < 1e-6);
        for extreme in [-1.0, 0.0, f32::MAX, f32::INFINITY] {
            assert_eq!(dense(extreme).abs(), 1.0);
        }
    }
}
