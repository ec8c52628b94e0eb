//! From exploring to exploiting.

use crate::record::Stage;

use super::DqnConfig;

/// Share of kernels that act at random in the end: a single one now and then.
pub(super) const EPSILON_END: f32 = 0.01;

/// Linear fall of epsilon over the first part of a run.
///
/// Source: Mnih et al., Nature 2015, doi 10.1038/nature14236 (linear annealing).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpsilonSchedule {
    start: f32,
    share: f32,
}

impl EpsilonSchedule {
    /// As configured.
    pub fn new(config: &DqnConfig) -> Self {
        Self {
            start: config.epsilon_start,
            share: config.exploration_share,
        }
    }

    /// As configured, but from no more than `epsilon`: where an agent that has explored
    /// before goes on.
    #[must_use]
    pub fn from_at_most(self, epsilon: f32) -> Self {
        Self {
            start: self.start.min(epsilon.max(EPSILON_END)),
            ..self
        }
    }

    /// Epsilon at `progress` of the run, 0..=1.
    pub fn at(&self, progress: f32) -> f32 {
        if self.share <= 0.0 || progress >= self.share {
            return EPSILON_END;
        }
        self.start + (EPSILON_END - self.start) * progress / self.share
    }

    /// Exploring while epsilon falls, exploiting after.
    pub fn stage(&self, progress: f32) -> Stage {
        if progress < self.share && self.start > EPSILON_END {
            Stage::Explore
        } else {
            Stage::Exploit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_linearly_then_stays() {
        let config = DqnConfig {
            epsilon_start: 1.0,
            exploration_share: 0.5,
            ..DqnConfig::default()
        };
        let schedule = EpsilonSchedule::new(&config);
        assert_eq!(
            [0.0, 0.25, 0.5, 1.0].map(|p| schedule.at(p)),
            [1.0, 0.505, 0.01, 0.01]
        );
        assert_eq!(schedule.stage(0.49), Stage::Explore);
        assert_eq!(schedule.stage(0.5), Stage::Exploit);
        // An agent that has explored before does not begin anew.
        let later = schedule.from_at_most(0.4);
        assert_eq!([0.0, 0.25, 1.0].map(|p| later.at(p)), [0.4, 0.205, 0.01]);
        let done = schedule.from_at_most(0.0);
        assert_eq!(
            (done.at(0.0), done.stage(0.0)),
            (EPSILON_END, Stage::Exploit)
        );
    }
}
