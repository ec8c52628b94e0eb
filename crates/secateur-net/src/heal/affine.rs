//! What follows a layer before a sum: nothing, or a batch norm.

use super::layers::Layer;
use crate::weights::Weights;

/// Channels whose batch norm has a smaller share of the mean scale than this: a sum hardly tells
/// what they should be.
const FAINT: f64 = 0.01;

/// y = gain · x + shift, by channel.
pub(super) struct Affine {
    gain: Vec<f64>,
    shift: Vec<f64>,
}

impl Affine {
    /// Of the batch norm that follows a layer with so many channels, with its running
    /// statistics.
    pub fn new(layer: &Layer, weights: &Weights, channels: usize) -> Self {
        let identity = Self {
            gain: vec![1.0; channels],
            shift: vec![0.0; channels],
        };
        let Some(norm) = &layer.norm else {
            return identity;
        };
        let names = [&norm.gamma, &norm.beta, &norm.mean, &norm.variance];
        let values = names.map(|name| weights.get(name).map(|weight| weight.data.as_slice()));
        let [Some(gamma), Some(beta), Some(mean), Some(variance)] = values else {
            return identity;
        };
        let gain = gamma.iter().zip(variance);
        let gain: Vec<f64> = gain
            .map(|(&gamma, &variance)| {
                f64::from(gamma) / (f64::from(variance) + f64::from(norm.epsilon)).sqrt()
            })
            .collect();
        let shift = beta.iter().zip(mean).zip(&gain);
        let shift = shift
            .map(|((&beta, &mean), gain)| f64::from(beta) - gain * f64::from(mean))
            .collect();
        Self { gain, shift }
    }

    pub fn apply(&self, channel: usize, x: f32) -> f32 {
        (self.gain[channel] * f64::from(x) + self.shift[channel]) as f32
    }

    /// What rows of all channels become.
    pub fn all(&self, rows: &[f32]) -> Vec<f32> {
        let channels = self.gain.len().max(1);
        let values = rows.iter().enumerate();
        values
            .map(|(index, &x)| self.apply(index % channels, x))
            .collect()
    }

    /// What becomes `y`.
    pub fn undo(&self, channel: usize, y: f32) -> f32 {
        ((f64::from(y) - self.shift[channel]) / self.gain[channel]) as f32
    }

    /// Per channel, whether a sum tells what the layer should give.
    pub fn is_heard(&self) -> Vec<bool> {
        let squares: f64 = self.gain.iter().map(|gain| gain * gain).sum();
        let least = FAINT * (squares / self.gain.len().max(1) as f64).sqrt();
        self.gain.iter().map(|gain| gain.abs() > least).collect()
    }

    /// What a squared error of each channel counts behind it.
    pub fn importance(&self) -> Vec<f64> {
        self.gain.iter().map(|gain| gain * gain).collect()
    }
}
