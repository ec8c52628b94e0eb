//! Rankings: kernels in the order of one score, within each layer or across all, and how many of
//! each layer that leaves.
//!
//! A ranking is named by what it does, `CRITERION-SCOPE`: `l2-uniform` keeps the largest L2
//! norms of every layer alike, `taylor-global` compares significance across layers.

pub mod one_shot;

use std::fmt;
use std::str::FromStr;

use rand::{Rng, RngExt};
use secateur_onnx::coupling::Masks;
use thiserror::Error;

use crate::scores::{Needs, Score, Scores, own, ranks};

/// What kernels are ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Criterion {
    /// The score of that name.
    Score(String),
    /// Random numbers.
    Random,
}

/// Name of [`Criterion::Random`].
const RANDOM: &str = "random";

/// Among which kernels the order holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Within each layer: every layer keeps the same share.
    Uniform,
    /// Across layers, each score over its layer's scale.
    Global,
    /// Within each layer: layers keep what makes the errors by width least ([`crate::widths`]).
    Knapsack,
}

impl Scope {
    /// All.
    pub const ALL: [Self; 3] = [Self::Uniform, Self::Global, Self::Knapsack];

    /// Name in a ranking.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Global => "global",
            Self::Knapsack => "knapsack",
        }
    }
}

/// A ranking of kernels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranking {
    /// What kernels are ordered by.
    pub criterion: Criterion,
    /// Among which.
    pub scope: Scope,
}

/// A ranking that does not exist.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RankingError {
    /// No such name.
    #[error("unknown ranking `{name}`: expected {}", form())]
    Unknown {
        /// As given.
        name: String,
    },
    /// A name of earlier versions, which did not say what was done.
    #[error("ranking `{name}` has another name now: {now}")]
    Renamed {
        /// As given.
        name: String,
        /// What it did, and how that is called.
        now: &'static str,
    },
    /// A ranking that needs more than there is.
    #[error("cannot rank by `{ranking}` without {}", lacking(*needs))]
    Lacks {
        /// Its name.
        ranking: String,
        /// What it needs.
        needs: Needs,
    },
}

fn lacking(needs: Needs) -> &'static str {
    match needs {
        Needs::Training => "training: it is gathered while the network trains",
        Needs::Inputs => "inputs: it is measured on what layers read of them",
        Needs::Weights => "the file's weights",
    }
}

/// The scores that tell active kernels apart.
fn criteria() -> impl Iterator<Item = &'static dyn Score> {
    own().into_iter().filter(|score| score.ranks_active())
}

/// How rankings are named, for people.
pub(crate) fn form() -> String {
    let mut criteria: Vec<&str> = criteria().map(|score| score.name()).collect();
    criteria.push(RANDOM);
    format!(
        "CRITERION-SCOPE, with CRITERION one of {}, SCOPE one of {}, such as `l2-uniform`",
        criteria.join(", "),
        Scope::ALL.map(Scope::name).join(", ")
    )
}

/// Names of earlier versions. In a search `uniform-l1` and `global-l1` ranked by L2 norms,
/// without training by L1.
const RENAMED: [(&str, &str); 10] = [
    ("l1", "`l1-uniform`"),
    ("l2", "`l2-uniform`"),
    (
        "uniform-l1",
        "in a search it ranked by L2 norms, that is `l2-uniform`; without training by L1, \
         `l1-uniform`",
    ),
    (
        "global-l1",
        "in a search it ranked by L2 norms, that is `l2-global`; without training by L1, \
         `l1-global`",
    ),
    ("global-taylor", "`taylor-global`"),
    ("uniform-l2", "`l2-uniform`"),
    ("global-l2", "`l2-global`"),
    ("uniform-random", "`random-uniform`"),
    ("global-random", "`random-global`"),
    (
        RANDOM,
        "in a search it ranked across layers, that is `random-global`; without training within \
         each, `random-uniform`",
    ),
];

impl Ranking {
    /// By the score of that name.
    pub fn by(score: &str, scope: Scope) -> Self {
        Self {
            criterion: Criterion::Score(score.to_string()),
            scope,
        }
    }

    /// By random numbers.
    pub fn random(scope: Scope) -> Self {
        Self {
            criterion: Criterion::Random,
            scope,
        }
    }

    /// Without what it says nothing.
    ///
    /// # Errors
    /// [`RankingError::Unknown`] for a score of the user's own, which only an environment measures.
    pub fn needs(&self) -> Result<Needs, RankingError> {
        let of_criterion = match &self.criterion {
            Criterion::Random => Needs::Weights,
            Criterion::Score(name) => {
                let known = own().into_iter().find(|score| score.name() == name);
                let unknown = || RankingError::Unknown {
                    name: self.to_string(),
                };
                known.ok_or_else(unknown)?.needs()
            }
        };
        let of_scope = match self.scope {
            Scope::Knapsack => Needs::Inputs,
            Scope::Uniform | Scope::Global => Needs::Weights,
        };
        Ok(of_criterion.max(of_scope))
    }

