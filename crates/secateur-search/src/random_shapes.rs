//! Random widths, the best of them by the looks: what any other choice of widths must beat.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::observation::Observation;
use crate::policy::{
    Experience, Exploration, Explores, LearnReport, Learner, Policy, PolicyError, RankingPolicy,
    restored, saved,
};
use crate::rank::{Ranking, Scope};
use crate::record::Stage;
use crate::scores::SECOND_ORDER;
use crate::widths::{Frame, in_proportion};

/// Name of the policy.
pub const RANDOM_SHAPES: &str = "random-shapes";

/// Standard deviation of the logarithm by which a layer's share differs from the others'.
const SPREAD: f64 = 0.5;

/// Keeps other random shares of the layers in every epoch that explores, even ones in the first, and
/// in the last episode those whose look lost least. Within a layer kernels go by `second-order`.
#[derive(Debug, Clone)]
pub struct RandomShapes {
    kernels: RankingPolicy,
    explores: bool,
    state: State,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    rng: ChaCha8Rng,
    /// What is looked at now.
    trying: Option<Shape>,
    tried: Vec<(Shape, f32)>,
}

/// How widths lie to each other, in a network of some size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Shape {
    at_most: u64,
    /// Share of each group's kernels, in proportion.
    shares: Vec<f64>,
}

impl RandomShapes {
    /// Draws from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            kernels: RankingPolicy::new(Ranking::by(SECOND_ORDER, Scope::Uniform), seed),
            explores: false,
            state: State {
                rng: ChaCha8Rng::seed_from_u64(seed),
                trying: None,
                tried: Vec::new(),
            },
        }
    }

    fn drawn(&mut self, n_groups: usize) -> Vec<f64> {
        let spread = if self.state.tried.is_empty() {
            0.0
        } else {
            SPREAD
        };
        let mut share = || {
            let draw: f64 = StandardNormal.sample(&mut self.state.rng);
            f64::exp(spread * draw)
        };
        (0..n_groups).map(|_| share()).collect()
    }

    /// Of the shapes tried nearest to a size the one that lost least.
    fn best(&self, at_most: u64) -> Option<&Shape> {
        let distance = |shape: &Shape| shape.at_most.abs_diff(at_most);
        let best = self.state.tried.iter().min_by(|(a, loss_a), (b, loss_b)| {
            (distance(a).cmp(&distance(b))).then(loss_a.total_cmp(loss_b))
        });
        best.map(|(shape, _)| shape)
    }
}

impl Policy for RandomShapes {
    fn name(&self) -> String {
        RANDOM_SHAPES.to_string()
    }

    fn rank(&mut self, observation: &Observation) -> Vec<Vec<f32>> {
        self.kernels.rank(observation)
    }

    fn widths(&mut self, _: &Observation, frame: &Frame<'_>) -> Option<Vec<usize>> {
        let n_groups = frame.space.switchable.len();
        let even = vec![1.0; n_groups];
        let shares = if self.explores {
            let shares = self.drawn(n_groups);
            self.state.trying = Some(Shape {
                at_most: frame.at_most,
                shares: shares.clone(),
            });
            shares
        } else {
            self.best(frame.at_most)
                .map_or(even, |shape| shape.shares.clone())
        };
        Some(in_proportion(frame, &shares))
    }

    fn checkpoint(&self) -> Vec<u8> {
        saved(&self.state)
    }

    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), PolicyError> {
        self.state = restored(RANDOM_SHAPES, checkpoint)?;
        Ok(())
    }

    fn learner(&mut self) -> Option<&mut dyn Learner> {
        Some(self)
    }
}

impl Learner for RandomShapes {
    fn explores(&self) -> Explores {
        Explores {
            kernels: false,
            widths: true,
        }
    }

    fn explore(&mut self, _: f32, is_last: bool) -> Exploration {
        self.explores = !is_last;
        Exploration {
            epsilon: 0.0,
            stage: if is_last {
                Stage::Exploit
            } else {
                Stage::Explore
            },
        }
    }

    fn learn(&mut self, experience: &Experience<'_>) -> LearnReport {
        let loss = experience.next_observation.network.log_loss;
        let tried = self.state.trying.take().map(|shape| (shape, loss));
        self.state.tried.extend(tried);
        LearnReport::default()
    }

    fn advantages(&self, observation: &Observation) -> Vec<Vec<f32>> {
        observation.of_switchable(|_, _| 0.0)
    }

    fn export(&self) -> Result<Option<Vec<u8>>, PolicyError> {
        Ok(None)
    }
}
