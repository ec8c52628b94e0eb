//! What healing a network takes.

use serde::{Deserialize, Serialize};

/// How much longer a multiply-add of solving takes than one of the given network's training: sums are of
/// 64 bits, matrices are narrow, and rows are gathered. In looks at a VGG-like network on MNIST and a
/// VGG-16 on CIFAR-10, held against an epoch of their training, 5.6 and 7.3 (docs/performance.md).
const SOLVING: f64 = 7.0;

/// What a healing took, in sample-MACs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Effort {
    /// Of the network that was healed.
    pub of_present: f64,
    /// Of the given network.
    pub of_given: f64,
    /// Solving weights.
    pub of_solving: f64,
}

impl Effort {
    pub fn cost(&self) -> f64 {
        self.of_present + self.of_given + self.of_solving
    }

    /// In sample-MACs of the given network that take as long.
    pub fn work(&self, slowdown: f64) -> f64 {
        slowdown * self.of_present + self.of_given + SOLVING * self.of_solving
    }
}