    /// Fails for a ranking that needs more than there is.
    ///
    /// # Errors
    /// [`RankingError::Lacks`], and as [`Self::needs`].
    pub fn check(&self, given: Needs) -> Result<(), RankingError> {
        let needs = self.needs()?;
        if needs > given {
            let ranking = self.to_string();
            return Err(RankingError::Lacks { ranking, needs });
        }
        Ok(())
    }

    /// One figure a kernel, higher is worth keeping, comparable across layers as the scope says;
    /// groups that are not `ranked` get none.
    ///
    /// # Shapes
    /// - `masks`: `[group][kernel]`, the active kernels; returns the same shape
    pub fn rank<R: Rng>(
        &self,
        scores: &Scores,
        masks: &Masks,
        ranked: &[bool],
        rng: &mut R,
    ) -> Vec<Vec<f32>> {
        let groups = masks.0.iter().zip(ranked).enumerate();
        groups
            .map(|(g, (active, &is_ranked))| {
                if is_ranked {
                    self.rank_layer(scores, g, active, rng)
                } else {
                    Vec::new()
                }
            })
            .collect()
    }

    fn rank_layer<R: Rng>(
        &self,
        scores: &Scores,
        group: usize,
        active: &[bool],
        rng: &mut R,
    ) -> Vec<f32> {
        let values = match &self.criterion {
            Criterion::Random => active.iter().map(|_| rng.random::<f32>()).collect(),
            Criterion::Score(name) => scores.of_group(name, group).to_vec(),
        };
        match (self.scope, &self.criterion) {
            (Scope::Uniform | Scope::Knapsack, _) => ranks(&values, active),
            (Scope::Global, Criterion::Random) => values,
            (Scope::Global, Criterion::Score(name)) => {
                let scale = scores.layer_scale(name).of(&values, active);
                let over_scale = |value: &f32| (f64::from(*value) / scale) as f32;
                values.iter().map(over_scale).collect()
            }
        }
    }
}

impl FromStr for Ranking {
    type Err = RankingError;

    /// Reads `CRITERION-SCOPE`.
    fn from_str(name: &str) -> Result<Self, RankingError> {
        if let Some((_, now)) = RENAMED.iter().find(|(old, _)| *old == name) {
            let name = name.to_string();
            return Err(RankingError::Renamed { name, now });
        }
        let found = Scope::ALL.into_iter().find_map(|scope| {
            let criterion = name.strip_suffix(scope.name())?.strip_suffix('-')?;
            Some((criterion, scope))
        });
        match found {
            Some((RANDOM, scope)) => Ok(Self::random(scope)),
            Some((score, scope)) if criteria().any(|s| s.name() == score) => {
                Ok(Self::by(score, scope))
            }
            _ => Err(RankingError::Unknown {
                name: name.to_string(),
            }),
        }
    }
}

impl fmt::Display for Ranking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let criterion = match &self.criterion {
            Criterion::Score(name) => name,
            Criterion::Random => RANDOM,
        };
        write!(f, "{criterion}-{}", self.scope.name())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::scores::L2;

    #[test]
    fn names_are_read_and_written() {
        for name in ["l1-uniform", "l2-global", "taylor-global", "random-uniform"] {
            assert_eq!(name.parse::<Ranking>().unwrap().to_string(), name);
        }
        for name in ["dqn", "l3-uniform", "health-global", "l2-", "-global", ""] {
            let error = name.parse::<Ranking>().unwrap_err();
            assert!(matches!(error, RankingError::Unknown { .. }), "{name}");
        }
        let old = "uniform-l1".parse::<Ranking>().unwrap_err().to_string();
        assert!(old.contains("`l2-uniform`") && old.contains("`l1-uniform`"));
    }

    #[test]
    fn what_needs_more_than_there_is_is_refused() {
        for (name, needs) in [
            ("l2-global", Needs::Weights),
            ("random-uniform", Needs::Weights),
            ("l2-knapsack", Needs::Inputs),
            ("second-order-uniform", Needs::Inputs),
            ("taylor-global", Needs::Training),
            ("taylor-knapsack", Needs::Training),
        ] {
            let ranking: Ranking = name.parse().unwrap();
            for given in [Needs::Weights, Needs::Inputs, Needs::Training] {
                assert_eq!(ranking.check(given).is_ok(), given >= needs, "{name}");
            }
        }
    }

    #[test]
    fn scopes_compare_within_layers_and_across() {
        // The second layer has the larger norms; its least kernel is less over its mean.
        let scores = Scores::default().with(L2, vec![vec![1.0, 3.0], vec![10.0, 90.0], vec![1.0]]);
        let masks = Masks(vec![vec![true; 2], vec![true; 2], vec![true]]);
        let rank = |scope| {
            let mut rng = ChaCha8Rng::seed_from_u64(0);
            Ranking::by(L2, scope).rank(&scores, &masks, &[true, true, false], &mut rng)
        };
        assert_eq!(
            rank(Scope::Uniform),
            [vec![0.0, 1.0], vec![0.0, 1.0], vec![]]
        );
        assert_eq!(
            rank(Scope::Global),
            [vec![0.5, 1.5], vec![0.2, 1.8], vec![]]
        );
    }
}
