//! How much a layer's errors matter, from its features: one hidden layer, learnt by gradients.

use rand::Rng;
use rand_distr::{Distribution, Normal};
use serde::{Deserialize, Serialize};

use super::features::{LayerFeatures, N_LAYER_FEATURES};
use super::memory::Looks;
use crate::agent::adam::Moments;

/// Width of the hidden layer.
const HIDDEN: usize = 16;
/// Number of parameters.
const LEN: usize = (N_LAYER_FEATURES + 1) * HIDDEN + HIDDEN + 1;
/// Logarithms of factors stay within this on either side: a factor of 8.
const MOST: f64 = 2.08;
/// Standard deviations that are expected: of a look's logarithm of the loss about what the layers
/// say, and of the factors' logarithms about 0. Together they say how much looks must
/// tell before a factor follows them.
const OF_LOOKS: f64 = 0.02;
const OF_FACTORS: f64 = 0.3;
/// Learning rate of Adam.
const RATE: f32 = 1e-2;

/// f of the module around; parameters as one vector: the hidden layer's weights and biases, the
/// output's weights and bias.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Factors {
    parameters: Vec<f32>,
    adam: Moments,
}

/// What a pass leaves for the gradient.
struct Pass {
    hidden: [f64; HIDDEN],
    log: f64,
}

impl Factors {
    /// Random hidden weights; factors of 1.
    pub fn new<R: Rng>(rng: &mut R) -> Self {
        let deviation = (1.0 / N_LAYER_FEATURES as f32).sqrt();
        let mut parameters = vec![0.0; LEN];
        if let Ok(normal) = Normal::new(0.0f32, deviation) {
            let weights = &mut parameters[..N_LAYER_FEATURES * HIDDEN];
            weights
                .iter_mut()
                .for_each(|weight| *weight = normal.sample(rng));
        }
        Self {
            adam: Moments::new(parameters.len()),
            parameters,
        }
    }

    /// True if it has all its parameters, and all are finite.
    pub fn is_sound(&self) -> bool {
        let parts = [&self.parameters, &self.adam.m, &self.adam.v];
        parts
            .iter()
            .all(|part| part.len() == LEN && part.iter().all(|value| value.is_finite()))
    }

    fn pass(&self, x: &LayerFeatures) -> Pass {
        let (weights, rest) = self.parameters.split_at(N_LAYER_FEATURES * HIDDEN);
        let (biases, head) = rest.split_at(HIDDEN);
        let mut hidden = [0.0; HIDDEN];
        for ((unit, row), bias) in hidden
            .iter_mut()
            .zip(weights.chunks(N_LAYER_FEATURES))
            .zip(biases)
        {
            let sum: f32 = row.iter().zip(x).map(|(w, x)| w * x).sum();
            *unit = f64::from(sum + bias).tanh();
        }
        let values = hidden.iter().zip(head);
        let sum: f64 = values.map(|(unit, w)| unit * f64::from(*w)).sum();
        let raw = sum + f64::from(head[HIDDEN]);
        Pass {
            hidden,
            log: MOST * (raw / MOST).tanh(),
        }
    }

    /// Logarithms of the factors of some layers.
    pub fn logs(&self, layers: &[LayerFeatures]) -> Vec<f64> {
        layers.iter().map(|x| self.pass(x).log).collect()
    }

    /// One step towards what the looks of a run say; returns the mean squared error there, in
    /// logarithms of the loss, before the step.
    pub fn learn(&mut self, looks: &Looks) -> f64 {
        let passes: Vec<Pass> = looks.layers.iter().map(|x| self.pass(x)).collect();
        let factors: Vec<f64> = passes.iter().map(|pass| pass.log.exp()).collect();
        let sums: Vec<f64> = looks
            .shapes
            .iter()
            .map(|shape| shape.errors.iter().zip(&factors).map(|(e, f)| e * f).sum())
            .collect();
        let losses: Vec<f64> = looks.shapes.iter().map(|shape| shape.log_loss).collect();
        let (a, b) = line(&sums, &losses);
        let misses: Vec<f64> = sums
            .iter()
            .zip(&losses)
            .map(|(s, l)| a + b * s - l)
            .collect();
        let mut gradient = vec![0.0f32; self.parameters.len()];
        for (layer, pass) in passes.iter().enumerate() {
            // a and b are those of least error: nothing comes through them.
            let moved = looks.shapes.iter().zip(&misses);
            let moved: f64 = moved
                .map(|(shape, miss)| miss * b * shape.errors[layer] * factors[layer])
                .sum();
            let of_log = moved / OF_LOOKS.powi(2) + pass.log / OF_FACTORS.powi(2);
            self.add_gradient(pass, &looks.layers[layer], of_log, &mut gradient);
        }
        let Self { parameters, adam } = self;
        adam.step(parameters, &gradient, RATE);
        misses.iter().map(|miss| miss * miss).sum::<f64>() / misses.len().max(1) as f64
    }

