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
mod tests {
    use super::*;
    use crate::task::testing::{check_gradient, output};

    fn matched(name: &str, is_whole: bool) -> Matched {
        Matched {
            name: name.to_string(),
            is_whole,
            variance: None,
        }
    }

    #[test]
    fn each_output_counts_alike_whatever_its_size() {
        let task = Match {
            outputs: vec![matched("small", false), matched("large", false)],
        };
        let original = [
            output(&[2, 1], &[1e-3, 3e-3]),
            output(&[2, 2, 1], &[1e6, 0.0, 3e6, 0.0]),
        ];
        let task = task.fitted(&original).unwrap();
        let own = task.judge(&original, Wanted::Original(&original)).unwrap();
        assert!(own.iter().all(|j| j.quality == 1.0 && j.loss == 0.0));
        // One deviation off, in one output of two.
        let other = [output(&[2, 1], &[2e-3, 3e-3]), original[1].clone()];
        let judged = task.judge(&other, Wanted::Original(&original)).unwrap();
        assert!((judged[0].quality - 0.5).abs() < 1e-6 && (judged[0].loss - 0.5).abs() < 1e-6);
        assert_eq!(judged[1].quality, 1.0);
        let nan = [output(&[2, 1], &[f32::NAN, 3e-3]), original[1].clone()];
        let judged = task.judge(&nan, Wanted::Original(&original)).unwrap();
        assert_eq!(judged[0].quality, 0.5);
        assert!(!judged[0].loss.is_finite());
        let mut gathered = task.gather().unwrap();
        let added = gathered.add(&other, Wanted::Original(&original));
        assert_eq!(
            added.unwrap(),
            task.judge(&other, Wanted::Original(&original)).unwrap()
        );
        let figures = gathered.figures();
        assert!(
            (figures[0].value - 0.5f64.sqrt()).abs() < 1e-6,
            "{figures:?}"
        );
        assert_eq!(
            (figures[1].value, figures[1].output.as_deref()),
            (0.0, Some("large"))
        );
    }

    #[test]
    fn values_of_both_are_shown_with_their_error() {
        let mut task = Match {
            outputs: vec![matched("y", false), matched("i", true)],
        };
        task.outputs[0].variance = Some(4.0);
        let original = [
            output(&[1, 1, 2], &[1.0, 3.0]),
            output(&[1, 2], &[1.0, 2.0]),
        ];
        let result = [
            output(&[1, 1, 2], &[3.0, 1.0]),
            output(&[1, 2], &[1.0, 3.0]),
        ];
        let contrast =
            |original: &[Output], result: &[Output]| task.contrast(Pair { original, result });
        let Contrast::Values(shown) = contrast(&original, &result).unwrap() else {
            panic!("no values");
        };
        assert_eq!((shown[0].error, &shown[0].shape), (1.0, &vec![1, 2]));
        assert_eq!((shown[1].error, shown[1].is_whole), (0.5, true));
        assert_eq!(shown[0].values.result, [3.0, 1.0]);
        assert!(contrast(&original, &result[..1]).is_err());
    }

    #[test]
    fn whole_numbers_are_compared_for_equality() {
        let task = Match {
            outputs: vec![matched("index", true)],
        };
        let judged = task.judge(
            &[output(&[1, 4], &[1.0, 2.0, 3.0, 7.0])],
            Wanted::Original(&[output(&[1, 4], &[1.0, 2.0, 3.0, 4.0])]),
        );
        assert_eq!(judged.unwrap()[0].quality, 0.75);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let task = Match {
            outputs: vec![matched("y", false)],
        };
        let y = || output(&[1, 2], &[0.0; 2]);
        let judge =
            |outputs: &[Output], wanted: &[Output]| task.judge(outputs, Wanted::Original(wanted));
        assert!(judge(&[y()], &[y()]).is_ok());
        assert!(task.judge(&[y()], Wanted::Labels(&[0])).is_err());
        assert!(judge(&[], &[y()]).is_err());
        assert!(judge(&[y(), y()], &[y()]).is_err());
        assert!(judge(&[y()], &[output(&[2, 1], &[0.0; 2])]).is_err());
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let task = Match {
            outputs: vec![matched("y", false), matched("i", true)],
        };
        let wanted = [
            output(&[2, 3], &[0.5, -1.0, 2.0, f32::NEG_INFINITY, 0.25, -0.5]),
            output(&[2, 1], &[1.0, 2.0]),
        ];
        let given = [
            output(&[2, 3], &[0.1, 0.7, 1.0, 3.0, -0.5, 0.5]),
            output(&[2, 1], &[1.0, 3.0]),
        ];
        check_gradient(&task, &given, &wanted);
    }
}
