//! Values inside a network that are matched with the original's, besides its outputs.
//!
//! L = L_task + w · Σ_f |a_f - o_f|² / (m_f · Var o_f), with m_f values of a feature, of which those
//! channels count that the (compact) network has.
//!
//! Source: MiR (Wang et al., ECCV 2022, arXiv:2201.02620), which matches what the last pooling reads
//! and nothing else. Departures: the outputs count too, and errors are shares of the variance, so that
//! one weight fits all networks.

use burn::tensor::Tensor;

use crate::error::Result;
use crate::task::{deviation_loss, deviation_variance};
use crate::value::{Dense, Output};

/// How much the error of a feature counts beside the task's loss.
const WEIGHT: f32 = 1.0;

/// Axes that values have at most.
const MOST_AXES: usize = 8;

/// Values inside a (compact) network that follow the original's.
#[derive(Debug, Clone, Default)]
pub struct Features(Vec<Feature>);

#[derive(Debug, Clone)]
struct Feature {
    name: String,
    /// How it varies over samples.
    variance: f64,
    /// The axis whose positions the compact network has but in part, and which it has.
    kept: Option<(usize, Vec<usize>)>,
}

impl Features {
    /// Values by name, with what the original gives for some samples.
    pub fn fit(names: &[String], sample: &[Output]) -> Self {
        let feature = |(name, output): (&String, &Output)| Feature {
            name: name.clone(),
            variance: deviation_variance(output),
            kept: None,
        };
        Self(names.iter().zip(sample).map(feature).collect())
    }

    /// Names of the values.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|feature| feature.name.as_str())
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if nothing is matched.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same for a compact network; `kept` says of a value and an axis which positions it has,
    /// `None` for all.
    #[must_use]
    pub fn cut(&self, kept: impl Fn(&str, usize) -> Option<Vec<usize>>) -> Self {
        let mut cut = self.clone();
        for feature in &mut cut.0 {
            let along = |axis| Some((axis, kept(&feature.name, axis)?));
            feature.kept = (1..MOST_AXES).find_map(along);
        }
        cut
    }

    /// A loss and what the features add to it: `given` of the network, `wanted` of the original.
    ///
    /// # Errors
    /// [`crate::NetError::Shape`] for values that do not fit.
    pub fn add_to(&self, loss: Tensor<1>, given: &[Dense], wanted: &[Output]) -> Result<Tensor<1>> {
        let mut loss = loss;
        for ((feature, given), wanted) in self.0.iter().zip(given).zip(wanted) {
            let picked = match &feature.kept {
                Some((axis, kept)) => &wanted.select(*axis, kept),
                None => wanted,
            };
            let error = deviation_loss(given, picked, feature.variance)?;
            loss = loss + error.mul_scalar(WEIGHT);
        }
        Ok(loss)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::engine::Engine;
    use crate::task::testing::output;

    /// What features add to a loss of 0, and its gradient.
    fn added(features: &Features, given: &Output, wanted: &Output) -> (f32, Vec<f32>) {
        let device = Engine::fused().training_device();
        let data = TensorData::new(given.values.clone(), [given.values.len()]);
        let leaf = Tensor::<1>::from_data(data, &device).require_grad();
        let inside = Dense::from_tensor(leaf.clone()).reshape(&given.shape);
        let nothing = Tensor::<1>::zeros([1], &device);
        let loss = features.add_to(nothing, &[inside], std::slice::from_ref(wanted));
        let loss = loss.unwrap();
        let gradients = loss.backward();
        let gradient = leaf.grad(&gradients).unwrap().into_data();
        (loss.into_scalar(), gradient.iter().collect())
    }

    #[test]
    fn a_compact_network_is_held_against_the_channels_that_it_has() {
        // Two samples, three channels, two positions; the second channel is gone.
        let wanted = [1.0, 2.0, 9.0, 9.0, 3.0, 4.0, 5.0, 6.0, -9.0, -9.0, 7.0, 8.0];
        let wanted = output(&[2, 3, 2], &wanted);
        let given = output(&[2, 2, 2], &[1.0, 2.5, 3.0, 4.0, 5.0, 6.0, 6.0, 8.0]);
        let features = Features::fit(&["f".to_string()], std::slice::from_ref(&wanted));
        let cut = features.cut(|name, axis| (name == "f" && axis == 1).then(|| vec![0, 2]));
        let (loss, gradient) = added(&cut, &given, &wanted);
        // Variances over the two samples are 4 in the outer channels and 81 in the middle one.
        let variance = (4.0 + 81.0 + 4.0) / 3.0;
        let expected = (0.25 + 1.0) / 8.0 / variance;
        assert!((loss - expected).abs() < 1e-6, "{loss}, {expected}");
        let off = [0.0, 0.5, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0f32];
        for (gradient, off) in gradient.iter().zip(off) {
            let expected = 2.0 * off / 8.0 / variance;
            assert!((gradient - expected).abs() < 1e-6, "{gradient}, {expected}");
        }
        // Without the cut shapes differ.
        let device = Engine::fused().training_device();
        let (loss, inside) = (
            Tensor::zeros([1], &device),
            Dense::zeros(&[2, 2, 2], &device),
        );
        assert!(features.add_to(loss, &[inside], &[wanted]).is_err());
    }
}