    /// Adds what a layer's part of the gradient is, for the derivative by its logarithm.
    fn add_gradient(&self, pass: &Pass, x: &LayerFeatures, of_log: f64, gradient: &mut [f32]) {
        let (_, rest) = self.parameters.split_at(N_LAYER_FEATURES * HIDDEN);
        let head = &rest[HIDDEN..];
        let of_raw = of_log * (1.0 - (pass.log / MOST).powi(2));
        let (weights, rest) = gradient.split_at_mut(N_LAYER_FEATURES * HIDDEN);
        let (biases, of_head) = rest.split_at_mut(HIDDEN);
        for (unit, row) in weights.chunks_mut(N_LAYER_FEATURES).enumerate() {
            let of_unit = of_raw * f64::from(head[unit]) * (1.0 - pass.hidden[unit].powi(2));
            row.iter_mut()
                .zip(x)
                .for_each(|(g, x)| *g += of_unit as f32 * x);
            biases[unit] += of_unit as f32;
            of_head[unit] += (of_raw * pass.hidden[unit]) as f32;
        }
        of_head[HIDDEN] += of_raw as f32;
    }
}

/// The line of least squared error through some points, which does not fall.
fn line(x: &[f64], y: &[f64]) -> (f64, f64) {
    let n = x.len().max(1) as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let (of_x, of_y) = (mean(x), mean(y));
    let pairs = x.iter().zip(y);
    let (square, both) = pairs.fold((0.0, 0.0), |(square, both), (x, y)| {
        (square + (x - of_x).powi(2), both + (x - of_x) * (y - of_y))
    });
    let b = if square > 0.0 {
        (both / square).max(0.0)
    } else {
        0.0
    };
    (of_y - b * of_x, b)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::memory::{Memory, Shape};
    use super::*;

    /// A run in which the errors of late layers matter four times as much as those of early ones.
    fn looks(seed: u64) -> Looks {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let layers: Vec<LayerFeatures> = (0..8)
            .map(|layer| {
                let mut x = [0.5; N_LAYER_FEATURES];
                x[0] = layer as f32 / 7.0;
                x
            })
            .collect();
        let shape = |_| {
            let errors: Vec<f64> = (0..8).map(|_| rng.random_range(0.0..0.2)).collect();
            let lost: f64 = errors
                .iter()
                .enumerate()
                .map(|(layer, e)| if layer < 4 { *e } else { 4.0 * e })
                .sum();
            Shape {
                errors,
                log_loss: lost - 1.0,
            }
        };
        let shapes = (0..24).map(shape).collect();
        Memory::looks_of(0, layers, shapes)
    }

    #[test]
    fn nothing_is_known_at_first_and_what_looks_say_later() {
        let mut factors = Factors::new(&mut ChaCha8Rng::seed_from_u64(1));
        let (seen, unseen) = (looks(0), looks(1));
        assert!(factors.logs(&seen.layers).iter().all(|log| *log == 0.0));
        let before = factors.clone().learn(&unseen);
        for _ in 0..600 {
            factors.learn(&seen);
        }
        let after = factors.clone().learn(&unseen);
        assert!(after < 0.2 * before, "{before} became {after}");
        let logs = factors.logs(&seen.layers);
        assert!(logs[6] - logs[1] > 0.7, "{logs:?}");
    }

    #[test]
    fn gradients_are_those_of_the_error() {
        let mut factors = Factors::new(&mut ChaCha8Rng::seed_from_u64(2));
        let looks = looks(3);
        // Away from the start, where the head is silent.
        for _ in 0..20 {
            factors.learn(&looks);
        }
        let error = |factors: &Factors| -> f64 {
            let passes: Vec<Pass> = looks.layers.iter().map(|x| factors.pass(x)).collect();
            let priors: f64 = passes.iter().map(|p| p.log.powi(2)).sum();
            let n = looks.shapes.len() as f64;
            let squares = n * factors.clone().learn(&looks);
            squares / OF_LOOKS.powi(2) / 2.0 + priors / OF_FACTORS.powi(2) / 2.0
        };
        let mut stepped = factors.clone();
        stepped.adam = Moments::new(stepped.parameters.len());
        let before = stepped.parameters.clone();
        stepped.learn(&looks);
        // A first step of Adam is the sign of the gradient.
        for at in [
            0,
            70,
            N_LAYER_FEATURES * HIDDEN + 3,
            before.len() - 5,
            before.len() - 1,
        ] {
            let moved = |by: f32| {
                let mut moved = factors.clone();
                moved.parameters[at] += by;
                error(&moved)
            };
            let slope = moved(1e-2) - moved(-1e-2);
            let step = f64::from(stepped.parameters[at] - before[at]);
            assert!(slope * step < 0.0, "{at}: slope {slope}, step {step}");
        }
    }
}
