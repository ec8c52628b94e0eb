//! The agent as a policy: what it sees are features, what it wants follows from Q.

use secateur_net::heal::WidthErrors;
use serde::{Deserialize, Serialize};

use super::epsilon::EPSILON_END;
use super::features::{Features, features};
use super::{AgentState, DqnAgent, EpsilonSchedule, Transition, write_agent};
use crate::observation::Observation;
use crate::policy::{
    self, Cut, Experience, Exploration, Explores, LearnReport, Learner, Policy, PolicyError,
    RankingPolicy,
};
use crate::rank::{Ranking, Scope};
use crate::record::Stage;
use crate::scores::SECOND_ORDER;
use crate::widths::{Frame, knapsack};

/// Powers of their amplification that errors may count by. Where what comes behind a layer makes up for its
/// errors, as in a plain chain, networks are better by none of it; where errors pass it by, as beside
/// the layers of residual blocks, by all. Looks decide.
const POWERS: [f64; 2] = [1.0, 0.0];

/// The cut that the agent has to beat: what it learnt, from other networks too, need not hold for this one.
fn rule() -> RankingPolicy {
    RankingPolicy::new(Ranking::by(SECOND_ORDER, Scope::Knapsack), 0)
}

/// Name of the policy.
pub const DQN: &str = "dqn";

/// The agent, and how it explores and learns within a run.
#[derive(Debug, Clone)]
pub struct DqnPolicy {
    agent: DqnAgent,
    /// Updates of the Q-network in a pruning epoch.
    updates: usize,
    /// Epsilon that the agent came with: exploration goes on from there.
    epsilon_start: f32,
    epsilon: f32,
    /// Whether widths are tried that it would not choose.
    tries_widths: bool,
    /// Which cut looks have found to be best: one of [`POWERS`], or behind them that of [`rule`].
    cut: Option<usize>,
}

/// What is saved of it.
#[derive(Serialize, Deserialize)]
struct Saved {
    agent: AgentState,
    epsilon_start: f32,
    cut: Option<usize>,
}

impl DqnPolicy {
    /// An agent that learns by so many updates in a pruning epoch.
    pub fn new(agent: DqnAgent, updates: usize) -> Self {
        Self {
            epsilon_start: agent.epsilon(),
            epsilon: 0.0,
            tries_widths: false,
            cut: None,
            agent,
            updates,
        }
    }

    /// The agent.
    pub fn agent(&self) -> &DqnAgent {
        &self.agent
    }

    /// How much more is expected of each kernel of a layer when it is on than when it is off.
    fn expected(&self, rows: &[Features]) -> Vec<f32> {
        let values = self.agent.q_values(rows).into_iter();
        values.map(|[off, on]| on - off).collect()
    }

    /// True if looks have found the cut of [`rule`] to be the best, and nothing else is tried.
    fn follows_rule(&self) -> bool {
        self.cut == Some(POWERS.len()) && !self.tries_widths
    }

    /// The widths of least error at a size, by one of [`POWERS`].
    fn widths_by(
        &mut self,
        power: usize,
        observation: &Observation,
        frame: &Frame<'_>,
    ) -> Vec<usize> {
        let power = match self.tries_widths {
            true => WidthErrors::POWER,
            false => POWERS[power],
        };
        let errors = self.agent.weighed(observation, power, self.tries_widths);
        knapsack(frame, &errors)
    }

    fn damaged(reason: impl ToString) -> PolicyError {
        PolicyError::Damaged {
            name: DQN.to_string(),
            reason: reason.to_string(),
        }
    }
}

impl Policy for DqnPolicy {
    fn name(&self) -> String {
        DQN.to_string()
    }

    fn rank(&mut self, observation: &Observation) -> Vec<Vec<f32>> {
        match self.follows_rule() {
            true => rule().rank(observation),
            false => self.advantages(observation),
        }
    }

    fn wish(&mut self, observation: &Observation) -> Vec<Vec<bool>> {
        let epsilon = self.epsilon;
        let layers = features(observation).into_iter().enumerate();
        let wishes = layers.map(|(g, rows)| {
            let mut wishes = self.agent.act(&rows, epsilon);
            // Widths say how many kernels a layer keeps, so that one for another costs nothing.
            if let Some(kernel) = missed(&self.expected(&rows), &observation.active(g)) {
                wishes[kernel] = true;
            }
            wishes
        });
        wishes.collect()
    }

