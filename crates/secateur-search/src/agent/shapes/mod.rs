//! What the agent knows of whole layers: how much each layer's errors by width matter.
//!
//! The worth of a network is taken as a sum over its layers (value decomposition: Sunehag et al.,
//! AAMAS 2018, arXiv:1706.05296), and a layer's part is known before anything is tried, but for a
//! factor:
//!
//! ```text
//! ln(loss) ≈ a + b Σ_l exp(f(x_l)) e_l(k_l)
//! ```
//!
//! with e_l(k) the error of layer l at a width of k ([`secateur_net::heal::WidthErrors`]), x_l its
//! features and f a small network, 0 at first. The widths of greatest worth at a size are then those
//! of least weighted error, which [`crate::widths::knapsack`] finds. What looks at networks bring
//! teaches f; a and b belong to one network and are fitted.

mod factors;
mod features;
mod memory;
mod noise;
mod teach;

pub(super) use features::N_LAYER_FEATURES;
pub use teach::{Lesson, teach};

use rand::Rng;
use secateur_net::heal::WidthErrors;
use serde::{Deserialize, Serialize};

use super::AgentState;
use crate::observation::Observation;
use factors::Factors;
use features::layer_features;
use memory::Memory;

/// See [`Shapes::shipped`].
const SHIPPED: &[u8] = include_bytes!("shipped.bin");

/// The factors, and what they were learnt from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Shapes {
    factors: Factors,
    memory: Memory,
}

impl Shapes {
    /// What agents know from the networks that tools/agent trains them on; nothing where this version
    /// cannot read it.
    pub fn shipped() -> Option<Self> {
        Self::read(SHIPPED)
    }

    /// From bytes that [`Self::write`] gave.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let read: Self = postcard::from_bytes(bytes).ok()?;
        let is_sound = read.factors.is_sound() && read.memory.is_sound();
        is_sound.then(|| Self {
            memory: read.memory.in_next_run(),
            ..read
        })
    }

    /// As bytes.
    pub fn write(&self) -> Vec<u8> {
        // Plain numbers: writing them down cannot fail.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Nothing known.
    pub fn new<R: Rng>(rng: &mut R) -> Self {
        Self {
            factors: Factors::new(rng),
            memory: Memory::default(),
        }
    }

    /// Errors by width, each layer's by what it matters, counting by a power of their
    /// amplification, with noise of so many standard deviations on the logarithms.
    pub fn weighed<R: Rng>(
        &self,
        observation: &Observation,
        power: f64,
        noise: f64,
        rng: &mut R,
    ) -> Vec<WidthErrors> {
        let layers = layer_features(observation);
        let logs = self.factors.logs(&layers).into_iter();
        let tried = noise::tried(&layers, noise, rng);
        let errors = observation.errors.iter();
        errors
            .zip(logs.zip(tried))
            .map(|(errors, (log, tried))| errors.counting(power).times(f64::exp(log + tried)))
            .collect()
    }

    /// Remembers the present network of an observation.
    pub fn remember(&mut self, observation: &Observation) {
        self.memory.push(observation);
    }

    /// Learns from all that is remembered, by so many updates.
    pub fn learn<R: Rng>(&mut self, updates: usize, rng: &mut R) {
        for _ in 0..updates {
            let Some(run) = self.memory.sample(rng) else {
                return;
            };
            self.factors.learn(run);
        }
    }
}
