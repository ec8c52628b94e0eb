//! From exploring to exploiting.

use crate::run_dir::record::Stage;

use super::DqnConfig;

/// Linear fall of epsilon over the first part of a run.
///
/// Source: Mnih et al., Nature 2015, doi 10.1038/nature14236 (linear annealing).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpsilonSchedule {
    start: f32,
    end: f32,
    share: f32,
}

impl EpsilonSchedule {
    /// As configured.
    pub fn new(config: &DqnConfig) -> Self {
        Self {
            start: config.epsilon_start,
            end: config.epsilon_end,
            share: config.exploration_share,
        }
    }

    /// Epsilon at `progress` of the run, 0..=1.
    pub fn at(&self, progress: f32) -> f32 {
        if self.share <= 0.0 || progress >= self.share {
            return self.end;
        }
        self.start + (self.end - self.start) * progress / self.share
    }

    /// Exploring while epsilon falls, exploiting after.
    pub fn stage(&self, progress: f32) -> Stage {
        if progress < self.share {
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
            epsilon_end: 0.0,
            exploration_share: 0.5,
            ..DqnConfig::default()
        };
        let schedule = EpsilonSchedule::new(&config);
        assert_eq!(
            [0.0, 0.25, 0.5, 1.0].map(|p| schedule.at(p)),
            [1.0, 0.5, 0.0, 0.0]
        );
        assert_eq!(schedule.stage(0.49), Stage::Explore);
        assert_eq!(schedule.stage(0.5), Stage::Exploit);
    }
}
