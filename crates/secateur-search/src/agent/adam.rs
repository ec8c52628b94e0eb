//! Adam on one flat vector of parameters.
//!
//! Source: Kingma and Ba, ICLR 2015, arXiv:1412.6980, algorithm 1.

use serde::{Deserialize, Serialize};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Moments of Adam.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Adam {
    pub m: Vec<f32>,
    pub v: Vec<f32>,
    pub steps: u64,
}

impl Adam {
    pub(super) fn new(len: usize) -> Self {
        Self {
            m: vec![0.0; len],
            v: vec![0.0; len],
            steps: 0,
        }
    }

    pub(super) fn step(&mut self, parameters: &mut [f32], gradient: &[f32], lr: f32) {
        self.steps += 1;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let correction1 = 1.0 - BETA1.powi(steps);
        let correction2 = 1.0 - BETA2.powi(steps);
        for (((p, m), v), &g) in parameters
            .iter_mut()
            .zip(&mut self.m)
            .zip(&mut self.v)
            .zip(gradient)
        {
            *m = BETA1 * *m + (1.0 - BETA1) * g;
            *v = BETA2 * *v + (1.0 - BETA2) * g * g;
            *p -= lr * (*m / correction1) / ((*v / correction2).sqrt() + EPSILON);
        }
    }
}
