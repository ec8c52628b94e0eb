//! Adam's moments of one flat vector of parameters.

use secateur_cpu::optimizer::{Adam, adam};
use serde::{Deserialize, Serialize};

/// Moments of Adam.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Moments {
    pub m: Vec<f32>,
    pub v: Vec<f32>,
    pub steps: u64,
}

impl Moments {
    pub(super) fn new(len: usize) -> Self {
        Self {
            m: vec![0.0; len],
            v: vec![0.0; len],
            steps: 0,
        }
    }

    pub(super) fn step(&mut self, parameters: &mut [f32], gradient: &[f32], lr: f32) {
        self.steps += 1;
        let update = |w: f32, mean: f32, root: f32| w - lr * mean / root;
        let (m, v) = (&mut self.m, &mut self.v);
        adam(&Adam::USUAL, self.steps, parameters, m, v, gradient, update);
    }
}
