//! Networks that were looked at: the errors of their layers, and what they lost together.

use std::collections::VecDeque;

use rand::{Rng, RngExt};
use secateur_net::heal::WidthErrors;
use serde::{Deserialize, Serialize};

use super::features::{LayerFeatures, layer_features};
use crate::observation::{LayerFacts, Observation};

/// Looks that are kept at most; the oldest run goes first.
const MOST: usize = 4096;
/// Looks that a run is learnt from at least: two of its figures are fitted.
const LEAST: usize = 4;

/// Largest error by width of a layer that can be meant: shares of what its readers give.
const MOST_ERROR: f64 = 1e6;

/// A network that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Error by width of every layer.
    pub errors: Vec<f64>,
    /// Natural logarithm of its loss.
    pub log_loss: f64,
}

/// The looks at networks of one given network and size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Looks {
    /// Tells runs apart.
    run: u64,
    /// Features of its layers.
    pub layers: Vec<LayerFeatures>,
    pub shapes: Vec<Shape>,
}

/// Looks of this run and of earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    run: u64,
    looks: VecDeque<Looks>,
}

impl Memory {
    /// The same, in the next run.
    #[must_use]
    pub fn in_next_run(self) -> Self {
        Self {
            run: self.run.saturating_add(1),
            ..self
        }
    }

    /// Some looks by themselves.
    #[cfg(test)]
    pub fn looks_of(run: u64, layers: Vec<LayerFeatures>, shapes: Vec<Shape>) -> Looks {
        Looks {
            run,
            layers,
            shapes,
        }
    }

    /// True if all looks are finite numbers of as many layers as their run has.
    pub fn is_sound(&self) -> bool {
        let is_sound = |looks: &Looks, shape: &Shape| {
            shape.errors.len() == looks.layers.len()
                && shape.log_loss.is_finite()
                && shape
                    .errors
                    .iter()
                    .all(|error| (0.0..=MOST_ERROR).contains(error))
        };
        self.looks.iter().all(|looks| {
            looks.layers.iter().flatten().all(|x| x.is_finite())
                && looks.shapes.iter().all(|shape| is_sound(looks, shape))
        })
    }

    /// The looks of several agents, each one's runs apart from the others'.
    pub fn merged(parts: impl Iterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            let first = all.run;
            for looks in part.looks {
                let run = first.saturating_add(looks.run);
                all.run = all.run.max(run.saturating_add(1));
                all.looks.push_back(Looks { run, ..looks });
            }
        }
        all
    }

    /// The looks of every run that are enough to learn from.
    pub fn runs(&self) -> impl Iterator<Item = &Looks> {
        let runs = self.looks.iter();
        runs.filter(|looks| looks.shapes.len() >= LEAST)
    }

    /// Number of looks.
    pub fn len(&self) -> usize {
        self.looks.iter().map(|looks| looks.shapes.len()).sum()
    }

    /// Takes in the present network, unless its loss or all errors by width are unknown.
    pub fn push(&mut self, observation: &Observation) {
        let log_loss = f64::from(observation.network.log_loss);
        let layers = observation.layers.iter().zip(&*observation.errors);
        let error = |(layer, errors): (&LayerFacts, &WidthErrors)| {
            errors.at(layer.active).unwrap_or_default()
        };
        let errors: Vec<f64> = layers.map(error).collect();
        if !log_loss.is_finite() || errors.iter().all(|error| *error == 0.0) {
            return;
        }
        let layers = layer_features(observation);
        let shape = Shape { errors, log_loss };
        let run = self.run;
        let mut begun = self.looks.iter_mut();
        match begun.find(|looks| looks.run == run && looks.layers == layers) {
            Some(looks) => looks.shapes.push(shape),
            None => self.looks.push_back(Looks {
                run,
                layers,
                shapes: vec![shape],
            }),
        }
        while self.len() > MOST && self.looks.len() > 1 {
            self.looks.pop_front();
        }
    }

    /// The looks of some run that are enough to learn from: of the present one half of the time.
    pub fn sample<R: Rng>(&self, rng: &mut R) -> Option<&Looks> {
        let (own, others): (Vec<&Looks>, Vec<&Looks>) =
            self.runs().partition(|looks| looks.run == self.run);
        let of_own = rng.random::<bool>();
        let enough = match others.is_empty() || of_own && !own.is_empty() {
            true => own,
            false => others,
        };
        let at = rng.random_range(0..enough.len().max(1));
        enough.get(at).copied()
    }
}
