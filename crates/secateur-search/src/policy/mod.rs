//! Who decides which kernels stay: the agent, or one of the yardsticks that run
//! in the same environment at the same cost.

pub mod one_shot;

use std::fmt;
use std::str::FromStr;

use rand::{Rng, RngExt};
use thiserror::Error;

use crate::agent::DqnAgent;
use crate::env::features::{Facts, Features, ranks};

/// A ranking of kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The agent's Q(on) - Q(off).
    Dqn,
    /// Uniform random numbers.
    Random,
    /// Rank of the L2 weight norm within the layer: every layer shrinks alike
    /// (Li et al., ICLR 2017, arXiv:1608.08710, who use L1).
    UniformL1,
    /// Weight norm over its layer's mean, across layers.
    GlobalL1,
    /// Taylor significance over its layer's L2 norm, across layers
    /// (Molchanov et al., ICLR 2017, arXiv:1611.06440).
    GlobalTaylor,
}

/// A policy that does not exist.
#[derive(Debug, Error)]
#[error("unknown policy `{name}`: expected one of {}", Policy::names())]
pub struct UnknownPolicy {
    name: String,
}

impl Policy {
    /// All policies.
    pub const ALL: [Self; 5] = [
        Self::Dqn,
        Self::Random,
        Self::UniformL1,
        Self::GlobalL1,
        Self::GlobalTaylor,
    ];

    /// Name in the config.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dqn => "dqn",
            Self::Random => "random",
            Self::UniformL1 => "uniform-l1",
            Self::GlobalL1 => "global-l1",
            Self::GlobalTaylor => "global-taylor",
        }
    }

    fn names() -> String {
        Self::ALL.map(|p| format!("`{}`", p.name())).join(", ")
    }

    /// One score a kernel, higher is worth keeping; empty for groups that may not be switched.
    /// `observation` holds the features of `facts`, for the agent.
    pub fn keep_scores<R: Rng>(
        self,
        facts: &Facts,
        observation: &[Vec<Features>],
        agent: &DqnAgent,
        rng: &mut R,
    ) -> Vec<Vec<f32>> {
        if self == Self::Dqn {
            return q_advantages(agent, observation);
        }
        facts
            .kernels
            .iter()
            .zip(&facts.switchable)
            .map(|(kernels, &on)| {
                if !on {
                    return Vec::new();
                }
                let norms: Vec<f32> = kernels.iter().map(|k| k.weight_norm).collect();
                let active: Vec<bool> = kernels.iter().map(|k| k.active).collect();
                let n = active.iter().filter(|&&a| a).count().max(1) as f32;
                let over_active = |get: &dyn Fn(usize) -> f32| -> f32 {
                    (0..kernels.len())
                        .filter(|&i| active[i])
                        .map(get)
                        .sum::<f32>()
                        / n
                };
                match self {
                    Self::Random | Self::Dqn => {
                        kernels.iter().map(|_| rng.random::<f32>()).collect()
                    }
                    Self::UniformL1 => ranks(&norms, &active),
                    Self::GlobalL1 => {
                        let mean = over_active(&|i| norms[i]).max(1e-12);
                        norms.iter().map(|norm| norm / mean).collect()
                    }
                    Self::GlobalTaylor => {
                        let squares =
                            over_active(&|i| kernels[i].significance * kernels[i].significance) * n;
                        let norm = squares.sqrt().max(1e-30);
                        kernels.iter().map(|k| k.significance / norm).collect()
                    }
                }
            })
            .collect()
    }
}

/// Q(on) - Q(off) of every kernel that may be switched.
pub fn q_advantages(agent: &DqnAgent, observation: &[Vec<Features>]) -> Vec<Vec<f32>> {
    observation
        .iter()
        .map(|rows| {
            agent
                .q_values(rows)
                .into_iter()
                .map(|[off, on]| on - off)
                .collect()
        })
        .collect()
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| UnknownPolicy {
                name: name.to_string(),
            })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
