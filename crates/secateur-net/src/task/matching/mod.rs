//! Any outputs, matched with the original's.

mod errors;

use std::sync::Arc;

use burn::tensor::Tensor;
use secateur_onnx::graph::Graph;

use self::errors::Errors;
use super::contrast::{Contrast, Pair, ShownValues};
use super::deviation;
use super::ends::Ends;
use super::figures::Gather;
use super::originals::{check_count, check_shape, judged_by, mean_loss, originals};
use super::{Against, Judged, Targets, Task, Wanted};
use crate::engine::Engine;
use crate::error::Result;
use crate::value::{Dense, Output};

/// Values of any shape and number: the error is that to the original's, as a share of how each
/// output varies (by position, over samples); the quality of a sample is the share of the deviation that is
/// explained, 1 - error, at least 0, as a mean over the outputs.
///
/// Outputs of whole numbers are compared for equality and have no gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    outputs: Vec<Matched>,
}

#[derive(Debug, Clone, PartialEq)]
struct Matched {
    name: String,
    /// Holds whole numbers: indices, classes, counts.
    is_whole: bool,
    /// How it varies over the samples that the task was fitted to.
    variance: Option<f64>,
}

impl Matched {
    /// Error of a sample; the share of differing values for whole numbers.
    fn error(&self, values: &[f32], wanted: &[f32], variance: f64) -> f64 {
        if !self.is_whole {
            return deviation::error(values, wanted, variance);
        }
        let differing = values.iter().zip(wanted).filter(|(a, b)| a != b).count();
        differing as f64 / values.len().max(1) as f64
    }

    fn variance(&self, wanted: &Output) -> f64 {
        match self.variance {
            _ if self.is_whole => 1.0,
            Some(variance) => variance,
            None => deviation::variance(wanted),
        }
    }
}

/// As much of the deviation as an error leaves; nothing for NaN.
fn explained(error: f64) -> f64 {
    if error.is_nan() {
        0.0
    } else {
        (1.0 - error).max(0.0)
    }
}

impl Match {
    /// All outputs of a graph.
    ///
    /// # Errors
    /// [`crate::NetError::Task`] if none of them has a gradient.
    pub fn find(graph: &Graph) -> Result<Self> {
        let names: Vec<&str> = graph.outputs.iter().map(|o| o.name.as_str()).collect();
        let found = Self::of(graph, &names)?;
        if found.outputs.iter().all(|output| output.is_whole) {
            let expected = "training takes an output of floating-point numbers";
            return Err(Ends::new(graph)?.misfit(expected));
        }
        Ok(found)
    }

    /// These values of a graph.
    ///
    /// # Errors
    /// As shape inference.
    pub fn of(graph: &Graph, names: &[&str]) -> Result<Self> {
        let ends = Ends::new(graph)?;
        let matched = |name: &&str| Matched {
            name: (*name).to_string(),
            is_whole: ends.is_whole(name),
            variance: None,
        };
        Ok(Self {
            outputs: names.iter().map(matched).collect(),
        })
    }

    /// Outputs, what the original gives for them, and the variances; fails unless they fit.
    fn paired<'a>(
        &'a self,
        outputs: &'a [Output],
        wanted: Wanted<'a>,
    ) -> Result<Vec<(&'a Matched, &'a Output, &'a Output, f64)>> {
        let original = judged_by("", wanted)?;
        check_count(self.outputs.len(), outputs.len(), original.len())?;
        let triples = self.outputs.iter().zip(outputs).zip(original);
        triples
            .map(|((matched, output), wanted)| {
                check_shape(&matched.name, &output.shape, wanted)?;
                Ok((matched, output, wanted, matched.variance(wanted)))
            })
            .collect()
    }

    /// Of each sample, the errors of its outputs.
    fn errors(&self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Vec<f64>>> {
        let paired = self.paired(outputs, wanted)?;
        let n = paired.first().map_or(0, |(_, output, ..)| output.n());
        let of_sample = |i: usize| {
            let errors = paired.iter().map(|(matched, output, wanted, variance)| {
                matched.error(output.sample(i), wanted.sample(i), *variance)
            });
            errors.collect()
        };
        Ok((0..n).map(of_sample).collect())
    }
}

impl Task for Match {
    fn name(&self) -> &'static str {
        "match"
    }

    fn quality_name(&self) -> &'static str {
        "explained share"
    }

    fn outputs(&self) -> Vec<&str> {
        self.outputs.iter().map(|o| o.name.as_str()).collect()
    }

    fn against(&self) -> Against {
        Against::Original
    }

    fn n_classes(&self) -> Option<usize> {
        None
    }

    fn describe(&self) -> String {
        let names: Vec<String> = self
            .outputs
            .iter()
            .map(|o| format!("`{}`", o.name))
            .collect();
        format!("values to match with the original's: {}", names.join(", "))
    }

    fn needs_fitting(&self) -> bool {
        true
    }

    fn fitted(&self, sample: &[Output]) -> Option<Arc<dyn Task>> {
        let mut fitted = self.clone();
        for (matched, output) in fitted.outputs.iter_mut().zip(sample) {
            matched.variance = Some(deviation::variance(output));
        }
        Some(Arc::new(fitted))
    }

    fn loss(&self, engine: &Engine, outputs: &[Dense], targets: &Targets<'_>) -> Result<Tensor<1>> {
        check_count(self.outputs.len(), outputs.len(), self.outputs.len())?;
        let originals = originals(targets, self.outputs.len())?;
        let triples = self.outputs.iter().zip(outputs).zip(originals);
        let losses = triples
            .filter(|((matched, _), _)| !matched.is_whole)
            .map(|((matched, output), wanted)| {
                deviation::loss(output, wanted, matched.variance(wanted))
            })
            .collect::<Result<_>>()?;
        Ok(mean_loss(losses, engine))
    }

    fn judge(&self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Judged>> {
        let errors = self.errors(outputs, wanted)?;
        Ok(errors.iter().map(|errors| judged(errors)).collect())
    }

    fn gather(&self) -> Option<Box<dyn Gather>> {
        Some(Box::new(Errors::new(self.clone())))
    }

    fn contrast(&self, outputs: Pair<&[Output]>) -> Result<Contrast> {
        let paired = self.paired(outputs.result, Wanted::Original(outputs.original))?;
        let shown = paired.iter().map(|(matched, result, original, variance)| {
            let error = matched.error(&result.values, &original.values, *variance);
            ShownValues {
                name: matched.name.clone(),
                is_whole: matched.is_whole,
                error: if matched.is_whole {
                    error
                } else {
                    error.sqrt()
                },
                shape: original.shape.iter().skip(1).copied().collect(),
                values: Pair {
                    original: original.values.clone(),
                    result: result.values.clone(),
                },
            }
        });
        Ok(Contrast::Values(shown.collect()))
    }
}

/// Of a sample, by the errors of its outputs.
fn judged(errors: &[f64]) -> Judged {
    let k = errors.len().max(1) as f64;
    Judged {
        quality: (errors.iter().map(|&e| explained(e)).sum::<f64>() / k) as f32,
        loss: errors.iter().sum::<f64>() / k,
        class: None,
    }
}

#[cfg(test)]
mod tests;
