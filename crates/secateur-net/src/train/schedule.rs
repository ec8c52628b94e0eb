//! Learning-rate schedules over a known number of steps.

use serde::{Deserialize, Serialize};

use crate::choices;

choices! {
    /// Shape of the learning rate over time.
    pub enum ScheduleKind {
        /// Rise, then fall to almost zero.
        ///
        /// Cosines: Smith and Topin, 2018, arXiv:1708.07120 (shape as in PyTorch's `OneCycleLR`).
        OneCycle = "one-cycle",
        /// Fall from the peak to almost zero.
        ///
        /// By a cosine: Loshchilov and Hutter, ICLR 2017, arXiv:1608.03983.
        Cosine = "cosine",
        /// The peak throughout.
        Constant = "constant",
    }
}

/// Share of the steps in which one-cycle rises; PyTorch's default.
const RISE: f32 = 0.3;
/// One-cycle starts at the peak divided by this; PyTorch's default.
const START_DIVISOR: f32 = 25.0;
/// Both end at the peak divided by this.
const END_DIVISOR: f32 = 1e4;

/// Learning rate by step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Shape.
    pub kind: ScheduleKind,
    /// Largest learning rate.
    pub peak: f32,
    /// Length in steps.
    pub steps: usize,
}

impl Schedule {
    /// Learning rate of `step`, counted from 0.
    pub fn lr(&self, step: usize) -> f32 {
        let last = self.steps.saturating_sub(1).max(1) as f32;
        let progress = (step as f32 / last).min(1.0);
        let cosine = |from: f32, to: f32, share: f32| {
            to + (from - to) * 0.5 * (1.0 + (std::f32::consts::PI * share).cos())
        };
        match self.kind {
            ScheduleKind::Constant => self.peak,
            ScheduleKind::Cosine => cosine(self.peak, self.peak / END_DIVISOR, progress),
            ScheduleKind::OneCycle if progress < RISE => {
                cosine(self.peak / START_DIVISOR, self.peak, progress / RISE)
            }
            ScheduleKind::OneCycle => cosine(
                self.peak,
                self.peak / END_DIVISOR,
                (progress - RISE) / (1.0 - RISE),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(kind: ScheduleKind) -> Schedule {
        Schedule {
            kind,
            peak: 0.1,
            steps: 101,
        }
    }

    #[test]
    fn one_cycle_rises_to_the_peak_and_falls_to_almost_zero() {
        let s = schedule(ScheduleKind::OneCycle);
        assert!((s.lr(0) - 0.1 / 25.0).abs() < 1e-6);
        assert!((s.lr(30) - 0.1).abs() < 1e-6);
        assert!(s.lr(15) > s.lr(5) && s.lr(60) < s.lr(40));
        assert!(s.lr(100) <= 0.1 / 1e4 + 1e-9);
    }

    #[test]
    fn cosine_falls_all_the_way() {
        let s = schedule(ScheduleKind::Cosine);
        assert_eq!(s.lr(0), 0.1);
        assert!((1..101).all(|i| s.lr(i) < s.lr(i - 1)));
        assert_eq!(s.lr(500), s.lr(100), "past the end it stays at the end");
    }
}
