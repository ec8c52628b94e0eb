//! Who decides which kernels stay.
//!
//! A [`Policy`] looks at an [`Observation`] and says how much it wants each kernel; the promise
//! says how many may stay, and [`crate::choose`] brings the two together. A [`Learner`] is a
//! policy that learns from what came of it. The agent and the rankings are policies; users
//! write their own (docs/extending.md).

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use secateur_onnx::coupling::Masks;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::observation::Observation;
use crate::rank::{Ranking, RankingError, Scope};
use crate::record::Stage;
use crate::widths::{self, Frame};

/// Why a policy cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// No policy of that name.
    #[error(
        "unknown policy `{name}`: expected `dqn`, `random-shapes`, or a ranking {}",
        crate::rank::form()
    )]
    Unknown {
        /// As given.
        name: String,
    },
    /// A ranking that cannot be had.
    #[error(transparent)]
    Ranking(#[from] RankingError),
    /// The agent's file.
    #[error(transparent)]
    Agent(Box<dyn std::error::Error + Send + Sync>),
    /// The policy does not learn, so there is nothing that it could have learnt.
    #[error("cannot use an agent with the policy `{name}`: it does not learn")]
    DoesNotLearn {
        /// Name of the policy.
        name: String,
    },
    /// Its figures do not fit the network.
    #[error(
        "cannot go by the policy `{name}`: expected {expected} figures for the kernels of \
         `{group}`, got {got}"
    )]
    Shape {
        /// Name of the policy.
        name: String,
        /// Name of the channel group.
        group: String,
        /// Its kernels; none where they may not be switched.
        expected: usize,
        /// As given.
        got: usize,
    },
    /// Its widths do not fit the network.
    #[error(
        "cannot go by the policy `{name}`: expected widths of {expected} channel groups, got {got}"
    )]
    Widths {
        /// Name of the policy.
        name: String,
        /// Groups of the network.
        expected: usize,
        /// As given.
        got: usize,
    },
    /// A score of the user's own that would replace one of ours.
    #[error("cannot measure a score named `{name}`: there is one of that name already")]
    ScoreTaken {
        /// Its name.
        name: String,
    },
    /// What it wrote cannot be read back.
    #[error("cannot restore the policy `{name}`: {reason}")]
    Damaged {
        /// Name of the policy.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

/// The state of a policy as bytes.
pub(crate) fn saved<T: Serialize>(state: &T) -> Vec<u8> {
    // Plain numbers: writing them down cannot fail.
    postcard::to_allocvec(state).unwrap_or_default()
}

/// What [`saved`] wrote for the policy of that name.
///
/// # Errors
/// [`PolicyError::Damaged`] for other bytes.
pub(crate) fn restored<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, PolicyError> {
    postcard::from_bytes(bytes).map_err(|error| PolicyError::Damaged {
        name: name.to_string(),
        reason: error.to_string(),
    })
}

/// Decides which kernels stay.
pub trait Policy {
    /// Its name, for records and messages.
    fn name(&self) -> String;

    /// How much it wants each kernel to stay, `[group][kernel]`: those of the lowest figures go
    /// where a budget asks for it. Groups that may not be switched get none.
    fn rank(&mut self, observation: &Observation) -> Vec<Vec<f32>>;

    /// Which kernels it wants on, `[group][kernel]`, as far as the limits of the epoch allow.
    /// By default what is on stays on and what is off stays off: the limits decide how many go.
    fn wish(&mut self, observation: &Observation) -> Vec<Vec<bool>> {
        observation.of_switchable(|g, k| observation.kernels[g][k].active)
    }

    /// How many kernels each group is to keep in a network that fits the frame; `None` leaves that
    /// to the ranks. By default every layer keeps the same share.
    fn widths(&mut self, _observation: &Observation, frame: &Frame<'_>) -> Option<Vec<usize>> {
        Some(widths::even(frame))
    }

    /// Cuts to the same size that may be as good. When the network is cut, each is looked at as well, and
    /// what has the lowest loss stays; a look is a small part of what a run costs.
    fn other_cuts(&mut self, _observation: &Observation, _frame: &Frame<'_>) -> Vec<Cut> {
        Vec::new()
    }

    /// Its state, from which a killed run goes on with the same decisions.
    fn checkpoint(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Goes on from a state.
    ///
    /// # Errors
    /// [`PolicyError::Damaged`] if it is not what [`Policy::checkpoint`] gave.
    fn restore(&mut self, _checkpoint: &[u8]) -> Result<(), PolicyError> {
        Ok(())
    }

    /// The policy as one that learns, if it does.
    fn learner(&mut self) -> Option<&mut dyn Learner> {
        None
    }
}

/// How much a learner explores, and what that is called in the records.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exploration {
    /// Share of random decisions, 0..=1.
    pub epsilon: f32,
    /// Exploring or exploiting.
    pub stage: Stage,
}

/// What a learner explores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Explores {
    /// Which kernels stay. Where it explores neither, a run has no episode for it.
    pub kernels: bool,
    /// How many: every epoch of an episode that explores cuts the network anew.
    pub widths: bool,
}

