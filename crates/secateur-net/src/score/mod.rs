//! How much active kernels matter: scores that training passes give without a further sweep.
//!
//! Each score has a file with its definition and a line in [`Score`].

mod collector;
mod layer;
mod mean;
mod positive;
mod taylor;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use collector::{Collector, Gathered, LayerScores};
pub use layer::LayerPass;

/// A score of kernels, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Score {
    /// First-order Taylor significance, units of loss, 0 and up.
    Taylor,
    /// Mean output.
    Mean,
    /// Share of positive outputs, 0..=1.
    Positive,
}

impl Score {
    /// Every score.
    pub const ALL: [Self; 3] = [Self::Taylor, Self::Mean, Self::Positive];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Taylor => "taylor",
            Self::Mean => "mean",
            Self::Positive => "positive",
        }
    }

    /// Its definition: the score of each kernel of a layer in one batch.
    pub fn of(self, layer: &LayerPass<'_>) -> Vec<f64> {
        match self {
            Self::Taylor => taylor::of(layer),
            Self::Mean => mean::of(layer),
            Self::Positive => positive::of(layer),
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
