//! The loss of a map, position by position.

use burn::tensor::{Tensor, TensorData, activation};

use super::told::{Kind, Map};
use crate::engine::Engine;
use crate::error::Result;
use crate::task::cross_entropy::CrossEntropy;
use crate::task::originals::check_shape;
use crate::value::{Dense, Output};

impl Map {
    /// The loss by position.
    pub fn loss(
        &self,
        output: &Dense,
        wanted: &Output,
        engine: &Engine,
        temperature: f32,
    ) -> Result<Tensor<1>> {
        check_shape(&self.scores, output.dims(), wanted)?;
        let [channels, positions] = self.extents(output.dims())?;
        let n = wanted.n();
        match self.kind {
            Kind::Masks => Ok(binary(output, wanted)),
            Kind::Classes => {
                // A row of scores for each position, as the cross-entropy takes them.
                let rows = output
                    .reshape(&[n, channels, positions])
                    .permute(&[0, 2, 1]);
                let rows = rows.reshape(&[n * positions, channels]).tensor();
                let mut of_original = vec![0.0; wanted.values.len()];
                let samples = wanted.values.chunks_exact(channels * positions);
                for (to, from) in of_original
                    .chunks_exact_mut(channels * positions)
                    .zip(samples)
                {
                    for (channel, from) in from.chunks_exact(positions).enumerate() {
                        for (position, &score) in from.iter().enumerate() {
                            to[position * channels + channel] = score;
                        }
                    }
                }
                let wanted = CrossEntropy::of_teacher(channels);
                let wanted = wanted.with_teacher(&of_original, 1.0, temperature);
                Ok(wanted.loss(rows, engine))
            }
        }
    }
}

/// Mean binary cross-entropy: max(z, 0) - p · z + ln(1 + e^-|z|).
fn binary(output: &Dense, wanted: &Output) -> Tensor<1> {
    let len = output.len();
    let z: Tensor<1> = output.reshape(&[len]).tensor();
    let shares: Vec<f32> = wanted
        .values
        .iter()
        .map(|t| 1.0 / (1.0 + (-t).exp()))
        .collect();
    let shares = Tensor::<1>::from_data(TensorData::new(shares, [len]), &z.device());
    let logs = z.clone().abs().neg().exp().add_scalar(1.0).log();
    (activation::relu(z.clone()) - shares * z + logs).mean()
}