/// A way to cut a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// How many kernels each group keeps; `None` leaves that to the ranks.
    pub widths: Option<Vec<usize>>,
    /// How much each kernel is wanted to stay, as [`Policy::rank`] says it; `None` where that does.
    pub ranks: Option<Vec<Vec<f32>>>,
}

/// One epoch as a learner remembers it.
pub struct Experience<'a> {
    /// What was seen before.
    pub observation: &'a Observation,
    /// The kernels that were on afterwards: what the limits made of its wishes.
    pub masks: &'a Masks,
    /// Whose they are: 0 for those of [`Policy::widths`], from 1 on of [`Policy::other_cuts`].
    pub cut: usize,
    /// What each kernel that may be switched earned, `[group][kernel]`.
    pub rewards: &'a [Vec<f32>],
    /// What was seen afterwards.
    pub next_observation: &'a Observation,
    /// True if the episode ended there.
    pub terminated: bool,
}

/// What a round of learning did.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LearnReport {
    /// Mean loss over the updates.
    pub mean_loss: f64,
    /// Number of updates.
    pub updates: usize,
}

/// A policy that learns from what came of its decisions.
pub trait Learner: Policy {
    /// What there is to explore; told before a run.
    fn explores(&self) -> Explores;

    /// Told before each epoch how far the run has come, 0..=1, and whether its episode gives the
    /// results; says how it explores.
    fn explore(&mut self, progress: f32, is_last: bool) -> Exploration;

    /// Learns from an epoch.
    fn learn(&mut self, experience: &Experience<'_>) -> LearnReport;

    /// How much more it expects of each kernel that may be switched when it is on than when it
    /// is off, `[group][kernel]`, for the records.
    fn advantages(&self, observation: &Observation) -> Vec<Vec<f32>>;

    /// What it has learnt, as a file from which another run can start; `None` where that is of no use
    /// to one.
    ///
    /// # Errors
    /// [`PolicyError`] if it cannot be written down.
    fn export(&self) -> Result<Option<Vec<u8>>, PolicyError>;
}

/// Ranks kernels by a score, or at random.
#[derive(Debug, Clone)]
pub struct RankingPolicy {
    ranking: Ranking,
    rng: ChaCha8Rng,
}

impl RankingPolicy {
    /// By this ranking; random ones from `seed`.
    pub fn new(ranking: Ranking, seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { ranking, rng }
    }
}

impl Policy for RankingPolicy {
    fn name(&self) -> String {
        self.ranking.to_string()
    }

    fn rank(&mut self, observation: &Observation) -> Vec<Vec<f32>> {
        let groups = 0..observation.kernels.len();
        let masks = Masks(groups.map(|g| observation.active(g)).collect());
        let switchable: Vec<bool> = observation.layers.iter().map(|l| l.switchable).collect();
        let scores = &observation.scores;
        self.ranking
            .rank(scores, &masks, &switchable, &mut self.rng)
    }

    fn widths(&mut self, observation: &Observation, frame: &Frame<'_>) -> Option<Vec<usize>> {
        match self.ranking.scope {
            Scope::Uniform => Some(widths::even(frame)),
            Scope::Global => None,
            Scope::Knapsack => Some(widths::knapsack(frame, &observation.errors)),
        }
    }

    fn checkpoint(&self) -> Vec<u8> {
        saved(&self.rng)
    }

    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), PolicyError> {
        self.rng = restored(&self.name(), checkpoint)?;
        Ok(())
    }
}
