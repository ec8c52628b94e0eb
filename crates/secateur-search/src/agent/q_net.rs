//! The Q-network: features of one kernel to Q(off), Q(on).
//!
//! One feature, d, is what being on is known to earn at once; being off earns -d
//! ([`KNOWN_REWARD`]). It is part of Q as it is, and the network learns what it does not say:
//!
//! ```text
//! Q(on) = d + V + A(on) - mean A,    Q(off) = -d + V + A(off) - mean A
//! ```
//!
//! with V and A from two hidden layers with ReLU and a dueling head (Wang et al., ICML 2016,
//! arXiv:1511.06581). Forward and gradient run on Burn; the parameters are one flat
//! vector, so that they are saved and compared bit for bit.

use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::Rng;
use rand_distr::{Distribution, Normal};
use secateur_net::Engine;
use serde::{Deserialize, Serialize};

use super::features::KNOWN_REWARD;

/// Parameters and shape of a Q-network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QNet {
    inputs: usize,
    hidden: usize,
    parameters: Vec<f32>,
}

/// Value and two advantages.
const HEAD: usize = 3;

impl QNet {
    /// Random weights (He et al. 2015), zero biases, a silent head: Q is what is known.
    pub fn new<R: Rng>(inputs: usize, hidden: usize, rng: &mut R) -> Self {
        let mut parameters = Vec::with_capacity(Self::len(inputs, hidden));
        let mut layer = |from: usize, to: usize| {
            let deviation = (2.0 / from as f32).sqrt();
            if let Ok(normal) = Normal::new(0.0f32, deviation) {
                parameters.extend((0..from * to).map(|_| normal.sample(rng)));
            }
            parameters.extend(std::iter::repeat_n(0.0, to));
        };
        layer(inputs, hidden);
        layer(hidden, hidden);
        parameters.extend(std::iter::repeat_n(0.0, (hidden + 1) * HEAD));
        Self {
            inputs,
            hidden,
            parameters,
        }
    }

    /// From saved parameters; `None` if their number does not fit.
    pub fn from_parameters(inputs: usize, hidden: usize, parameters: Vec<f32>) -> Option<Self> {
        (parameters.len() == Self::len(inputs, hidden)).then_some(Self {
            inputs,
            hidden,
            parameters,
        })
    }

    fn len(inputs: usize, hidden: usize) -> usize {
        (inputs + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * HEAD
    }

    /// Number of features.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width of the hidden layers.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// All parameters.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    pub(super) fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters
    }

    fn forward(&self, leaf: &Tensor<1>, x: Tensor<2>) -> Tensor<2> {
        let mut offset = 0;
        let mut layer = |x: Tensor<2>, from: usize, to: usize| -> Tensor<2> {
            let weight: Tensor<2> = leaf
                .clone()
                .narrow(0, offset, from * to)
                .reshape([from, to]);
            offset += from * to;
            let bias: Tensor<2> = leaf.clone().narrow(0, offset, to).reshape([1, to]);
            offset += to;
            x.matmul(weight) + bias
        };
        let [n, _] = x.dims();
        let on = x.clone().slice([0..n, KNOWN_REWARD..KNOWN_REWARD + 1]);
        let known = Tensor::cat(vec![on.clone().neg(), on], 1);
        let x = activation::relu(layer(x, self.inputs, self.hidden));
        let x = activation::relu(layer(x, self.hidden, self.hidden));
        let head = layer(x, self.hidden, HEAD);
        let value = head.clone().slice([0..n, 0..1]);
        let advantage = head.slice([0..n, 1..3]);
        let mean = advantage.clone().mean_dim(1);
        known + value + advantage - mean
    }

    fn input<const N: usize>(rows: &[[f32; N]], device: &Device) -> Tensor<2> {
        let flat: Vec<f32> = rows.iter().flatten().copied().collect();
        Tensor::from_data(TensorData::new(flat, [rows.len(), N]), device)
    }

    fn leaf(&self, device: &Device) -> Tensor<1> {
        Tensor::from_data(
            TensorData::new(self.parameters.clone(), [self.parameters.len()]),
            device,
        )
    }

    /// `[Q(off), Q(on)]` of every row.
    ///
    /// # Panics
    /// If the rows do not have [`QNet::inputs`] features.
    pub fn q_values<const N: usize>(&self, rows: &[[f32; N]], engine: &Engine) -> Vec<[f32; 2]> {
        assert_eq!(N, self.inputs, "features of another kind");
        if rows.is_empty() {
            return Vec::new();
        }
        let device = engine.device();
        let q = self.forward(&self.leaf(device), Self::input(rows, device));
        let values: Vec<f32> = q.into_data().iter::<f32>().collect();
        values.as_chunks::<2>().0.to_vec()
    }

    /// Mean Huber loss against `targets` where `weights` are above 0, and its gradient.
    ///
    /// # Shapes
    /// - `rows`: `[n]` features; `targets`, `weights`: `[n]` pairs for off and on
    pub(super) fn loss_and_gradient<const N: usize>(
        &self,
        rows: &[[f32; N]],
        targets: &[[f32; 2]],
        weights: &[[f32; 2]],
        delta: f32,
        engine: &Engine,
    ) -> (f32, Vec<f32>) {
        let device = engine.training_device();
        let leaf = self.leaf(&device).require_grad();
        let pair = |values: &[[f32; 2]]| -> Tensor<2> {
            let flat: Vec<f32> = values.iter().flatten().copied().collect();
            Tensor::from_data(TensorData::new(flat, [values.len(), 2]), &device)
        };
        let error = self.forward(&leaf, Self::input(rows, &device)) - pair(targets);
        let size = error.clone().abs();
        // Huber: e²/2 up to delta, then delta · (|e| - delta/2).
        let clipped = size.clone().clamp_max(delta);
        let huber = clipped.clone() * (size - clipped.mul_scalar(0.5));
        let count: f32 = weights.iter().flatten().sum::<f32>().max(1.0);
        let loss = (huber * pair(weights)).sum().div_scalar(count);
        let value: f32 = loss.clone().into_scalar();
        let gradients = loss.backward();
        let gradient = leaf
            .grad(&gradients)
            .map(|g| g.into_data().iter::<f32>().collect())
            .unwrap_or_else(|| vec![0.0; self.parameters.len()]);
        (value, gradient)
    }
}
