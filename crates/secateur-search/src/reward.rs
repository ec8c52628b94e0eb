//! The reward, in small pure functions (equation and reasons: docs/algorithm.md).
//!
//! r = w_q · quality + w_c · compression + w_v · convergence, for the epoch, the
//! same for every kernel; plus, for each kernel by itself, the dense share.

use secateur_onnx::coupling::Masks;

use crate::config::RewardConfig;
use crate::environment::Reward;
use crate::record::RewardParts;

/// Most that quality earns or costs in one epoch: a factor of e² in the loss.
const MOST_QUALITY: f32 = 2.0;

/// Quality gained: log of the loss before over the loss after, so that what it adds up to over an
/// episode does not depend on the way (Ng, Harada and Russell, ICML 1999, on rewards as differences of
/// a potential). Accuracies of networks that differ by a few kernels differ by chance; their losses
/// tell them apart.
///
/// Losses from 0; returns -2..=2.
pub fn quality(before: f64, after: f64) -> f32 {
    let gained = (before / after).ln() as f32;
    match gained.is_nan() {
        true => 0.0,
        false => gained.clamp(-MOST_QUALITY, MOST_QUALITY),
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
/// On earns what it is `worth` over the mean kernel of its layer, off the reverse, so that both
/// actions of every kernel have a known immediate worth:
///
/// d(on) = (v - 1) / (v + 1), d(off) = -d(on)
///
/// `worth` v as in [`crate::worth`], from 0; range -1..=1.
pub fn dense(worth: f32) -> f32 {
    let worth = worth.max(0.0);
    if worth.is_finite() {
        (worth - 1.0) / (worth + 1.0)
    } else {
        1.0
    }
}

/// What a pruning epoch came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Loss on the search part before and now.
    pub loss: [f64; 2],
    /// Share of the network that remained before and that remains now, in (0, 1].
    pub remaining: [f32; 2],
    /// By how much healing lowered the loss, as share of what it was.
    pub convergence: f32,
}

/// The reward of an epoch that ended with `masks`, for the network and for every kernel that
/// may be switched.
///
/// # Shapes
/// - `own`: what being on earns each kernel by itself, weighted, `[group][kernel]`; empty for
///   groups that may not be switched
pub fn reward(config: &RewardConfig, epoch: &Epoch, own: &[Vec<f32>], masks: &Masks) -> Reward {
    let mut parts = RewardParts {
        quality: config.quality * quality(epoch.loss[0], epoch.loss[1]),
        compression: config.compression * compression(epoch.remaining[0], epoch.remaining[1]),
        convergence: config.convergence * epoch.convergence,
        ..RewardParts::default()
    };
    let shared = parts.quality + parts.compression + parts.convergence;
    let signed = |(&own, &on): (&f32, &bool)| if on { own } else { -own };
    let (mut sum, mut count) = (0.0f32, 0u32);
    let mut kernels = Vec::with_capacity(own.len());
    for (own, mask) in own.iter().zip(&masks.0) {
        let shares: Vec<f32> = own.iter().zip(mask).map(signed).collect();
        for share in &shares {
            sum += share;
            count += 1;
        }
        kernels.push(shares.into_iter().map(|share| shared + share).collect());
    }
    parts.dense = sum / count.max(1) as f32;
    parts.total = shared + parts.dense;
    Reward { parts, kernels }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_adds_up_over_epochs_within_bounds() {
        let whole = quality(0.8, 0.2);
        assert!((whole - (quality(0.8, 0.5) + quality(0.5, 0.2))).abs() < 1e-6);
        assert_eq!(quality(0.2, 0.8), -whole);
        assert_eq!(quality(1.0, 0.0), MOST_QUALITY);
        assert_eq!(quality(1.0, f64::INFINITY), -MOST_QUALITY);
        for (before, after) in [(0.0, 0.0), (f64::NAN, 1.0), (f64::INFINITY, f64::INFINITY)] {
            assert_eq!(quality(before, after), 0.0);
        }
    }

    #[test]
    fn compression_adds_up_over_epochs() {
        let whole = compression(1.0, 0.25);
        assert!((whole - (compression(1.0, 0.5) + compression(0.5, 0.25))).abs() < 1e-6);
        assert!(compression(0.5, 0.6) < 0.0);
    }

    #[test]
    fn a_kernel_earns_by_what_it_is_worth_over_the_mean() {
        let config = RewardConfig {
            quality: 0.0,
            ..RewardConfig::default()
        };
        let still = Epoch {
            loss: [1.0, 1.0],
            remaining: [1.0, 1.0],
            convergence: 0.0,
        };
        let share = |worth: f32, on: bool| {
            let own = [vec![dense(worth)], Vec::new()];
            let found = reward(&config, &still, &own, &Masks(vec![vec![on], vec![true]]));
            assert_eq!(found.parts.total, found.kernels[0][0]);
            assert!(found.kernels[1].is_empty());
            found.kernels[0][0]
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