    fn widths(&mut self, observation: &Observation, frame: &Frame<'_>) -> Option<Vec<usize>> {
        if self.follows_rule() {
            return rule().widths(observation, frame);
        }
        let power = self.cut.unwrap_or_default();
        Some(self.widths_by(power, observation, frame))
    }

    fn other_cuts(&mut self, observation: &Observation, frame: &Frame<'_>) -> Vec<Cut> {
        if self.cut.is_some() || self.tries_widths {
            return Vec::new();
        }
        let by_power = (1..POWERS.len()).map(|power| Cut {
            widths: Some(self.widths_by(power, observation, frame)),
            ranks: None,
        });
        let mut cuts: Vec<Cut> = by_power.collect();
        let mut rule = rule();
        cuts.push(Cut {
            widths: rule.widths(observation, frame),
            ranks: Some(rule.rank(observation)),
        });
        cuts
    }

    fn checkpoint(&self) -> Vec<u8> {
        let saved = Saved {
            agent: self.agent.state().clone(),
            epsilon_start: self.epsilon_start,
            cut: self.cut,
        };
        policy::saved(&saved)
    }

    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), PolicyError> {
        let saved: Saved = policy::restored(DQN, checkpoint)?;
        self.agent.resume(saved.agent);
        self.epsilon_start = saved.epsilon_start;
        self.cut = saved.cut.filter(|cut| *cut <= POWERS.len());
        Ok(())
    }

    fn learner(&mut self) -> Option<&mut dyn Learner> {
        Some(self)
    }
}

/// The dormant kernel of a layer that most is expected of, if that is more than of its mean active
/// kernel.
fn missed(advantages: &[f32], active: &[bool]) -> Option<usize> {
    let of = |on: bool| {
        let kernels = advantages.iter().zip(active).enumerate();
        kernels.filter(move |(_, (_, is_on))| **is_on == on)
    };
    let (sum, n) = of(true).fold((0.0, 0.0), |(sum, n), (_, (a, _))| (sum + a, n + 1.0));
    let (best, (advantage, _)) = of(false).max_by(|a, b| a.1.0.total_cmp(b.1.0))?;
    (n > 0.0 && *advantage > sum / n).then_some(best)
}

impl Learner for DqnPolicy {
    fn explores(&self) -> Explores {
        Explores {
            kernels: self.epsilon_start > EPSILON_END,
            widths: self.agent.config().width_noise > 0.0,
        }
    }

    fn explore(&mut self, progress: f32, is_last: bool) -> Exploration {
        let schedule = EpsilonSchedule::new(self.agent.config()).from_at_most(self.epsilon_start);
        self.epsilon = schedule.at(progress);
        self.tries_widths = !is_last && self.explores().widths;
        Exploration {
            epsilon: self.epsilon,
            stage: match self.tries_widths {
                true => Stage::Explore,
                false => schedule.stage(progress),
            },
        }
    }

    fn learn(&mut self, experience: &Experience<'_>) -> LearnReport {
        if !self.tries_widths {
            // A run's first epoch cuts, so that all have been looked at.
            self.cut.get_or_insert(experience.cut);
        }
        let before = features(experience.observation);
        let after = features(experience.next_observation);
        let mut transitions = Vec::new();
        for (g, rows) in before.iter().enumerate() {
            for (k, row) in rows.iter().enumerate() {
                transitions.push(Transition {
                    observation: *row,
                    action: experience.masks.0[g][k],
                    reward: experience.rewards[g][k],
                    next_observation: after[g][k],
                    terminated: experience.terminated,
                });
            }
        }
        self.agent
            .learn_shapes(experience.next_observation, self.updates);
        self.agent.remember(transitions);
        self.agent.learn(self.updates)
    }

    fn advantages(&self, observation: &Observation) -> Vec<Vec<f32>> {
        let layers = features(observation);
        layers.iter().map(|rows| self.expected(rows)).collect()
    }

    fn export(&self) -> Result<Option<Vec<u8>>, PolicyError> {
        write_agent(&self.agent).map(Some).map_err(Self::damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::missed;

    #[test]
    fn a_kernel_is_missed_if_more_is_expected_of_it_than_of_the_mean_active_one() {
        let active = [true, false, true, false];
        assert_eq!(missed(&[-1.0, -0.4, 0.0, -0.9], &active), Some(1));
        assert_eq!(missed(&[-1.0, -0.6, 0.0, -0.9], &active), None);
        assert_eq!(missed(&[0.0; 2], &[true; 2]), None);
        assert_eq!(missed(&[0.0; 2], &[false; 2]), None);
        assert_eq!(missed(&[], &[]), None);
    }
}
